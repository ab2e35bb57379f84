//! Fabric's bytes and hashes, and what must hold for all read-write sets.

use std::collections::BTreeMap;

use proptest::prelude::*;
use protos::kvrwset::range_query_info::ReadsInfo;
use protos::kvrwset::{KvRead, QueryReads, QueryReadsMerkleSummary, RangeQueryInfo};

use super::*;
use crate::version::Version;

fn version(block: u64, tx: u64) -> Option<Version> {
    Some(Version::new(block, tx))
}

fn range(start: &str, end: &str, reads: &[(&str, Version)]) -> RangeQueryInfo {
    let reads = reads.iter().map(|(key, version)| kv_read(key, *version));
    let kv_reads: Vec<KvRead> = reads.collect();
    RangeQueryInfo {
        start_key: start.into(),
        end_key: end.into(),
        itr_exhausted: true,
        reads_info: (!kv_reads.is_empty()).then_some(ReadsInfo::RawReads(QueryReads { kv_reads })),
    }
}

fn kv_read(key: &str, version: Version) -> KvRead {
    KvRead {
        key: key.into(),
        version: Some(version.into()),
    }
}

#[test]
fn a_public_set_matches_fabrics_bytes() {
    let mut builder = RwSetBuilder::new();
    builder.add_write("mycc", "a", "1".into());
    builder.add_write("mycc", "c", Bytes::new());
    builder.add_read("mycc", "b", None);
    builder.add_read("mycc", "a", version(3, 0));
    builder.add_read("lscc", "mycc", version(1, 0));
    let (public, private) = builder.build();
    assert_eq!(private, None);
    assert_eq!(
        hex::encode(public.encode()),
        "12140a046c736363120c0a0a0a046d7963631202080112250a046d796363121d0a070a0161120208030a030a01621a060a01611a01311a050a01631001"
    );
}

#[test]
fn a_set_with_everything_matches_fabrics_bytes() {
    let mut builder = RwSetBuilder::new();
    builder.add_private_write("ns", "c2", "k2", "v2".into());
    builder.add_private_write("ns", "c2", "k1", Bytes::new());
    builder.add_hashed_read("ns", "c1", "kx", version(2, 1));
    builder.add_range_query("ns", range("a", "z", &[("m", Version::new(1, 2))]));
    builder.add_range_query("ns", range("p", "q", &[]));
    // the first of identical ranges is kept
    builder.add_range_query("ns", range("p", "q", &[("p", Version::new(9, 9))]));
    let entries = [("VALIDATION_PARAMETER", "x"), ("A", "y")];
    let entries = entries.map(|(name, value)| (name.to_owned(), Bytes::from(value)));
    builder.add_metadata_write("ns", "mk", BTreeMap::from(entries));
    let (public, private) = builder.build();
    assert_eq!(
        hex::encode(public.encode()),
        "1299020a026e73124a12150a016112017a1801220b0a090a016d12040801100212080a0170120171180122270a026d6b12060a014112017912190a1456414c49444154494f4e5f504152414d455445521201781a300a026331122a0a280a20658447540603e4b7eaf861247e5ca182718bf9001fc67d18f37331415aefa4d11204080210011a94010a026332126c12240a206ab9f1eb8f7d3388f4f9d586f66e99fd54080df2c446f0e58668b09c08a16dd0100112440a20015f7e6bc5aeaf483724089e9252cc13b50951a6b69412522765cff4d780306e1a20fb04dcb6970e4c3d1873de51fd5a50d7bb46b3383113602665c350ec40b5f9901a2048228915f2f2f6027282c9b22a3cf392ba4a765f6e870c5b18023966428991c5"
    );
    assert_eq!(
        hex::encode(private.unwrap().encode_to_vec()),
        "121e0a026e7312180a02633212121a060a026b3110011a080a026b321a027632"
    );
    assert_eq!(TxRwSet::decode(public.encode()).unwrap(), public);
}

#[test]
fn the_first_version_is_present_and_empty() {
    let read = kv_read("k", Version::new(0, 0));
    assert_eq!(hex::encode(read.encode_to_vec()), "0a016b1200");
}

#[test]
fn nothing_touched_is_no_bytes() {
    let (public, private) = RwSetBuilder::new().build();
    assert_eq!(public.encode(), Bytes::new());
    assert_eq!(private, None);
}

#[test]
fn undecodable_levels_are_errors() {
    let garbage = Bytes::from_static(&[0xff]);
    assert!(TxRwSet::decode(garbage.clone()).is_err());
    let inner = NsReadWriteSet {
        rwset: garbage.clone(),
        ..Default::default()
    };
    let message = protos::rwset::TxReadWriteSet {
        ns_rwset: vec![inner],
        ..Default::default()
    };
    assert!(TxRwSet::decode(message.encode_to_vec().into()).is_err());
}

