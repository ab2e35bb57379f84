//! What the chains do with good and with faulty plugins.

use crate::harness::{LIBRARY, auth, decorators, filter, library_dir, metric, one_filter, stats};
use bytes::Bytes;
use handlers::{ParsedRequest, Rejection};

use protos::peer::ChaincodeInput;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    assert!(error.message.contains("in quarantine"), "{error}");
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
async fn odd_codes_and_large_answers_become_internal_errors() {
    let (outcome, _) = run(json!([filter("odd", "odd code")])).await;
    assert_eq!(outcome.unwrap_err(), Rejection::new(13, "odd"));
    for mode in ["respond too much", "answer too much"] {
        let registry = auth(json!([filter("large", mode)]));
        let chain = registry.auth_chain();
        let outcome = chain.run(request(), || async { Ok("answer".into()) });
        assert_eq!(outcome.await.unwrap_err().code, 13);
        assert_eq!(
            stats(&registry).errors,
            1,
            "{mode}: what is refused is no success"
        );
    }
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
    assert_eq!(metric(&registry, "plugin_counting_seen"), 1.0);
}

#[tokio::test]
async fn calls_and_polls_are_measured() {
    for executor in ["inline", "isolated"] {
        let registry = one_filter("sleep", executor, 5000);
        let chain = registry.auth_chain();
        for _ in 0..2 {
            chain.run(request(), || async { Ok(Bytes::new()) }).await.unwrap();
        }
        let stats = stats(&registry);
        assert_eq!((stats.calls, stats.call.count), (2, 2));
        assert!(stats.call.sum >= 0.01, "it sleeps 5 ms: {stats:?}");
        // each at least at first and after its sleep
        assert!(stats.poll.count >= 4, "{executor} {stats:?}");
        assert!(stats.poll.sum > 0.0 && stats.poll.sum < stats.call.sum);
        assert_eq!(metric(&registry, "plugin_calls_total"), 2.0);
        assert!(metric(&registry, "plugin_call_seconds") >= 0.01);
        let file = std::fs::metadata(library_dir().join(LIBRARY)).unwrap().len();
        let loaded = metric(&registry, "plugin_loaded_bytes");
        // other tests of this process load it as well, changed or at the same time
        assert!(loaded >= f64::from(u32::try_from(file).unwrap()), "{loaded}");
    }
}

/// A request whose client waits so long from now on.
fn impatient(patience: Duration) -> ParsedRequest {
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + patience;
    ParsedRequest {
        deadline_unix_ms: u64::try_from(deadline.as_millis()).unwrap(),
        ..ParsedRequest::default()
    }
}

#[tokio::test(start_paused = true)]
async fn impatient_clients_cannot_switch_a_filter_off() {
    for executor in ["inline", "isolated"] {
        let registry = one_filter("hang", executor, 60_000);
        let chain = registry.auth_chain();
        for _ in 0..9 {
            let request = Arc::new(impatient(Duration::from_secs(5)));
            let error = chain
                .run(request, || async { Ok(Bytes::new()) })
                .await
                .unwrap_err();
            assert_eq!(error, Rejection::new(4, "the client's deadline has passed"));
        }
        let seen = stats(&registry);
        assert_eq!(
            (seen.undecided, seen.timeouts, seen.refused, seen.breaker_open),
            (9, 0, 0, false),
            "{executor}"
        );
        // its own deadline is its own failure, also for a client that would wait longer
        let patient = Arc::new(impatient(Duration::from_secs(3600)));
        let error = chain
            .run(patient, || async { Ok(Bytes::new()) })
            .await
            .unwrap_err();
        assert_eq!(
            error,
            Rejection::new(4, "auth filter faulty did not answer in time")
        );
        assert_eq!(stats(&registry).timeouts, 1);
    }
}

#[tokio::test]
async fn after_sees_the_outcome_when_the_client_has_left() {
    let registry = auth(json!([filter("a", "mark")]));
    let request = impatient(Duration::from_secs(1));
    let deadline = UNIX_EPOCH + Duration::from_millis(request.deadline_unix_ms);
    let endorser = || async {
        while SystemTime::now() <= deadline {
            tokio::task::yield_now().await;
        }
        Ok(Bytes::from("done"))
    };
    let outcome = registry.auth_chain().run(Arc::new(request), endorser).await;
    assert_eq!(outcome.unwrap(), Bytes::from("done a"));
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
    // in no alphabetical order, on threads of their own and on the peer's
    let names: Vec<char> = "gkbmdaoefhnjlci".chars().collect();
    assert_eq!(names.len(), 15);
    let entries: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let mut entry = filter(&name.to_string(), "good");
            entry["executor"] = json!(if index % 2 == 0 { "inline" } else { "isolated" });
            entry
        })
        .collect();
    let chain = decorators(json!(entries)).decorators();
    let output = chain.decorate(&request(), input()).await.unwrap();
    assert_eq!(output.args, [Bytes::from("fgkbmdaoefhnjlci"), Bytes::from("x")]);
    let mut set: Vec<_> = output.decorations.into_keys().collect();
    set.sort();
    assert_eq!(set.concat(), "abcdefghijklmno", "the client's own are gone");
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
        faulty["onError"] = json!("skip");
        let chain = decorators(json!([filter("a", "good"), faulty])).decorators();
        let output = chain.decorate(&request(), input()).await.unwrap();
        assert_eq!(output.args, [Bytes::from("fa"), Bytes::from("x")]);
    }
}
