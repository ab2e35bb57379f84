//! What simulators see and record.

use bytes::Bytes;
use protos::kvrwset::RangeQueryInfo;
use protos::kvrwset::range_query_info::ReadsInfo;
use protos::peer::TxValidationCode::{self, MvccReadConflict, PhantomReadConflict, Valid};
use protos::{sha256, wire_message};

use crate::rwset::NsRwSet;
use crate::test_support::TestLedger;
use crate::{SimulationError, StateIterator, StateMetadata, TxSimulator, Version};

const NS: &str = "ns1";

fn set(simulator: &TxSimulator, key: &str, value: &'static str) {
    simulator.set_state(NS, key, value.into()).unwrap();
}

fn get(simulator: &TxSimulator, key: &str) -> Option<Bytes> {
    simulator.get_state(NS, key).unwrap()
}

fn keys(mut iterator: StateIterator) -> Vec<String> {
    let mut keys = Vec::new();
    while let Some(record) = iterator.next().unwrap() {
        keys.push(record.key);
    }
    keys
}

fn recorded(simulator: &TxSimulator) -> NsRwSet {
    simulator.results().unwrap().rwset.namespaces.remove(0)
}

fn code(test: &TestLedger, simulator: TxSimulator) -> TxValidationCode {
    test.commit(vec![simulator]).codes[0]
}

/// Keys `key01` … in block 1.
fn with_keys(count: usize) -> TestLedger {
    let test = TestLedger::new();
    test.run(|simulator| {
        for index in 1..=count {
            set(simulator, &format!("key{index:03}"), "value");
        }
    });
    test
}

#[test]
fn a_simulation_does_not_see_its_writes() {
    let test = TestLedger::new();
    let simulator = test.simulator();
    assert_eq!(get(&simulator, "key1"), None);
    for namespace in ["ns1", "ns2"] {
        for key in ["key1", "key2"] {
            simulator.set_state(namespace, key, "value".into()).unwrap();
        }
    }
    assert_eq!(get(&simulator, "key1"), None);
    assert_eq!(simulator.get_state("ns2", "key2").unwrap(), None);
}

#[test]
fn committed_values_carry_versions() {
    let test = TestLedger::new();
    test.put(NS, &[("key1", "value1"), ("key2", "value2"), ("key3", "value3")]);
    let code = test.run(|simulator| {
        assert_eq!(get(simulator, "key1").unwrap(), "value1");
        set(simulator, "key1", "value1_1");
        assert_eq!(get(simulator, "key1").unwrap(), "value1");
        simulator.delete_state(NS, "key3").unwrap();
    });
    assert_eq!(code, Valid);
    let simulator = test.simulator();
    assert_eq!(get(&simulator, "key1").unwrap(), "value1_1");
    assert_eq!(get(&simulator, "key2").unwrap(), "value2");
    assert_eq!(get(&simulator, "key3"), None);
    let reads = recorded(&simulator).kv.reads;
    let reads: Vec<_> = reads
        .iter()
        .map(|read| (read.key.as_str(), read.version.as_ref().map(Version::from)))
        .collect();
    assert_eq!(
        reads,
        [
            ("key1", Some(Version::new(2, 0))),
            ("key2", Some(Version::new(1, 0))),
            ("key3", None)
        ]
    );
}

#[test]
fn an_empty_value_deletes() {
    let test = TestLedger::new();
    test.put(NS, &[("key", "value")]);
    let simulator = test.simulator();
    set(&simulator, "key", "");
    set(&simulator, "other", "");
    set(&simulator, "other", "put after delete");
    let writes = simulator.results().unwrap().rwset.namespaces.remove(0).kv.writes;
    assert!(writes[0].is_delete && !writes[1].is_delete);
    test.put(NS, &[("key", "")]);
    assert_eq!(test.get(NS, "key"), None);
}