/// The results of a query for `key_0`, `key_1`, …
fn results(degree: u32, count: u64) -> RangeQueryReads {
    let mut results = QueryResults::new(degree).unwrap();
    for read in reads(count) {
        results.add(read);
    }
    results.done()
}

fn reads(count: u64) -> Vec<KvRead> {
    let reads = (0..count).map(|index| kv_read(&format!("key_{index}"), Version::new(1, index)));
    reads.collect()
}

fn check_merkle(degree: u32, count: u64, level: u32, hashes: &[&str]) {
    let RangeQueryReads::Merkle(summary) = results(degree, count) else {
        panic!("{count} results make a tree of degree {degree}");
    };
    assert_eq!((summary.max_degree, summary.max_level), (degree, level));
    let found: Vec<String> = summary.max_level_hashes.iter().map(hex::encode).collect();
    assert_eq!(found, hashes);
}

#[test]
fn merkle_summaries_match_fabrics_hashes() {
    check_merkle(
        3,
        4,
        1,
        &["0cd31455c9fdd6972b15b7ed5ca36f60c35e009f48090c3327a5304962950c34"],
    );
    check_merkle(
        3,
        25,
        2,
        &[
            "c49d0baecea58724b0ec3120387d05bcca2849843cc8d44dc557bfa0eed8517f",
            "28d252f2d116d05dbb5488fab742e9e8261ef3443c742c782abd616ca750e73c",
        ],
    );
    check_merkle(
        3,
        65,
        3,
        &[
            "c0fa91f807707dffd72fc25dc8efd7d6d442d25ef0b7697a0c0ecaac225b6ead",
            "35acdb7e6f1df8f0cd5029113957b7dc42a3f78041ff3a3c7275f49ddfeaba47",
        ],
    );
    check_merkle(
        2,
        24,
        3,
        &["62d5c8be07d221b71d073a2e6bd27ef7fe048347d96ec1b8f73f095ed1658d32"],
    );
    check_merkle(
        2,
        45,
        3,
        &[
            "50bff361a565e7591656de3b5ffe957151fd21a4211d68e1dd44c3ae62137467",
            "334e283e9b00ee901923bc03acc3240098ba4670eccca02d90fe33083012b56e",
        ],
    );
    let first = "da56048b59a85a8b01ad9281c4abc8385a65e83c297a8b5744fb9c87c0d8cb32";
    check_merkle(50, 51, 1, &[first]);
    check_merkle(
        50,
        120,
        1,
        &[
            first,
            "b900386c8747ae8813ef12f222f979f016748a819c15cd56e96183bc64941b19",
            "d7dce95509b58e68224f7561d90f2b1b038308b1af19772f3abe7c74df0c3ce3",
        ],
    );
    check_level_sizes();
}

fn check_level_sizes() {
    let RangeQueryReads::Merkle(nine) = results(3, 9) else {
        panic!("nine results make a tree of degree 3");
    };
    assert_eq!((nine.max_level, nine.max_level_hashes.len()), (1, 3));
}

#[test]
fn few_results_stay_raw() {
    for (degree, count) in [(3, 0), (3, 3), (50, 50)] {
        assert_eq!(results(degree, count), RangeQueryReads::Raw(reads(count)));
    }
}

#[test]
fn degrees_below_two_make_no_tree() {
    assert!(QueryResults::new(0).is_none());
    assert!(QueryResults::new(1).is_none());
    assert!(QueryResults::new(2).is_some());
}

/// The same tree, built level by level from all results at once.
fn whole_tree(degree: u32, reads: Vec<KvRead>) -> RangeQueryReads {
    let width = usize::try_from(degree).unwrap() + 1;
    if reads.len() < width {
        return RangeQueryReads::Raw(reads);
    }
    let leaf = |kv_reads: &[KvRead]| {
        let kv_reads = kv_reads.to_vec();
        Bytes::copy_from_slice(&sha256(&[&QueryReads { kv_reads }.encode_to_vec()]))
    };
    let mut level: Vec<Bytes> = reads.chunks(width).map(leaf).collect();
    let mut max_level = 1;
    while level.len() >= width {
        let combine = |hashes: &[Bytes]| match hashes {
            [single] => single.clone(),
            several => Bytes::copy_from_slice(&sha256(&[&several.concat()])),
        };
        level = level.chunks(width).map(combine).collect();
        max_level += 1;
    }
    RangeQueryReads::Merkle(QueryReadsMerkleSummary {
        max_degree: degree,
        max_level,
        max_level_hashes: level,
    })
}

fn any_version() -> impl Strategy<Value = Option<Version>> {
    proptest::option::of((any::<u64>(), any::<u64>()).prop_map(|(block, tx)| Version::new(block, tx)))
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..6).prop_map(Bytes::from)
}

