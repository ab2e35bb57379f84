//! Conflicts with what was committed before and with earlier transactions of the block.

use protos::kvrwset::QueryReads;
use protos::peer::TxValidationCode::{InvalidOtherReason, MvccReadConflict, PhantomReadConflict, Valid};

use super::*;
use crate::rwset::RwSetBuilder;
use crate::test_support::TestLedger;

const NS: &str = "ns";

/// Block 1 writes each of `keys` in a transaction of its own.
fn committed(keys: &[&str]) -> TestLedger {
    let test = TestLedger::new();
    let writes = keys.iter().map(|key| {
        let mut builder = RwSetBuilder::new();
        builder.add_write(NS, key, "value".into());
        results(builder)
    });
    test.commit_results(writes.collect());
    test
}

fn results(builder: RwSetBuilder) -> Bytes {
    builder.build().0.encode()
}

fn tx(collect: impl FnOnce(&mut RwSetBuilder)) -> Bytes {
    let mut builder = RwSetBuilder::new();
    collect(&mut builder);
    results(builder)
}

fn codes(test: &TestLedger, transactions: Vec<Bytes>) -> Vec<TxValidationCode> {
    test.commit_results(transactions).codes
}

fn at(block: u64, tx: u64) -> Option<Version> {
    Some(Version::new(block, tx))
}

fn read(key: &str, version: Option<Version>) -> Bytes {
    tx(|set| set.add_read(NS, key, version))
}

fn query(start: &str, end: &str, exhausted: bool, reads: &[(&str, Version)]) -> Bytes {
    let reads = reads.iter().map(|(key, version)| kv_read(key, *version));
    let reads = QueryReads {
        kv_reads: reads.collect(),
    };
    query_with(start, end, exhausted, Some(ReadsInfo::RawReads(reads)))
}

fn query_with(start: &str, end: &str, itr_exhausted: bool, reads_info: Option<ReadsInfo>) -> Bytes {
    let query = RangeQueryInfo {
        start_key: start.into(),
        end_key: end.into(),
        itr_exhausted,
        reads_info,
    };
    tx(|set| set.add_range_query(NS, query))
}

fn kv_read(key: &str, version: Version) -> KvRead {
    KvRead {
        key: key.into(),
        version: Some(version.into()),
    }
}

#[test]
fn reads_must_be_current() {
    let test = committed(&["key1", "key2"]);
    let block = vec![
        read("key1", at(1, 0)),
        read("key3", None),
        read("key1", at(1, 1)),
        read("key2", None),
        read("key3", at(1, 0)),
    ];
    assert_eq!(
        codes(&test, block),
        [Valid, Valid, MvccReadConflict, MvccReadConflict, MvccReadConflict]
    );
}

#[test]
fn writes_of_a_block_conflict_with_later_reads_in_it() {
    let test = committed(&["key1", "key2"]);
    let invalid = tx(|set| {
        set.add_read(NS, "key1", None);
        set.add_write(NS, "key2", "x".into());
    });
    let block = vec![
        invalid,
        // an invalid transaction touches nothing
        read("key2", at(1, 1)),
        tx(|set| set.add_write(NS, "key1", "new".into())),
        read("key1", at(1, 0)),
        // a deleted key is touched, too, even if it never existed
        tx(|set| set.add_write(NS, "key9", Bytes::new())),
        read("key9", None),
    ];
    assert_eq!(
        codes(&test, block),
        [
            MvccReadConflict,
            Valid,
            Valid,
            MvccReadConflict,
            Valid,
            MvccReadConflict
        ]
    );
    assert_eq!(test.get(NS, "key2").unwrap(), "value");
    assert_eq!(test.get(NS, "key1").unwrap(), "new");
}

#[test]
fn ranges_must_be_as_they_were() {
    let test = committed(&["key1", "key2", "key3", "key4"]);
    let key = |index: u64| Version::new(1, index - 1);
    let block = vec![
        query("key2", "key4", true, &[("key2", key(2)), ("key3", key(3))]),
        query(
            "key2",
            "key4",
            false,
            &[("key2", key(2)), ("key3", key(3)), ("key4", key(4))],
        ),
        query(
            "key2",
            "key4",
            false,
            &[("key2", key(2)), ("key3", key(3)), ("key4", key(3))],
        ),
        query("key2", "key4", true, &[("key2", key(2))]),
        // the end key counts unless the query was exhausted
        query("key2", "key4", false, &[("key2", key(2)), ("key3", key(3))]),
        query(
            "key2",
            "key4",
            true,
            &[("key2", key(2)), ("key3", key(3)), ("key4", key(4))],
        ),
    ];
    let phantom = PhantomReadConflict;
    assert_eq!(
        codes(&test, block),
        [Valid, Valid, phantom, phantom, phantom, phantom]
    );
}

