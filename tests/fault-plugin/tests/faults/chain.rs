//! What the chains do with good and with faulty plugins.

use crate::harness::{auth, decorators, filter};
use bytes::Bytes;
use handlers::{ParsedRequest, Rejection};

use protos::peer::ChaincodeInput;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn request() -> Arc<ParsedRequest> {
    Arc::new(ParsedRequest {
        proposal_bytes: Bytes::from("proposal"),
        ..ParsedRequest::default()
    })
}

/// Runs a chain of filters around an endorser that answers `done`.
async fn run(filters: serde_json::Value) -> (Result<Bytes, Rejection>, usize) {
    let chain = auth(filters).auth_chain();
    let endorsed = AtomicUsize::new(0);
    let outcome = chain
        .run(request(), || async {
            endorsed.fetch_add(1, Ordering::Relaxed);
            Ok(Bytes::from("done"))
        })
        .await;
    (outcome, endorsed.into_inner())
}

#[tokio::test]
async fn after_runs_in_reverse_order() {
    let (outcome, endorsed) = run(json!([
        filter("a", "mark"),
        filter("b", "pass"),
        filter("c", "mark")
    ]))
    .await;
    assert_eq!((outcome.unwrap(), endorsed), (Bytes::from("done c a"), 1));
}

#[tokio::test]
async fn the_first_rejection_ends_the_chain_and_after_still_runs() {
    let (outcome, endorsed) = run(json!([
        filter("a", "mark"),
        filter("b", "deny"),
        filter("c", "panic in before")
    ]))
    .await;
    let error = outcome.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str(), endorsed),
        (7, "denied by b a", 0)
    );
}

#[tokio::test]
async fn a_filter_may_answer_itself() {
    let (outcome, endorsed) = run(json!([
        filter("a", "mark"),
        filter("b", "echo"),
        filter("c", "deny")
    ]))
    .await;
    assert_eq!((outcome.unwrap(), endorsed), (Bytes::from("proposal a"), 0));
}

#[tokio::test]
async fn a_filter_sees_the_endorsers_error() {
    let chain = auth(json!([filter("a", "mark")])).auth_chain();
    let outcome = chain
        .run(request(), || async { Err(Rejection::new(5, "not here")) })
        .await;
    assert_eq!(outcome.unwrap_err(), Rejection::new(5, "not here a"));
}

#[tokio::test]
async fn panics_are_rejections_and_the_peer_lives_on() {
    for executor in ["inline", "isolated"] {
        for mode in ["panic in before", "panic in after", "panic in state drop"] {
            let mut faulty = filter("faulty", mode);
            faulty["executor"] = json!(executor);
            let (outcome, _) = run(json!([faulty])).await;
            let error = outcome.unwrap_err();
            assert_eq!(
                (error.code, error.message.as_str()),
                (13, "auth filter faulty failed"),
                "{mode}"
            );
        }
        for mode in ["panic in drop", "sleep"] {
            let mut faulty = filter("faulty", mode);
            faulty["executor"] = json!(executor);
            let (outcome, _) = run(json!([faulty])).await;
            assert_eq!(outcome.unwrap(), Bytes::from("done"), "{mode}");
        }
    }
}

#[tokio::test]
async fn a_cancelled_request_drops_what_filters_carry() {
    let chain = auth(json!([filter("a", "panic in state drop")])).auth_chain();
    let (entered, waiting) = tokio::sync::oneshot::channel();
    let run = chain.run(request(), || async {
        entered.send(()).unwrap();
        std::future::pending().await
    });
    tokio::select! {
        outcome = run => panic!("{outcome:?}"),
        reached = waiting => reached.unwrap(),
    }
    // the state's destructor has panicked by now, inside of its fence
    assert!(chain.run(request(), || async { Ok(Bytes::new()) }).await.is_err());
}

#[tokio::test]
async fn a_filter_that_hangs_runs_into_its_deadline() {
    for (mode, executor) in [
        ("hang", "inline"),
        ("hang", "isolated"),
        ("hang in after", "inline"),
        ("block", "isolated"),
    ] {
        let mut hanging = filter("hanging", mode);
        hanging["executor"] = json!(executor);
        hanging["timeoutMs"] = json!(20);
        let (outcome, _) = run(json!([hanging])).await;
        assert_eq!(
            outcome.unwrap_err(),
            Rejection::new(4, "auth filter hanging did not answer in time"),
            "{mode}"
        );
    }
}

