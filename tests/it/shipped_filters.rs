//! The filters that are shipped beside the default ones, together, around a real endorser: each decides what is its own to
//! decide, and the audit log has what became of every proposal and which policy said so.

use std::path::Path;
use std::time::Duration;

use integration::forge::Forge;
use integration::network::{CHAINCODE, Harness};
use protos::peer::{ProposalResponse, SignedProposal};
use serde_json::{Value, json};

const POLICIES: &str = r#"
@id("members")
permit (principal in Msp::"Org1MSP", action, resource);
@id("no-errors")
forbid (principal, action, resource == Chaincode::"kv")
when { resource in Channel::"mychannel" && context.function == "error" && context.arguments == 1 };
"#;

/// The machine may be busy with something else.
const PATIENT: u64 = 60_000;

fn filters(file: &Path) -> Value {
    json!([
        { "name": "audit-log", "executor": "inline", "config": { "file": file } },
        { "name": "time-window", "executor": "inline" },
        { "name": "rate-limit", "timeoutMs": PATIENT, "config": { "rules": [
            { "name": "reads", "by": ["identity", "remote-ip"], "rate": 0.001, "burst": 2, "match": { "function": "get" } },
        ] } },
        { "name": "attribute-policy", "timeoutMs": PATIENT, "config": { "policies": POLICIES } },
        { "name": "DefaultAuth", "timeoutMs": PATIENT },
    ])
}

/// The records of calls of the chaincode, once the last one is there.
async fn records(file: &Path, last: &str) -> Vec<Value> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let text = std::fs::read_to_string(file).expect("the file");
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let records: Vec<Value> = lines
            .map(|line| serde_json::from_str(line).expect("a record"))
            .filter(|record: &Value| record["chaincode"] == CHAINCODE)
            .collect();
        if records.last().is_some_and(|record| record["text"] == last) {
            return records;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "never came: {last}; {text}"
        );
        tokio::task::yield_now().await;
    }
}

fn old(harness: &Harness) -> SignedProposal {
    let mut forge = Forge::new(
        harness.network.user().signer(),
        "mychannel",
        CHAINCODE,
        &[b"put", b"a"],
    );
    if let Some(timestamp) = &mut forge.channel_header.timestamp {
        timestamp.seconds -= 3600;
    }
    forge.sign()
}

fn refusal(answer: Result<ProposalResponse, tonic::Status>) -> (i32, String) {
    let status = answer.expect_err("a refusal");
    (status.code().into(), status.message().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_filters_and_policies_decide_is_recorded() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("audit.log");
    let harness = Harness::start_with([("peer.handlers.authFilters", filters(&file))]).await;
    let _shim = harness.connect("kv:1").await;

    for args in [&["put", "a"][..], &["get", "a"], &["get", "a"]] {
        let answer = harness.call(args).await.expect("an answer");
        assert!(answer.endorsement.is_some(), "{args:?}");
    }
    let (code, limited) = refusal(harness.call(&["get", "a"]).await);
    assert_eq!(code, 8);
    assert!(
        limited.starts_with("too many proposals (limit \"reads\"): retry after "),
        "{limited}"
    );
    let (code, forbidden) = refusal(harness.call(&["error", "x"]).await);
    assert_eq!(
        (code, forbidden.as_str()),
        (7, "this peer's policies do not permit this proposal")
    );
    let answer = harness.call(&["status", "404"]).await.expect("an answer");
    assert!(answer.endorsement.is_none());
    let (code, late) = refusal(harness.send(old(&harness)).await);
    assert_eq!(code, 2);
    assert!(
        late.contains("behind the peer's clock, which allows 15m"),
        "{late}"
    );

    let members = json!({ "policy.id": "members" });
    let expected = [
        ("put", "endorsed", 0, json!(200), members.clone()),
        ("get", "endorsed", 0, json!(200), members.clone()),
        ("get", "endorsed", 0, json!(200), members.clone()),
        ("get", "rejected", 8, Value::Null, json!({})),
        (
            "error",
            "rejected",
            7,
            Value::Null,
            json!({ "policy.id": "no-errors" }),
        ),
        ("status", "answered", 0, json!(404), members),
        ("put", "rejected", 2, Value::Null, json!({})),
    ];
    let seen = records(&file, &late).await;
    assert_eq!(seen.len(), expected.len(), "{seen:?}");
    for (record, (function, decision, code, status, attrs)) in seen.iter().zip(&expected) {
        assert_eq!(
            (
                &record["function"],
                &record["decision"],
                &record["code"],
                &record["status"],
                &record["attrs"]
            ),
            (&json!(function), &json!(decision), &json!(code), status, attrs)
        );
        assert_eq!(
            (&record["mspid"], &record["channel"]),
            (&json!("Org1MSP"), &json!("mychannel"))
        );
        assert!(
            record["subject"]
                .as_str()
                .is_some_and(|subject| subject.contains("CN=User1@")),
            "{record}"
        );
        assert!(
            record["remoteAddr"]
                .as_str()
                .is_some_and(|address| address.starts_with("127.0.0.1:"))
        );
        assert_eq!(record["txId"].as_str().map(str::len), Some(64));
    }
}