#[test]
fn earlier_transactions_change_ranges() {
    let range = || {
        let key = |index: u64| Version::new(1, index - 1);
        query("key2", "key4", true, &[("key2", key(2)), ("key3", key(3))])
    };
    for (change, value) in [("key3", ""), ("key2_1", "new"), ("key2", "other")] {
        let test = committed(&["key1", "key2", "key3", "key4"]);
        let change = tx(|set| set.add_write(NS, change, value.into()));
        assert_eq!(
            codes(&test, vec![range(), change, range()]),
            [Valid, Valid, PhantomReadConflict]
        );
    }
    let test = committed(&["key1", "key2", "key3", "key4"]);
    let outside = tx(|set| {
        set.add_write(NS, "key4", "x".into());
        set.add_write("other", "key3", "x".into());
    });
    assert_eq!(codes(&test, vec![outside, range()]), [Valid, Valid]);
}

#[test]
fn boundaries_of_ranges_are_checked() {
    let test = committed(&["key4", "key5"]);
    let (four, five) = (Version::new(1, 0), Version::new(1, 1));
    let block = vec![
        query("key1", "key4", true, &[]),
        query_with("key1", "key4", true, None),
        query("key1", "key4", true, &[("key2", four)]),
        query("key1", "key5", true, &[]),
        query("key1", "key6", true, &[("key4", four)]),
        query("key1", "", true, &[("key4", four), ("key5", five)]),
        query("key1", "", true, &[]),
        // a range that ends before it starts is empty
        query("key9", "key1", true, &[]),
    ];
    let phantom = PhantomReadConflict;
    assert_eq!(
        codes(&test, block),
        [Valid, Valid, phantom, phantom, phantom, Valid, phantom, Valid]
    );
}

fn merkle(degree: u32, reads: &[(String, Version)]) -> ReadsInfo {
    let mut results = QueryResults::new(degree).unwrap();
    for (key, version) in reads {
        results.add(kv_read(key, *version));
    }
    match results.done() {
        RangeQueryReads::Merkle(summary) => ReadsInfo::ReadsMerkleHashes(summary),
        RangeQueryReads::Raw(kv_reads) => ReadsInfo::RawReads(QueryReads { kv_reads }),
    }
}