#[tokio::test]
async fn five_failures_in_a_row_switch_a_filter_off() {
    let registry = auth(json!([filter("faulty", "panic in before")]));
    let chain = registry.auth_chain();
    for _ in 0..5 {
        let error = chain
            .run(request(), || async { Ok(Bytes::new()) })
            .await
            .unwrap_err();
        assert_eq!(error.message, "auth filter faulty failed");
    }
    let error = chain
        .run(request(), || async { Ok(Bytes::new()) })
        .await
        .unwrap_err();
    assert_eq!(error.code, 14);
    assert!(error.message.contains("switched off"), "{error}");
    let stats = registry.stats();
    assert_eq!(
        (
            stats[0].calls,
            stats[0].panics,
            stats[0].refused,
            stats[0].breaker_open
        ),
        (6, 5, 1, true)
    );
}

#[tokio::test]
async fn blocked_threads_time_out_and_are_counted() {
    let mut blocking = filter("blocking", "block");
    blocking["timeoutMs"] = json!(5);
    // the breaker would step in first; a good call in between is not possible here, so count to its limit
    let registry = auth(json!([blocking]));
    let chain = registry.auth_chain();
    for _ in 0..5 {
        let error = chain
            .run(request(), || async { Ok(Bytes::new()) })
            .await
            .unwrap_err();
        assert_eq!(error.code, 4);
    }
    assert!(registry.stats()[0].stuck <= 2, "{:?}", registry.stats());
    assert_eq!(registry.stats()[0].timeouts, 5);
}

#[tokio::test]
async fn odd_codes_and_large_answers_become_internal_errors() {
    let (outcome, _) = run(json!([filter("odd", "odd code")])).await;
    assert_eq!(outcome.unwrap_err(), Rejection::new(13, "odd"));
    let (outcome, _) = run(json!([filter("large", "respond too much")])).await;
    assert_eq!(outcome.unwrap_err().code, 13);
}

#[tokio::test]
async fn a_passed_client_deadline_ends_the_request() {
    let chain = auth(json!([filter("a", "pass")])).auth_chain();
    let late = ParsedRequest {
        deadline_unix_ms: 1,
        ..ParsedRequest::default()
    };
    let error = chain
        .run(Arc::new(late), || async { Ok(Bytes::new()) })
        .await
        .unwrap_err();
    assert_eq!(error, Rejection::new(4, "the client's deadline has passed"));
}

#[tokio::test]
async fn plugins_count_through_the_host() {
    let registry = auth(json!([filter("counting", "pass")]));
    registry
        .auth_chain()
        .run(request(), || async { Ok(Bytes::new()) })
        .await
        .unwrap();
    let metrics = registry.metrics();
    assert_eq!(
        (metrics[0].name.as_str(), metrics[0].sum),
        ("plugin_counting_seen", 1.0)
    );
}

fn input() -> ChaincodeInput {
    ChaincodeInput {
        args: vec![Bytes::from("f"), Bytes::from("x")],
        decorations: [("mine".to_owned(), Bytes::from("forged"))].into(),
        ..ChaincodeInput::default()
    }
}

#[tokio::test]
async fn decorators_edit_in_order_and_client_decorations_are_gone() {
    let mut inline = filter("b", "good");
    inline["executor"] = json!("inline");
    let chain = decorators(json!([filter("a", "good"), inline])).decorators();
    let output = chain.decorate(&request(), input()).await.unwrap();
    assert_eq!(output.args, [Bytes::from("fab"), Bytes::from("x")]);
    assert_eq!(output.decorations.keys().collect::<Vec<_>>(), ["a", "b"]);
    let none = handlers::DecoratorChain::default()
        .decorate(&request(), input())
        .await
        .unwrap();
    assert!(none.decorations.is_empty());
}

#[tokio::test]
async fn a_failed_decorator_fails_the_proposal_or_is_skipped() {
    for (mode, text) in [
        ("panic", "decorator b failed"),
        ("deny", "denied by b"),
        ("set nothing", "decorator b set an argument that does not exist"),
        ("block", "decorator b did not answer in time"),
    ] {
        let mut faulty = filter("b", mode);
        faulty["timeoutMs"] = json!(20);
        let chain = decorators(json!([filter("a", "good"), faulty])).decorators();
        let error = chain.decorate(&request(), input()).await.unwrap_err();
        assert_eq!((error.instance.as_str(), error.message.as_str()), ("b", text));
        if mode == "block" {
            continue;
        }
        faulty["onError"] = json!("skip");
        let chain = decorators(json!([filter("a", "good"), faulty])).decorators();
        let output = chain.decorate(&request(), input()).await.unwrap();
        assert_eq!(output.args, [Bytes::from("fa"), Bytes::from("x")]);
    }
}
