//! The history of keys.

use bytes::Bytes;
use protos::peer::TxValidationCode::MvccReadConflict;
use protos::queryresult::KeyModification;
use protos::wire_message;

use crate::Version;
use crate::rwset::RwSetBuilder;
use crate::test_support::TestLedger;

const NS: &str = "ns";

fn history(test: &TestLedger, key: &str) -> Vec<KeyModification> {
    let executor = test.ledger.history_query_executor().unwrap();
    let mut iterator = executor.get_history_for_key(NS, key).unwrap();
    let mut found = Vec::new();
    while let Some(modification) = iterator.next().unwrap() {
        found.push(modification);
    }
    found
}

fn summary(found: &[KeyModification]) -> Vec<(&str, &[u8], bool)> {
    let found = found.iter();
    found
        .map(|entry| (entry.tx_id.as_str(), entry.value.as_ref(), entry.is_delete))
        .collect()
}

#[test]
fn the_newest_write_comes_first() {
    let test = TestLedger::new();
    test.put(NS, &[("key", "value1"), ("key\0", "collides?"), ("other", "x")]);
    test.put("ns2", &[("key", "elsewhere")]);
    let write = |value: &'static str| {
        let mut builder = RwSetBuilder::new();
        builder.add_write(NS, "key", value.into());
        builder.build().0.encode()
    };
    test.commit_results(vec![write("value2"), write("value3")]);
    test.put(NS, &[("key", "")]);
    let found = history(&test, "key");
    assert_eq!(
        summary(&found),
        [
            ("4-0", b"".as_ref(), true),
            ("3-1", b"value3".as_ref(), false),
            ("3-0", b"value2".as_ref(), false),
            ("1-0", b"value1".as_ref(), false),
        ]
    );
    assert!(
        found
            .iter()
            .all(|entry| entry.timestamp.as_ref().unwrap().seconds == 1_700_000_000)
    );
    assert_eq!(history(&test, "none"), []);
}

#[test]
fn invalid_transactions_and_configuration_leave_no_history() {
    let test = TestLedger::new();
    test.put(NS, &[("key", "value")]);
    let mut builder = RwSetBuilder::new();
    builder.add_read(NS, "key", Some(Version::new(0, 0)));
    builder.add_write(NS, "key", "never".into());
    let code = test.commit_results(vec![builder.build().0.encode()]).codes[0];
    assert_eq!(code, MvccReadConflict);
    assert_eq!(
        summary(&history(&test, "key")),
        [("1-0", b"value".as_ref(), false)]
    );
    assert_eq!(history(&test, ""), []);
}

#[test]
fn a_history_switched_on_catches_up() {
    let test = TestLedger::new();
    test.put(NS, &[("key", "1")]);
    let test = test.reopen_with(|config| config.history_enabled = false);
    let refused = test.ledger.history_query_executor().err().unwrap();
    assert_eq!(wire_message(&refused), "history database is not enabled");
    test.put(NS, &[("key", "2")]);
    let mut stale = RwSetBuilder::new();
    stale.add_read(NS, "key", None);
    stale.add_write(NS, "key", "never".into());
    test.commit_results(vec![stale.build().0.encode(), Bytes::new()]);
    test.put(NS, &[("key", "3")]);
    let test = test.reopen_with(|config| config.history_enabled = true);
    let values: Vec<_> = history(&test, "key")
        .into_iter()
        .map(|entry| entry.value)
        .collect();
    assert_eq!(values, ["3", "2", "1"]);
    test.put(NS, &[("key", "4")]);
    assert_eq!(history(&test.reopen(), "key").len(), 4);
}

#[test]
fn a_history_iterator_keeps_its_height() {
    let test = TestLedger::new();
    test.put(NS, &[("key", "1")]);
    let executor = test.ledger.history_query_executor().unwrap();
    test.put(NS, &[("key", "2")]);
    let mut iterator = executor.get_history_for_key(NS, "key").unwrap();
    assert_eq!(iterator.next().unwrap().unwrap().value, "1");
    iterator.close();
    assert_eq!(iterator.next().unwrap(), None);
}