#[test]
fn simulations_from_before_a_commit_conflict_if_they_read() {
    let test = TestLedger::new();
    test.put(NS, &[("key1", "1"), ("key2", "2"), ("key3", "3"), ("key4", "4")]);
    let simulators: [TxSimulator; 5] = std::array::from_fn(|_| test.simulator());
    let [tx2, tx3, tx4, tx5, tx6] = simulators;
    get(&tx2, "key1");
    set(&tx2, "key1", "1_2");
    tx2.delete_state(NS, "key3").unwrap();
    get(&tx3, "key1");
    set(&tx3, "key1", "1_3");
    get(&tx4, "key3");
    tx4.delete_state(NS, "key3").unwrap();
    set(&tx5, "key1", "1_5");
    get(&tx5, "key1");
    set(&tx6, "key6", "6");
    assert_eq!(code(&test, tx2), Valid);
    for tx in [tx3, tx4, tx5] {
        assert_eq!(code(&test, tx), MvccReadConflict);
    }
    assert_eq!(code(&test, tx6), Valid);
    assert_eq!(test.get(NS, "key1").unwrap(), "1_2");
}

#[test]
fn a_simulation_sees_one_height() {
    let test = with_keys(5);
    let simulator = test.simulator();
    let mut iterator = simulator.get_state_range_scan(NS, "", "").unwrap();
    assert_eq!(iterator.next().unwrap().unwrap().key, "key001");
    test.put(NS, &[("key002", ""), ("key003", "new"), ("key006", "new")]);
    assert_eq!(keys(iterator), ["key002", "key003", "key004", "key005"]);
    assert_eq!(get(&simulator, "key003").unwrap(), "value");
    assert_eq!((simulator.height(), test.ledger.height()), (2, 3));
}

#[test]
fn phantoms_conflict() {
    let test = with_keys(5);
    let simulators: [TxSimulator; 3] = std::array::from_fn(|_| test.simulator());
    let [tx2, tx3, tx4] = simulators;
    let read =
        |simulator: &TxSimulator, start, end| keys(simulator.get_state_range_scan(NS, start, end).unwrap());
    assert_eq!(read(&tx2, "key002", "key005").len(), 3);
    tx2.delete_state(NS, "key003").unwrap();
    assert_eq!(read(&tx3, "key002", "key005").len(), 3);
    set(&tx3, "key003", "new");
    assert_eq!(read(&tx4, "key004", "key006").len(), 2);
    set(&tx4, "key003", "new");
    assert_eq!(code(&test, tx2), Valid);
    assert_eq!(code(&test, tx3), PhantomReadConflict);
    assert_eq!(code(&test, tx4), Valid);
}

#[test]
fn ranges_include_their_start_and_exclude_their_end() {
    let test = with_keys(10);
    test.put("ns0", &[("other", "x")]);
    test.put("ns11", &[("other", "x")]);
    let simulator = test.simulator();
    let count = |start, end| {
        let found = keys(simulator.get_state_range_scan(NS, start, end).unwrap());
        assert!(found.is_sorted());
        found.len()
    };
    assert_eq!(count("key002", "key007"), 5);
    assert_eq!(count("key001", "key011"), 10);
    assert_eq!(count("", ""), 10);
    assert_eq!(count("key005", ""), 6);
    assert_eq!(count("", "key005"), 4);
    assert_eq!(count("key007", "key002"), 0);
    test.put(NS, &[("key003", "")]);
    assert_eq!(
        keys(test.simulator().get_state_range_scan(NS, "", "key005").unwrap()),
        ["key001", "key002", "key004"]
    );
}

#[test]
fn keys_may_be_deleted_while_iterating() {
    let test = with_keys(10);
    let code = test.run(|simulator| {
        let mut iterator = simulator.get_state_range_scan(NS, "key001", "key005").unwrap();
        while let Some(record) = iterator.next().unwrap() {
            simulator.delete_state(NS, &record.key).unwrap();
        }
    });
    assert_eq!(code, Valid);
    let simulator = test.simulator();
    let mut iterator = simulator.get_state_range_scan(NS, "key001", "key010").unwrap();
    assert_eq!(iterator.next().unwrap().unwrap().key, "key005");
}