#[test]
fn hashed_ranges_must_be_as_they_were() {
    for count in [3, 4, 9, 24, 45] {
        let keys: Vec<String> = (0..count).map(|index| format!("key{index:02}")).collect();
        let test = committed(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        let versions = (0..).map(|index| Version::new(1, index));
        let read: Vec<_> = keys.iter().cloned().zip(versions).collect();
        let range = |reads: &[(String, Version)]| query_with("key", "kez", true, Some(merkle(2, reads)));
        let mut block = vec![range(&read)];
        for index in 0..read.len() {
            let mut changed = read.clone();
            changed[index].1 = Version::new(1, 1000);
            block.push(range(&changed));
        }
        let (last, fewer) = read.split_last().unwrap();
        block.push(range(fewer));
        let mut more = read.clone();
        more.push(("key99".into(), last.1));
        block.push(range(&more));
        let codes = codes(&test, block);
        let (first, others) = codes.split_first().unwrap();
        assert_eq!(*first, Valid);
        assert!(
            others.iter().all(|code| *code == PhantomReadConflict),
            "{count}: {others:?}"
        );
    }
}

#[test]
fn impossible_trees_are_refused() {
    let test = committed(&["key1"]);
    let summary = |max_degree, max_level| {
        ReadsInfo::ReadsMerkleHashes(QueryReadsMerkleSummary {
            max_degree,
            max_level,
            max_level_hashes: Vec::new(),
        })
    };
    let block = vec![
        query_with("a", "z", true, Some(summary(1, 1))),
        query_with("a", "z", true, Some(summary(u32::MAX, u32::MAX))),
        query_with("x", "z", true, Some(summary(2, 0))),
    ];
    assert_eq!(
        codes(&test, block),
        [InvalidOtherReason, PhantomReadConflict, PhantomReadConflict]
    );
}

#[test]
fn private_hashes_are_versioned() {
    let test = TestLedger::new();
    let put = |value: &'static str| tx(|set| set.add_private_write(NS, "coll", "k", value.into()));
    let read = |version| tx(|set| set.add_hashed_read(NS, "coll", "k", version));
    assert_eq!(
        codes(&test, vec![read(None), put("v"), read(None)]),
        [Valid, Valid, MvccReadConflict]
    );
    assert_eq!(
        codes(&test, vec![read(at(1, 1)), read(None)]),
        [Valid, MvccReadConflict]
    );
    assert_eq!(codes(&test, vec![put("")]), [Valid]);
    assert_eq!(codes(&test, vec![read(None)]), [Valid]);
}

#[test]
fn metadata_and_values_are_merged() {
    let test = committed(&["key"]);
    let entries = |value: &'static str| BTreeMap::from([("policy".to_owned(), Bytes::from(value))]);
    let metadata = |key: &'static str, value| tx(|set| set.add_metadata_write(NS, key, entries(value)));
    let state = |key: &str| {
        let executor = test.ledger.new_query_executor();
        let value = executor.get_state(NS, key).unwrap();
        let policy = executor.get_state_metadata(NS, key).unwrap().remove("policy");
        let version = test.simulator();
        version.get_state(NS, key).unwrap();
        let version = version.results().unwrap().rwset.namespaces[0].kv.reads[0].version;
        (value, policy, version.as_ref().map(Version::from))
    };
    // metadata alone keeps the value and makes a new version; without a value it is lost
    assert_eq!(
        codes(&test, vec![metadata("key", "p"), metadata("none", "p")]),
        [Valid, Valid]
    );
    assert_eq!(state("key"), (Some("value".into()), Some("p".into()), at(2, 0)));
    assert_eq!(state("none"), (None, None, None));
    // a value alone keeps the metadata, within a block, too
    let write = |value: &'static str| tx(|set| set.add_write(NS, "key", value.into()));
    codes(&test, vec![write("v3"), metadata("key", "q"), write("v5")]);
    assert_eq!(state("key"), (Some("v5".into()), Some("q".into()), at(3, 2)));
    // both at once
    codes(
        &test,
        vec![tx(|set| {
            set.add_write(NS, "key", "v6".into());
            set.add_metadata_write(NS, "key", entries("r"));
        })],
    );
    assert_eq!(state("key"), (Some("v6".into()), Some("r".into()), at(4, 0)));
    // no entries remove the metadata
    codes(
        &test,
        vec![tx(|set| set.add_metadata_write(NS, "key", BTreeMap::new()))],
    );
    assert_eq!(state("key"), (Some("v6".into()), None, at(5, 0)));
    // a deleted key takes its metadata along; metadata does not bring it back
    codes(
        &test,
        vec![metadata("key", "s"), write(""), metadata("key", "t"), write("v7")],
    );
    assert_eq!(state("key"), (Some("v7".into()), None, at(6, 3)));
}

#[test]
fn metadata_of_private_keys_is_found_by_hash() {
    let test = committed(&["key"]);
    let entries = BTreeMap::from([("policy".to_owned(), Bytes::from("p"))]);
    let sets = tx(|set| {
        set.add_private_write(NS, "coll", "key", "value".into());
        set.add_private_metadata_write(NS, "coll", "key", entries.clone());
    });
    assert_eq!(codes(&test, vec![sets]), [Valid]);
    let executor = test.ledger.new_query_executor();
    let hash = protos::sha256(&[b"key"]);
    let of = |collection| {
        executor
            .get_private_data_metadata_by_hash(NS, collection, &hash)
            .unwrap()
    };
    assert_eq!(of("coll"), entries);
    assert!(of("other").is_empty() && of("").is_empty());
    assert!(executor.get_state_metadata(NS, "key").unwrap().is_empty());
}

#[test]
fn hashes_of_a_collection_without_name_are_no_public_keys() {
    let test = committed(&["key"]);
    let mut builder = RwSetBuilder::new();
    builder.add_private_write(NS, "", "key", "value".into());
    let (mut set, _) = builder.build();
    set.namespaces[0].collections[0].hashed.hashed_writes[0].key_hash = "key".into();
    assert_eq!(codes(&test, vec![set.encode()]), [Valid]);
    assert_eq!(test.get(NS, "key").unwrap(), "value");
    let entries = test
        .ledger
        .new_query_executor()
        .get_private_data_metadata_by_hash(NS, "", b"key")
        .unwrap();
    assert!(entries.is_empty());
}

#[test]
fn committed_keys_and_changes_are_merged() {
    let test = committed(&["k1", "k4", "k6", "k8", "k9"]);
    let snapshot = &test.snapshot();
    let mut updates = UpdateBatch::default();
    let mut change = |key: &'static str, value: Option<&'static str>| {
        let update = Update {
            version: Version::new(2, 0),
            value: value.map(|value| (value.into(), Bytes::new())),
        };
        updates.put(NS, "", key.into(), update);
    };
    change("k0", None);
    change("k2", Some("new"));
    change("k4", Some("changed"));
    change("k6", None);
    change("k7", None);
    change("k9", Some("changed"));
    let keys = |start: &str, end: &str, exhausted: bool| {
        let query = RangeQueryInfo {
            start_key: start.into(),
            end_key: end.into(),
            itr_exhausted: exhausted,
            reads_info: None,
        };
        let mut iterator = CombinedIterator::open(snapshot, &updates, NS, &query).unwrap();
        let mut found = Vec::new();
        while let Some((key, version)) = iterator.next().unwrap() {
            let key = String::from_utf8(key.to_vec()).unwrap();
            found.push(format!("{key}@{}", version.block_num));
        }
        assert_eq!(iterator.next().unwrap(), None);
        found
    };
    assert_eq!(keys("", "", true), ["k1@1", "k2@2", "k4@2", "k8@1", "k9@2"]);
    assert_eq!(keys("k2", "k9", true), ["k2@2", "k4@2", "k8@1"]);
    assert_eq!(keys("k2", "k9", false), ["k2@2", "k4@2", "k8@1", "k9@2"]);
    assert_eq!(keys("k2", "k8", false), ["k2@2", "k4@2", "k8@1"]);
    assert_eq!(keys("k2", "k6", false), ["k2@2", "k4@2"]);
    assert_eq!(keys("k3", "k3", false), Vec::<String>::new());
    assert_eq!(keys("k8", "k1", false), ["k1@1"]);
}
