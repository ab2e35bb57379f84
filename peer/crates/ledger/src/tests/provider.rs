//! Creating, opening and listing ledgers.

use std::fs;

use protos::{ChannelId, new_block, wire_message};
use redb::TableDefinition;

use crate::store::{Store, open_database, unfinished};
use crate::test_support::{TestLedger, genesis};
use crate::{Config, LedgerProvider};

#[test]
fn a_ledger_is_created_once() {
    let test = TestLedger::new();
    let again = test.provider.create(&"ch".into(), &genesis()).err().unwrap();
    assert_eq!(
        wire_message(&again),
        "cannot create ledger from genesis block: ledger [ch] already exists with state [ACTIVE]"
    );
    let absent = test.provider.open_ledger(&"other".into()).err().unwrap();
    assert_eq!(
        wire_message(&absent),
        "cannot open ledger [other], ledger does not exist"
    );
    test.provider.create(&"a.b-1".into(), &genesis()).unwrap();
    assert_eq!(test.provider.list().unwrap(), ["a.b-1".into(), "ch".into()]);
    let test = test.reopen();
    assert_eq!(test.provider.list().unwrap(), ["a.b-1".into(), "ch".into()]);
    assert_eq!(test.provider.open_ledger(&"a.b-1".into()).unwrap().height(), 1);
}

/// What a kill leaves of a database that is being made: a file of some length, without the mark that redb writes last.
#[test]
fn a_creation_that_was_cut_short_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("ledgers.list");
    fs::write(unfinished(&list), vec![0; 8192]).unwrap();
    let open = || LedgerProvider::open(Config::new(folder.path())).unwrap();
    let provider = open();
    let file = folder.path().join("ch.redb");
    fs::write(unfinished(&file), vec![0; 8192]).unwrap();
    provider.create(&"ch".into(), &genesis()).unwrap();
    drop(provider);
    assert_eq!(open().list().unwrap(), ["ch".into()]);
    for path in [list, file] {
        assert!(path.exists() && !unfinished(&path).exists(), "{}", path.display());
    }
}

#[test]
fn channels_do_not_share_state() {
    let test = TestLedger::new();
    let other = test.provider.create(&"other".into(), &genesis()).unwrap();
    test.put("ns", &[("key", "value")]);
    assert_eq!(other.new_query_executor().get_state("ns", "key").unwrap(), None);
    assert_eq!(test.get("ns", "key").unwrap(), "value");
}

#[test]
fn names_that_are_no_channels_touch_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let provider = LedgerProvider::open(Config::new(folder.path().join("ledgers"))).unwrap();
    let long = "a".repeat(250);
    for name in [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "A",
        "1a",
        "a b",
        "ä",
        "a\0",
        long.as_str(),
    ] {
        let channel = ChannelId::from(name);
        assert!(provider.create(&channel, &genesis()).is_err(), "{name}");
        assert!(provider.open_ledger(&channel).is_err(), "{name}");
    }
    assert_eq!(fs::read_dir(folder.path().join("ledgers")).unwrap().count(), 1);
    provider.create(&"a".repeat(249).into(), &genesis()).unwrap();
}

#[test]
fn a_folder_belongs_to_one_provider() {
    let test = TestLedger::new();
    let second = LedgerProvider::open(Config::new(test.folder.path()))
        .err()
        .unwrap();
    assert!(wire_message(&second).ends_with("is in use by another process"));
}

#[test]
fn a_refused_genesis_block_leaves_nothing() {
    let test = TestLedger::new();
    let mut bad = genesis();
    bad.header.as_mut().unwrap().data_hash = "x".into();
    for bad in [bad, new_block(1, "x".into(), Vec::new())] {
        let refused = test.provider.create(&"bad".into(), &bad).err().unwrap();
        assert!(wire_message(&refused).starts_with("cannot create ledger from genesis block: "));
    }
    assert_eq!(test.provider.list().unwrap(), ["ch".into()]);
    test.provider.create(&"bad".into(), &genesis()).unwrap();
}

/// The list as a crash leaves it while a ledger is created.
fn mark_under_construction(folder: &std::path::Path, channel: &str) {
    let list = open_database(&folder.join("ledgers.list")).unwrap();
    let transaction = list.begin_write().unwrap();
    let table = TableDefinition::<&str, u8>::new("ledgers");
    transaction.open_table(table).unwrap().insert(channel, 1).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn half_created_ledgers_are_removed() {
    for with_file in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        mark_under_construction(folder.path(), "half");
        let file = folder.path().join("half.redb");
        if with_file {
            Store::open(&file).unwrap();
        }
        let provider = LedgerProvider::open(Config::new(folder.path())).unwrap();
        assert_eq!(provider.list().unwrap(), []);
        assert!(!file.exists());
        provider.create(&"half".into(), &genesis()).unwrap();
    }
}

#[test]
fn an_unlisted_file_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let provider = LedgerProvider::open(Config::new(folder.path())).unwrap();
    let file = folder.path().join("ch.redb");
    fs::write(&file, "precious").unwrap();
    assert!(provider.create(&"ch".into(), &genesis()).is_err());
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[test]
fn a_damaged_ledger_does_not_open() {
    let test = TestLedger::new();
    let folder = test.folder;
    drop((test.ledger, test.provider));
    fs::write(folder.path().join("ch.redb"), "no database").unwrap();
    let provider = LedgerProvider::open(Config::new(folder.path())).unwrap();
    let damaged = provider.open_ledger(&"ch".into()).err().unwrap();
    assert!(wire_message(&damaged).starts_with("cannot open ledger [ch]: cannot open ledger database"));
}
