//! Plugins that hang in their threads: what is counted, replaced and given up, exactly.

use crate::harness::{decorators, filter, metric, one_filter, stats};
use bytes::Bytes;
use handlers::{ParsedRequest, Registry};
use peer::operations::health::Health;
use protos::peer::ChaincodeInput;
use serde_json::json;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle};

/// Deadline of a call; time is paused in here.
const LIMIT: Duration = Duration::from_millis(100);
/// How long the machine may take for what comes soon, by its own clock.
const REALLY: Duration = Duration::from_secs(60);
/// How long a breaker stays open.
const OPEN: Duration = Duration::from_secs(10);

/// Lets a call begin, until so many calls have got into the plugin, and then lets its deadline pass. As long as
/// this yields there is always something to do, so the paused clock stands still.
async fn hangs<T: Send + 'static>(
    registry: &Registry,
    calls_inside: f64,
    call: impl Future<Output = T> + Send + 'static,
) -> T {
    let call = tokio::spawn(call);
    tokio::task::yield_now().await;
    while metric(registry, "plugin_faulty_seen") < calls_inside {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(LIMIT + Duration::from_millis(1)).await;
    call.await.unwrap()
}

/// One request through the filters; the code of its rejection.
fn filtered(registry: &Registry) -> impl Future<Output = u32> + use<> {
    let chain = registry.auth_chain();
    async move {
        let request = Arc::new(ParsedRequest::default());
        let outcome = chain.run(request, || async { Ok(Bytes::new()) }).await;
        outcome.unwrap_err().code
    }
}

fn facts(registry: &Registry) -> (u64, usize, bool, bool) {
    let stats = stats(registry);
    (stats.timeouts, stats.stuck, stats.breaker_open, stats.failed)
}

/// Why the peer would be ill with these plugins.
async fn reasons(registry: &Registry) -> Vec<String> {
    let health = Health::new(registry.clone(), None, Handle::current());
    let report = serde_json::to_value(health.report().await).unwrap();
    let failed = report["failed_checks"].as_array().cloned().unwrap_or_default();
    let reason = |check: &serde_json::Value| check["reason"].as_str().unwrap().to_owned();
    failed.iter().map(reason).collect()
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_blocks_gets_new_threads_three_times_and_is_given_up() {
    let registry = one_filter("block", "isolated", 100);
    // it has two threads; what comes after them never gets in
    for (call, inside) in [1.0, 2.0, 2.0, 2.0, 2.0].into_iter().enumerate() {
        assert_eq!(hangs(&registry, inside, filtered(&registry)).await, 4, "{call}");
    }
    assert_eq!(facts(&registry), (5, 2, true, false), "replaced once");
    assert_eq!(filtered(&registry).await, 14, "switched off");
    for (inside, given_up) in [(3.0, false), (4.0, false), (5.0, true)] {
        tokio::time::advance(OPEN).await;
        assert_eq!(hangs(&registry, inside, filtered(&registry)).await, 4);
        let stuck = stats(&registry).stuck;
        assert_eq!((stuck, stats(&registry).failed), (stuck, given_up));
    }
    assert_eq!(facts(&registry), (8, 5, true, true));
    for _ in 0..3 {
        tokio::time::advance(OPEN).await;
        assert_eq!(filtered(&registry).await, 14, "no probe any more");
    }
    assert_eq!(
        facts(&registry),
        (8, 5, true, true),
        "it does not look healthy again"
    );
    assert_eq!(stats(&registry).refused, 4);
    assert_eq!(metric(&registry, "plugin_failed"), 1.0);
    assert_eq!(metric(&registry, "plugin_stuck"), 5.0);
    assert_eq!(
        reasons(&registry).await,
        ["auth filter faulty has been given up until the next reload: 5 of its calls hang"]
    );
    let swapped = one_filter("pass", "inline", 100);
    assert_eq!(reasons(&swapped).await, [""; 0], "its replacement is well");
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_waits_is_switched_off_and_keeps_its_threads() {
    let registry = one_filter("hang", "isolated", 100);
    for call in 1..=5_u32 {
        assert_eq!(hangs(&registry, f64::from(call), filtered(&registry)).await, 4);
    }
    // a call that was given up may be on its way out of the poll in which it was counted
    let begun = Instant::now();
    while stats(&registry).stuck > 0 && begun.elapsed() < REALLY {
        tokio::task::yield_now().await;
    }
    assert_eq!(facts(&registry), (5, 0, true, false));
    assert_eq!(reasons(&registry).await, [""; 0], "a breaker heals itself");
}

fn decorated(registry: &Registry) -> impl Future<Output = String> + use<> {
    let chain = registry.decorators();
    async move {
        let request = Arc::new(ParsedRequest::default());
        let input = ChaincodeInput {
            args: vec![Bytes::from("f")],
            ..ChaincodeInput::default()
        };
        chain.decorate(&request, input).await.unwrap_err().message
    }
}

fn blocking_decorator() -> Registry {
    let mut blocking = filter("faulty", "block");
    blocking["timeoutMs"] = json!(100);
    decorators(json!([blocking]))
}

#[tokio::test(start_paused = true)]
async fn a_decorator_that_blocks_is_counted_and_given_up() {
    let registry = blocking_decorator();
    let late = "decorator faulty did not answer in time";
    // it has four threads
    for inside in [1.0, 2.0, 3.0, 4.0, 4.0] {
        assert_eq!(hangs(&registry, inside, decorated(&registry)).await, late);
    }
    assert_eq!(facts(&registry), (5, 4, true, false));
    for inside in [5.0, 6.0, 7.0] {
        tokio::time::advance(OPEN).await;
        assert_eq!(hangs(&registry, inside, decorated(&registry)).await, late);
    }
    assert_eq!(facts(&registry), (8, 7, true, true));
    assert_eq!(
        decorated(&registry).await,
        "decorator faulty has been given up until the next reload"
    );
}

#[test]
fn a_decorator_that_blocks_leaves_the_peers_threads_alone() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let registry = blocking_decorator();
        decorated(&registry).await;
        let work = tokio::task::spawn_blocking(|| "of the ledger");
        let done = tokio::time::timeout(REALLY, work).await;
        assert_eq!(done.unwrap().unwrap(), "of the ledger");
    });
}
