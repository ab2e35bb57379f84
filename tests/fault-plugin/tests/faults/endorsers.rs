//! What becomes of good and of faulty endorsement plugins.

use crate::harness::{PATIENT, filter, load, metric, stats};
use bytes::Bytes;
use handlers::{EndorseError, Endorsed, EndorsingPeer, ParsedRequest, Registry};
use prost::Message;
use protos::msp::SerializedIdentity;
use protos::peer::ProposalResponsePayload;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

struct Peer;

impl EndorsingPeer for Peer {
    fn serialized_identity(&self) -> Bytes {
        let identity = SerializedIdentity {
            mspid: "Org1MSP".into(),
            ..SerializedIdentity::default()
        };
        identity.encode_to_vec().into()
    }

    fn sign(&self, parts: &[&[u8]]) -> Result<Bytes, String> {
        Ok(parts.concat().into())
    }

    fn state(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, String> {
        assert_eq!((namespace, key), ("ns", "key"));
        Err("channel 'x' not found".to_owned())
    }
}

fn registry(mode: &str, executor: &str) -> Registry {
    let mut entry = filter("Fault", mode);
    entry["executor"] = json!(executor);
    load(json!({ "endorsers": { "special": entry } })).unwrap()
}

fn payload() -> Bytes {
    let payload = ProposalResponsePayload {
        proposal_hash: "hash".into(),
        extension: "action".into(),
    };
    payload.encode_to_vec().into()
}

async fn endorse(registry: &Registry, name: &str) -> Result<Endorsed, EndorseError> {
    let request = Arc::new(ParsedRequest {
        chaincode_name: "mycc".into(),
        ..ParsedRequest::default()
    });
    let peer: Arc<dyn EndorsingPeer> = Arc::new(Peer);
    let endorsers = registry.endorsers();
    match endorsers.endorse_here(name, &request, &payload(), &peer) {
        Some(made) => made,
        None => endorsers.endorse(name, &request, &payload(), &peer).await,
    }
}

#[tokio::test]
async fn it_signs_and_may_change_the_payload() {
    for executor in ["inline", "isolated"] {
        let made = endorse(&registry("pass", executor), "special").await.unwrap();
        let identity = Peer.serialized_identity();
        assert_eq!(made.signature, [payload(), identity.clone()].concat());
        assert_eq!((made.endorser, made.payload), (identity, None));
        let made = endorse(&registry("append", executor), "special").await.unwrap();
        assert!(made.payload.unwrap().starts_with(&payload()));
    }
}

#[tokio::test]
async fn what_is_no_endorsement_does_not_reach_the_client() {
    for executor in ["inline", "isolated"] {
        for (mode, expected) in [
            ("deny", "not mycc"),
            ("panic", "endorsement plugin special failed"),
            (
                "unsigned",
                "endorsement plugin special returned a signature that is empty or too large",
            ),
            (
                "oversize",
                "endorsement plugin special returned a signature that is empty or too large",
            ),
            (
                "nobody",
                "endorsement plugin special returned an endorser that is no identity",
            ),
            (
                "garbage",
                "endorsement plugin special returned a payload that is no ProposalResponsePayload",
            ),
            (
                "other proposal",
                "endorsement plugin special returned a payload that answers another proposal",
            ),
            ("state", "channel 'x' not found"),
        ] {
            let error = endorse(&registry(mode, executor), "special").await.unwrap_err();
            assert_eq!(error.to_string(), expected, "{mode} {executor}");
        }
        let unknown = endorse(&registry("pass", executor), "escc").await.unwrap_err();
        assert_eq!(unknown.to_string(), "plugin with name escc wasn't found");
    }
}

#[tokio::test]
async fn one_that_panics_is_switched_off() {
    for executor in ["inline", "isolated"] {
        let registry = registry("panic", executor);
        for _ in 0..5 {
            endorse(&registry, "special").await.unwrap_err();
        }
        let error = endorse(&registry, "special").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "endorsement plugin special is in quarantine after repeated failures"
        );
        assert_eq!((stats(&registry).panics, stats(&registry).refused), (5, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_costs_its_deadline() {
    let registry = registry("block", "isolated");
    let inside = registry.clone();
    let call = tokio::spawn(async move { endorse(&inside, "special").await });
    while metric(&registry, "plugin_special_seen") < 1.0 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_millis(PATIENT + 1)).await;
    assert_eq!(
        call.await.unwrap().unwrap_err().to_string(),
        "endorsement plugin special did not answer in time"
    );
    assert_eq!((stats(&registry).timeouts, stats(&registry).stuck), (1, 1));
}

#[tokio::test]
async fn one_name_may_endorse_and_validate() {
    let entry = filter("Fault", "pass");
    let registry = load(json!({
        "authFilters": [filter("b", "pass")],
        "endorsers": { "a": entry, "b": entry },
        "validators": { "a": entry },
    }))
    .unwrap();
    let names: Vec<_> = registry
        .list()
        .into_iter()
        .map(|plugin| (plugin.instance, plugin.config_path))
        .collect();
    let expected = [
        ("b", "peer.handlers.authFilters[0]"),
        ("a", "peer.handlers.endorsers.a"),
        ("endorsers.b", "peer.handlers.endorsers.b"),
        ("validators.a", "peer.handlers.validators.a"),
    ];
    assert_eq!(
        names,
        expected.map(|(name, path)| (name.to_owned(), path.to_owned()))
    );
    assert!(endorse(&registry, "b").await.is_ok());
}
