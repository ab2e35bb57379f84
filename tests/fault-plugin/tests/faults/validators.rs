//! Faulty validation plugins: a block stops, nobody guesses a verdict.

use crate::harness::{PATIENT, filter, library_dir, load, metric, stats};
use bytes::Bytes;
use handlers::{JudgedAction, Registry, Signed, ValidateError, Verdict};
use serde_json::json;
use std::sync::Arc;

/// A transaction of `mycc` that nobody endorsed, over a ledger that is gone.
struct Action;

impl JudgedAction for Action {
    fn channel_id(&self) -> &str {
        "mychannel"
    }
    fn block_number(&self) -> u64 {
        7
    }
    fn tx_position(&self) -> u64 {
        0
    }
    fn tx_id(&self) -> &str {
        "id"
    }
    fn chaincode_name(&self) -> &str {
        "mycc"
    }
    fn namespace(&self) -> &str {
        "mycc"
    }
    fn policy(&self) -> &[u8] {
        b"policy"
    }
    fn envelope(&self) -> Bytes {
        Bytes::new()
    }
    fn signed_payload(&self) -> &[u8] {
        b""
    }
    fn creator(&self) -> &[u8] {
        b""
    }
    fn signature(&self) -> &[u8] {
        b""
    }
    fn proposal_payload(&self) -> &[u8] {
        b""
    }
    fn response_payload(&self) -> &[u8] {
        b""
    }
    fn results(&self) -> Bytes {
        Bytes::new()
    }
    fn endorsements_len(&self) -> usize {
        0
    }
    fn endorsement(&self, _index: usize) -> Option<(&[u8], &[u8])> {
        None
    }
    fn has_capability(&self, _name: &str) -> bool {
        true
    }
    fn state(&self, _namespace: &str, _key: &str) -> Result<Option<Bytes>, String> {
        Err("disk is gone".to_owned())
    }
    fn state_metadata(&self, _namespace: &str, _key: &str, _entry: &str) -> Result<Option<Bytes>, String> {
        Err("disk is gone".to_owned())
    }
    fn private_metadata(
        &self,
        _namespace: &str,
        _collection: &str,
        _key_hash: &[u8],
        _entry: &str,
    ) -> Result<Option<Bytes>, String> {
        Err("disk is gone".to_owned())
    }
    fn signers(&self, signed: &[Signed<'_>]) -> Result<usize, String> {
        Ok(signed.len())
    }
    fn satisfies(&self, signers: usize, policy: &[u8]) -> Result<Result<(), String>, String> {
        assert_eq!((signers, policy), (0, b"policy".as_slice()));
        Ok(Err("signature set did not satisfy policy".to_owned()))
    }
    fn verify(&self, _signed: &Signed<'_>) -> Result<Result<(), String>, String> {
        panic!("in the peer")
    }
    fn satisfies_principal(&self, _identity: &[u8], _principal: &[u8]) -> Result<Result<(), String>, String> {
        panic!("in the peer")
    }
}

/// An entry whose calls may take so many milliseconds.
fn entry(limit: u64, mode: &str, executor: &str) -> serde_json::Value {
    let mut entry = filter("Fault", mode);
    entry["executor"] = json!(executor);
    entry["timeoutMs"] = json!(limit);
    entry
}

fn registry(mode: &str, executor: &str) -> Registry {
    within(PATIENT, mode, executor)
}

fn within(limit: u64, mode: &str, executor: &str) -> Registry {
    load(json!({ "validators": { "special": entry(limit, mode, executor) } })).unwrap()
}

fn judge(registry: &Registry) -> Result<Verdict, ValidateError> {
    registry
        .validators()
        .get("special")
        .unwrap()
        .validate(Arc::new(Action))
}

#[test]
fn it_judges_by_what_the_peer_says() {
    for executor in ["inline", "isolated"] {
        assert_eq!(judge(&registry("pass", executor)), Ok(Verdict::Valid));
        let invalid = |reason: &str| Ok(Verdict::Invalid(reason.to_owned()));
        assert_eq!(judge(&registry("refuse", executor)), invalid("no mycc today"));
        assert_eq!(
            judge(&registry("policy", executor)),
            invalid("signature set did not satisfy policy")
        );
        assert!(registry("pass", executor).validators().get("vscc").is_none());
    }
}

#[test]
fn a_failure_is_no_verdict() {
    for executor in ["inline", "isolated"] {
        for (mode, expected) in [
            ("deny", "licence server is away"),
            ("panic", "validation plugin special failed"),
            ("state", "disk is gone"),
        ] {
            let registry = registry(mode, executor);
            // also after the tenth: a channel must not depend on what another one met
            for _ in 0..10 {
                assert_eq!(judge(&registry).unwrap_err().to_string(), expected);
            }
            assert_eq!(stats(&registry).refused, 0);
            assert!(!stats(&registry).breaker_open);
        }
    }
}

#[test]
fn one_that_hangs_ends_at_its_deadline() {
    // on a busy machine the call may not have got into the plugin by then, and never does: then with a longer deadline
    for limit in [50, 500, 5_000, 50_000] {
        let registry = within(limit, "block", "isolated");
        assert_eq!(
            judge(&registry).unwrap_err().to_string(),
            "validation plugin special did not answer in time"
        );
        assert_eq!(stats(&registry).timeouts, 1);
        if metric(&registry, "plugin_special_seen") > 0.0 {
            assert_eq!(stats(&registry).stuck, 1);
            return;
        }
    }
    panic!("no call ever got in");
}

#[test]
fn a_reload_is_the_way_back_for_one_that_has_no_thread_left() {
    // all of them have got into the plugin by then
    let limit = 3_000;
    let registry = within(limit, "block", "isolated");
    let late = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..16).map(|_| scope.spawn(|| judge(&registry))).collect();
        calls.into_iter().all(|call| call.join().unwrap().is_err())
    });
    assert!(late);
    let refused = judge(&registry).unwrap_err().to_string();
    assert!(refused.contains("has no thread left"), "{refused}");
    let same = json!({ "validators": { "special": entry(limit, "block", "isolated") } });
    let same = serde_json::from_value(same).unwrap();
    registry.reload(&same, &[library_dir()]).unwrap();
    let asked = judge(&registry).unwrap_err().to_string();
    assert!(asked.contains("did not answer in time"), "{asked}");
}

#[test]
fn calls_that_end_do_not_count_as_stuck() {
    let registry = registry("pass", "isolated");
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| (0..200).for_each(|_| assert_eq!(judge(&registry), Ok(Verdict::Valid))));
        }
    });
    let stats = stats(&registry);
    assert_eq!((stats.stuck, stats.refused, stats.timeouts), (0, 0, 0));
}
