//! What the filter does in a peer's chain.

#![cfg(test)]

use conformance::behaviour::{AloneFilter, Sample, endorsed};
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

fn filter() -> AloneFilter {
    let library = conformance::library("time_window").unwrap();
    AloneFilter::load(&library, &json!({ "before": "10m", "after": "1m" })).unwrap()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn sample(seconds: i64, nanos: i32) -> Sample<'static> {
    Sample {
        timestamp: Some((seconds, nanos)),
        ..Sample::default()
    }
}

#[test]
fn proposals_of_now_pass_and_others_are_refused() {
    let filter = filter();
    for seconds in [0, -500, 50] {
        let request = sample(now() + seconds, 0).request();
        assert_eq!(filter.call(&request, endorsed()), endorsed(), "{seconds}");
    }
    for (seconds, text) in [
        (-610, "behind the peer's clock, which allows 10m"),
        (200, "ahead of the peer's clock, which allows 1m"),
    ] {
        let request = sample(now() + seconds, 0).request();
        let refusal = filter.call(&request, endorsed()).unwrap_err();
        assert_eq!(refusal.code, 2);
        assert!(refusal.message.contains(text), "{refusal}");
    }
}

#[test]
fn a_proposal_without_a_time_is_refused() {
    let filter = filter();
    let none = filter.call(&Sample::default().request(), endorsed()).unwrap_err();
    assert!(none.message.contains("has no timestamp"), "{none}");
    for (seconds, nanos) in [(now(), -1), (i64::MAX, 0), (i64::MIN, i32::MIN)] {
        let refusal = filter
            .call(&sample(seconds, nanos).request(), endorsed())
            .unwrap_err();
        assert!(refusal.message.contains("is no time"), "{refusal}");
    }
}

#[test]
fn a_wrong_configuration_is_refused_when_the_peer_starts() {
    let library = conformance::library("time_window").unwrap();
    for (config, text) in [
        (
            json!({ "before": "soon" }),
            "before is \"soon\", which is no duration",
        ),
        (json!({ "befor": "1m" }), "befor"),
        (
            json!({ "before": 15 }),
            "config.before: 15 is not of type \"string\"",
        ),
    ] {
        let error = AloneFilter::load(&library, &config).err().unwrap().to_string();
        assert!(error.contains(text), "{error}");
    }
}