#[derive(Clone, Debug)]
enum Step {
    Read(String, String, Option<Version>),
    Write(String, String, Bytes),
    Metadata(String, String, BTreeMap<String, Bytes>),
    HashedRead(String, String, String, Option<Version>),
    PrivateWrite(String, String, String, Bytes),
}

fn any_step() -> impl Strategy<Value = Step> {
    let namespace = || "[ab]";
    let key = || ".{0,3}";
    let entries = proptest::collection::btree_map(".{0,2}", any_bytes(), 0..3);
    prop_oneof![
        (namespace(), key(), any_version()).prop_map(|(ns, key, version)| Step::Read(ns, key, version)),
        (namespace(), key(), any_bytes()).prop_map(|(ns, key, value)| Step::Write(ns, key, value)),
        (namespace(), key(), entries).prop_map(|(ns, key, entries)| Step::Metadata(ns, key, entries)),
        (namespace(), namespace(), key(), any_version())
            .prop_map(|(ns, coll, key, version)| Step::HashedRead(ns, coll, key, version)),
        (namespace(), namespace(), key(), any_bytes())
            .prop_map(|(ns, coll, key, value)| Step::PrivateWrite(ns, coll, key, value)),
    ]
}

fn build(steps: &[Step]) -> (TxRwSet, Option<protos::rwset::TxPvtReadWriteSet>) {
    let mut builder = RwSetBuilder::new();
    for step in steps.iter().cloned() {
        match step {
            Step::Read(ns, key, version) => builder.add_read(&ns, &key, version),
            Step::Write(ns, key, value) => builder.add_write(&ns, &key, value),
            Step::Metadata(ns, key, entries) => builder.add_metadata_write(&ns, &key, entries),
            Step::HashedRead(ns, coll, key, version) => builder.add_hashed_read(&ns, &coll, &key, version),
            Step::PrivateWrite(ns, coll, key, value) => builder.add_private_write(&ns, &coll, &key, value),
        }
    }
    builder.build()
}

proptest! {
    #[test]
    fn sets_survive_encoding(steps in proptest::collection::vec(any_step(), 0..20)) {
        let (public, private) = build(&steps);
        let decoded = TxRwSet::decode(public.encode()).unwrap();
        prop_assert_eq!(&decoded, &public);
        for set in &public.namespaces {
            prop_assert!(set.kv.reads.is_sorted_by(|a, b| a.key < b.key));
            prop_assert!(set.kv.writes.is_sorted_by(|a, b| a.key < b.key));
            prop_assert!(set.kv.writes.iter().all(|write| write.is_delete == write.value.is_empty()));
            prop_assert!(set.collections.is_sorted_by(|a, b| a.name < b.name));
        }
        prop_assert!(public.namespaces.is_sorted_by(|a, b| a.namespace < b.namespace));
        let writes_private = steps.iter().any(|step| matches!(step, Step::PrivateWrite(..)));
        prop_assert_eq!(private.is_some(), writes_private);
        for set in private.unwrap_or_default().ns_pvt_rwset {
            for collection in set.collection_pvt_rwset {
                let public = public.namespaces.iter().find(|public| public.namespace == set.namespace).unwrap();
                let public = public.collections.iter().find(|public| public.name == collection.collection_name);
                prop_assert_eq!(public.unwrap().pvt_rwset_hash.as_ref(), sha256(&[&collection.rwset]));
            }
        }
    }

    #[test]
    fn steps_on_different_keys_commute(steps in proptest::collection::vec(any_step(), 0..12)) {
        let mut last: BTreeMap<(u8, String, String, String), Step> = BTreeMap::new();
        for step in steps {
            let place = match &step {
                Step::Read(ns, key, _) => (0, ns.clone(), String::new(), key.clone()),
                Step::Write(ns, key, _) => (1, ns.clone(), String::new(), key.clone()),
                Step::Metadata(ns, key, _) => (2, ns.clone(), String::new(), key.clone()),
                Step::HashedRead(ns, coll, key, _) => (3, ns.clone(), coll.clone(), key.clone()),
                Step::PrivateWrite(ns, coll, key, _) => (4, ns.clone(), coll.clone(), key.clone()),
            };
            last.insert(place, step);
        }
        let mut steps: Vec<Step> = last.into_values().collect();
        let forwards = build(&steps);
        steps.reverse();
        prop_assert_eq!(build(&steps), forwards);
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        TxRwSet::decode(bytes.into()).ok();
    }

    #[test]
    fn incremental_trees_are_whole_trees(degree in 2_u32..6, count in 0_u64..400) {
        prop_assert_eq!(results(degree, count), whole_tree(degree, reads(count)));
    }
}