#[test]
fn several_keys_are_read_in_request_order() {
    let test = TestLedger::new();
    test.run(|simulator| {
        let values = [("key1", "value1"), ("key2", "value2")];
        let values = values.map(|(key, value)| (key.to_owned(), Bytes::from(value)));
        simulator.set_state_multiple_keys(NS, values).unwrap();
    });
    let simulator = test.simulator();
    let values = simulator
        .get_state_multiple_keys(NS, &["key2", "none", "key1"])
        .unwrap();
    assert_eq!(values, [Some("value2".into()), None, Some("value1".into())]);
    let executor = test.ledger.new_query_executor();
    assert_eq!(
        executor.get_state_multiple_keys(NS, &["key1"]).unwrap(),
        [Some("value1".into())]
    );
}

#[test]
fn a_finished_simulator_refuses() {
    let test = with_keys(2);
    let simulator = test.simulator();
    let mut iterator = simulator.get_state_range_scan(NS, "", "").unwrap();
    assert!(iterator.next().unwrap().is_some());
    simulator.done();
    simulator.done();
    let text = "this instance should not be used after calling Done()";
    assert_eq!(wire_message(&simulator.get_state(NS, "k").unwrap_err()), text);
    assert_eq!(
        wire_message(&simulator.set_state(NS, "k", "v".into()).unwrap_err()),
        text
    );
    assert_eq!(wire_message(&iterator.next().unwrap_err()), text);
    assert!(matches!(
        simulator.get_state_range_scan(NS, "", ""),
        Err(SimulationError::Done)
    ));
    let range = &recorded(&simulator).kv.range_queries_info[0];
    assert_eq!((range.end_key.as_str(), range.itr_exhausted), ("key001", false));
    assert_eq!(
        wire_message(&simulator.results().unwrap_err()),
        "this function should only be called once on a transaction simulator instance"
    );
}

#[test]
fn pages_are_for_readers() {
    let test = with_keys(5);
    let simulator = test.simulator();
    set(&simulator, "k", "v");
    let refused = simulator
        .get_state_range_scan_paginated(NS, "", "", 2)
        .err()
        .unwrap();
    assert_eq!(
        wire_message(&refused),
        "txid [tx]: unsuppored transaction. Paginated queries are supported only in a read-only transaction"
    );
    let simulator = test.simulator();
    let mut page = simulator.get_state_range_scan_paginated(NS, "", "", 2).unwrap();
    assert_eq!(page.next().unwrap().unwrap().key, "key001");
    assert_eq!(page.next().unwrap().unwrap().key, "key002");
    assert_eq!(page.bookmark_and_close().unwrap(), "key003");
    let rest = simulator
        .get_state_range_scan_paginated(NS, "key003", "", 3)
        .unwrap();
    assert_eq!(keys(rest), ["key003", "key004", "key005"]);
    let mut last = simulator
        .get_state_range_scan_paginated(NS, "key005", "", 9)
        .unwrap();
    assert!(last.next().unwrap().is_some());
    assert_eq!(last.bookmark_and_close().unwrap(), "");
    assert_eq!(
        wire_message(&simulator.set_state(NS, "k", "v".into()).unwrap_err()),
        "txid [tx]: unsuppored transaction. Transaction has already performed a paginated query. Writes are not allowed"
    );
    // a page that was not exceeded ends with its last key, and bookmarks are not recorded
    let ranges = recorded(&simulator).kv.range_queries_info;
    assert_eq!(
        (ranges[0].end_key.as_str(), ranges[0].itr_exhausted),
        ("key002", false)
    );
}

#[test]
fn rich_queries_and_private_data_are_refused() {
    let test = TestLedger::new();
    let simulator = test.simulator();
    let refused = simulator.execute_query(NS, "{}").err().unwrap();
    assert_eq!(wire_message(&refused), "ExecuteQuery not supported for leveldb");
    let refused = simulator.execute_query_paginated(NS, "{}", "", 1).err().unwrap();
    assert_eq!(
        wire_message(&refused),
        "ExecuteQueryWithMetadata not supported for leveldb"
    );
    let simulator = test.simulator();
    assert!(simulator.get_private_data(NS, "coll", "k").is_err());
    assert!(simulator.set_private_data(NS, "coll", "k", "v".into()).is_err());
}

