//! `match`, `mode: shadow` and `quarantine` of an entry.

use crate::harness::{auth, decorators, filter, load, stats};
use bytes::Bytes;
use handlers::{Applies, ParsedRequest, Question, Registry, Rejection};
use protos::peer::ChaincodeInput;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn request(channel: &str, function: &'static str, mspid: &str) -> ParsedRequest {
    ParsedRequest {
        channel_id: channel.to_owned(),
        chaincode_name: "pay".to_owned(),
        function: Bytes::from_static(function.as_bytes()),
        msp_id: mspid.to_owned(),
        decoded: true,
        ..ParsedRequest::default()
    }
}

fn with(mut entry: Value, key: &str, value: Value) -> Value {
    entry[key] = value;
    entry
}

async fn outcome(registry: &Registry, request: ParsedRequest) -> Result<String, Rejection> {
    let endorser = || async { Ok("answer".into()) };
    let outcome = registry.auth_chain().run(Arc::new(request), endorser).await?;
    Ok(String::from_utf8_lossy(&outcome).into_owned())
}

async fn decorate(registry: &Registry, request: ParsedRequest) -> Result<Bytes, String> {
    let input = ChaincodeInput {
        args: vec!["f".into()],
        ..ChaincodeInput::default()
    };
    let edited = registry.decorators().decorate(&Arc::new(request), input).await;
    edited
        .map(|input| input.args[0].clone())
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_filter_applies_where_its_entry_says() {
    let bound = json!({"channel": ["trade", "test-*"], "mspid": "Org1MSP"});
    let registry = auth(json!([
        with(filter("a", "mark"), "match", bound),
        filter("b", "mark"),
    ]));
    for (request, expected) in [
        (request("trade", "f", "Org1MSP"), "answer b a"),
        (request("test-1", "f", "Org1MSP"), "answer b a"),
        (request("trade", "f", "Org2MSP"), "answer b"),
        (request("other", "f", "Org1MSP"), "answer b"),
        // not decoded: every filter looks at it
        (ParsedRequest::default(), "answer b a"),
    ] {
        assert_eq!(outcome(&registry, request).await.unwrap(), expected);
    }
    let question = Question {
        channel: Some("trade".to_owned()),
        ..Question::default()
    };
    let explained = registry.current().explain(&question);
    let answers: Vec<_> = explained.iter().map(|one| one.applies).collect();
    assert_eq!(answers, [Applies::Depends, Applies::Yes]);
    assert_eq!(
        explained[0].plugin.applies_to,
        "channel=trade|test-* mspid=Org1MSP"
    );
}

#[tokio::test]
async fn a_decorator_applies_where_its_entry_says() {
    let registry = decorators(json!([
        with(filter("a", "edit"), "match", json!({"function": "set*"})),
        filter("b", "edit"),
    ]));
    assert_eq!(
        decorate(&registry, request("c", "setX", "m")).await.unwrap(),
        "fab"
    );
    assert_eq!(decorate(&registry, request("c", "get", "m")).await.unwrap(), "fb");
}

#[tokio::test]
async fn a_shadow_is_asked_and_changes_nothing() {
    for mode in [
        "deny",
        "respond",
        "mark",
        "heal",
        "panic in before",
        "panic in after",
        "panic in state drop",
        "respond too much",
    ] {
        let registry = auth(json!([with(filter("ghost", mode), "mode", json!("shadow"))]));
        let unharmed = outcome(&registry, request("c", "f", "m")).await;
        assert_eq!(unharmed.unwrap(), "answer", "{mode}");
        while stats(&registry).calls == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn a_shadow_that_hangs_costs_no_time() {
    let entry = with(filter("ghost", "hang"), "timeoutMs", json!(3_600_000));
    let registry = auth(json!([with(entry, "mode", json!("shadow"))]));
    assert_eq!(
        outcome(&registry, request("c", "f", "m")).await.unwrap(),
        "answer"
    );
}

#[tokio::test]
async fn a_shadow_decorator_edits_a_copy() {
    for mode in ["edit", "deny", "panic", "set nothing"] {
        let registry = decorators(json!([
            with(filter("ghost", mode), "mode", json!("shadow")),
            filter("b", "edit"),
        ]));
        assert_eq!(
            decorate(&registry, request("c", "f", "m")).await.unwrap(),
            "fb",
            "{mode}"
        );
        while stats(&registry).calls == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test]
async fn a_decorator_in_quarantine_is_bypassed_only_if_the_entry_says_so() {
    let decorator = |policy: &str| {
        let quarantine = json!({"failures": 2, "openMs": 3_600_000, "policy": policy});
        with(filter("bad", "panic"), "quarantine", quarantine)
    };
    let denies = decorators(json!([decorator("deny"), filter("b", "edit")]));
    let bypassed = decorators(json!([decorator("bypass"), filter("b", "edit")]));
    for _ in 0..2 {
        for registry in [&denies, &bypassed] {
            let failed = decorate(registry, request("c", "f", "m")).await.unwrap_err();
            assert_eq!(failed, "decorator bad failed");
        }
    }
    let refused = decorate(&denies, request("c", "f", "m")).await.unwrap_err();
    assert!(refused.contains("in quarantine"), "{refused}");
    assert_eq!(decorate(&bypassed, request("c", "f", "m")).await.unwrap(), "fb");
    assert_eq!(stats(&bypassed).refused, 1);
}

#[tokio::test]
async fn a_refusal_is_no_failure() {
    let quarantine = json!({"failures": 1, "openMs": 3_600_000});
    let registry = auth(json!([with(filter("a", "deny"), "quarantine", quarantine)]));
    for _ in 0..5 {
        let refused = outcome(&registry, request("c", "f", "m")).await.unwrap_err();
        assert_eq!(refused.message, "denied by a");
    }
}

#[test]
fn what_a_kind_does_not_have_is_refused() {
    let bypass = json!({"policy": "bypass"});
    for (kind, entry, told) in [
        (
            "authFilters",
            with(filter("a", "mark"), "quarantine", bypass),
            "quarantine.policy of auth filters to be one of [Deny], found Bypass",
        ),
        (
            "decorators",
            with(filter("a", "edit"), "quarantine", json!({"failures": 0})),
            "quarantine.failures to be at least 1",
        ),
        (
            "platforms",
            with(filter("a", "edit"), "match", json!({"channel": "c"})),
            "only the keys that platforms have",
        ),
        (
            "platforms",
            with(filter("a", "edit"), "mode", json!("shadow")),
            "only the keys that platforms have",
        ),
    ] {
        let error = load(json!({ kind: [entry] })).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    for (key, wrong) in [
        ("match", json!({"chanel": "c"})),
        ("match", json!({"channel": 7})),
        ("match", json!({"mspid": []})),
        ("match", json!({"chaincode": ["pay", "trade:2.0"]})),
        ("mode", json!("ghost")),
        ("quarantine", json!({"policy": "allow"})),
        ("quarantine", json!({"failures": "many"})),
    ] {
        let section = json!({"authFilters": [with(filter("a", "mark"), key, wrong)]});
        let faults = handlers::Config::read(&section).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].path, format!("peer.handlers.authFilters[0].{key}"));
    }
}
