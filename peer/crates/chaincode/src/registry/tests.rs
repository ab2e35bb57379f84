//! Who may register, and who learns of it.

use std::sync::Weak;

use protos::wire_message;
use tokio::sync::mpsc;

use super::*;
use crate::metrics::Metrics;

fn handler(name: &str) -> Arc<ChaincodeHandler> {
    let (outbound, _messages) = mpsc::channel(1);
    Arc::new(ChaincodeHandler::new(
        name.into(),
        Weak::new(),
        Arc::new(Metrics::new()),
        outbound,
    ))
}

#[test]
fn a_second_caller_joins_the_launch_of_the_first() {
    let registry = HandlerRegistry::new(false);
    let (first, begun) = registry.launching("mycc:1.0");
    assert!(!begun);
    let (second, begun) = registry.launching("mycc:1.0");
    assert!(begun);
    assert!(Arc::ptr_eq(&first, &second));
    assert!(!registry.launching("other:1.0").1);
}

#[test]
fn a_handler_counts_only_once_ready_has_been_sent() {
    let registry = HandlerRegistry::new(false);
    registry.ready("mycc:1.0");
    let (state, _) = registry.launching("mycc:1.0");
    registry.register(&handler("mycc:1.0")).unwrap();
    assert!(registry.ready_handler("mycc:1.0").is_none());
    registry.ready("mycc:1.0");
    assert!(state.is_ready());
    assert!(registry.ready_handler("mycc:1.0").is_some());
}

#[test]
fn duplicates_strangers_and_the_nameless_are_refused() {
    let registry = HandlerRegistry::new(false);
    registry.launching("mycc:1.0");
    registry.register(&handler("mycc:1.0")).unwrap();
    let text = |name: &str| registry.register(&handler(name)).unwrap_err().to_string();
    assert_eq!(text("mycc:1.0"), "duplicate chaincodeID: mycc:1.0");
    assert_eq!(
        text("other:1.0"),
        "peer will not accept external chaincode connection other:1.0 (except in dev mode)"
    );
    assert_eq!(
        text(""),
        "error in handling register chaincode, chaincodeID name is empty"
    );
    assert!(text(&"x".repeat(513)).ends_with("chaincodeID name has 513 bytes, the limit is 512"));
}

#[test]
fn dev_mode_accepts_strangers_but_not_twice() {
    let registry = HandlerRegistry::new(true);
    registry.register(&handler("mycc:1.0")).unwrap();
    registry.ready("mycc:1.0");
    assert!(registry.ready_handler("mycc:1.0").is_some());
    assert!(registry.register(&handler("mycc:1.0")).is_err());
    let (state, begun) = registry.launching("mycc:1.0");
    assert!(begun && state.is_ready());
}

#[tokio::test]
async fn a_failure_reaches_everybody_who_waits() {
    let registry = HandlerRegistry::new(false);
    let (state, _) = registry.launching("mycc:1.0");
    let waiting = [0, 1, 2].map(|_| {
        let state = state.clone();
        tokio::spawn(async move { state.wait().await })
    });
    registry.failed("mycc:1.0", LaunchFailure::Lost);
    registry.ready("mycc:1.0");
    for waiting in waiting {
        let failure = waiting.await.unwrap().unwrap_err();
        assert_eq!(wire_message(&failure), "the launch ended without an answer");
    }
}

#[test]
fn deregistering_closes_the_handler_once() {
    let registry = HandlerRegistry::new(true);
    registry.register(&handler("mycc:1.0")).unwrap();
    assert_eq!(registry.deregister("mycc:1.0"), Ok(()));
    let error = registry.deregister("mycc:1.0").unwrap_err();
    assert_eq!(error.to_string(), "could not find handler: mycc:1.0");
}

#[test]
fn an_old_stream_does_not_deregister_the_new_one() {
    let registry = HandlerRegistry::new(true);
    let (old, new) = (handler("mycc:1.0"), handler("mycc:1.0"));
    registry.register(&old).unwrap();
    assert!(registry.deregister_handler(&old).is_some());
    registry.register(&new).unwrap();
    registry.ready("mycc:1.0");
    assert!(registry.deregister_handler(&old).is_none());
    assert!(registry.ready_handler("mycc:1.0").is_some());
}

#[test]
fn an_old_launch_does_not_deregister_the_new_one() {
    let registry = HandlerRegistry::new(false);
    let (old, _) = registry.launching("mycc:1.0");
    registry.deregister_launch("mycc:1.0", &old);
    let (new, begun) = registry.launching("mycc:1.0");
    assert!(!begun);
    registry.deregister_launch("mycc:1.0", &old);
    assert!(Arc::ptr_eq(&registry.launching("mycc:1.0").0, &new));
}