fn range_after(test: &TestLedger, records: usize) -> RangeQueryInfo {
    let simulator = test.simulator();
    let mut iterator = simulator.get_state_range_scan(NS, "a", "z").unwrap();
    for _ in 0..records {
        iterator.next().unwrap();
    }
    recorded(&simulator).kv.range_queries_info.remove(0)
}

#[test]
fn ranges_are_recorded_as_far_as_they_were_read() {
    let test = with_keys(60);
    let unread = range_after(&test, 0);
    assert_eq!(
        (unread.end_key.as_str(), unread.itr_exhausted, &unread.reads_info),
        ("", false, &None)
    );
    let some = range_after(&test, 50);
    assert_eq!((some.start_key.as_str(), some.end_key.as_str()), ("a", "key050"));
    assert!(!some.itr_exhausted);
    let Some(ReadsInfo::RawReads(raw)) = some.reads_info else {
        panic!("50 reads stay raw");
    };
    assert_eq!(raw.kv_reads.len(), 50);
    let hashed = range_after(&test, 51);
    assert_eq!(hashed.end_key, "key051");
    assert!(matches!(hashed.reads_info, Some(ReadsInfo::ReadsMerkleHashes(_))));
    let all = range_after(&test, 61);
    assert_eq!((all.end_key.as_str(), all.itr_exhausted), ("z", true));
}

#[test]
fn an_unchanged_long_range_is_valid() {
    let test = with_keys(300);
    let long = test.simulator();
    assert_eq!(keys(long.get_state_range_scan(NS, "", "").unwrap()).len(), 300);
    let stale = test.simulator();
    assert_eq!(keys(stale.get_state_range_scan(NS, "", "").unwrap()).len(), 300);
    test.put("other", &[("key150", "x")]);
    assert_eq!(code(&test, long), Valid);
    test.put(NS, &[("key150", "x")]);
    assert_eq!(code(&test, stale), PhantomReadConflict);
}

#[test]
fn metadata_is_read_and_written() {
    let test = TestLedger::new();
    test.put(NS, &[("key", "value")]);
    let metadata = StateMetadata::from([("VALIDATION_PARAMETER".to_owned(), Bytes::from("policy"))]);
    let code = test.run(|simulator| {
        assert_eq!(
            simulator.get_state_metadata(NS, "key").unwrap(),
            StateMetadata::new()
        );
        simulator.set_state_metadata(NS, "key", metadata.clone()).unwrap();
    });
    assert_eq!(code, Valid);
    let simulator = test.simulator();
    assert_eq!(simulator.get_state_metadata(NS, "key").unwrap(), metadata);
    assert_eq!(get(&simulator, "key").unwrap(), "value");
    simulator.delete_state_metadata(NS, "key").unwrap();
    set(&simulator, "new", "value");
    let results = simulator.results().unwrap();
    let read = results.rwset.namespaces[0].kv.reads[0]
        .version
        .as_ref()
        .map(Version::from);
    assert_eq!(read, Some(Version::new(2, 0)));
    let written = &results.writeset_metadata[NS];
    assert_eq!(
        (&written["key"], &written["new"]),
        (&metadata, &StateMetadata::new())
    );
}

#[test]
fn results_are_public_bytes() {
    let test = TestLedger::new();
    assert_eq!(test.simulator().results().unwrap().public, Bytes::new());
    let simulator = test.simulator();
    set(&simulator, "k", "v");
    let results = simulator.results().unwrap();
    assert_eq!(results.private, None);
    assert_eq!(sha256(&[&results.public]), sha256(&[&results.rwset.encode()]));
    assert_eq!(hex::encode(results.public), "120f0a036e733112081a060a016b1a0176");
}
