//! A process that commits blocks is killed at random moments; whatever it had is consistent.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use protos::block_header_hash;
use protos::peer::TxValidationCode::Valid;

use crate::rwset::RwSetBuilder;
use crate::test_support::{endorser_tx, genesis, next_block, tx_id};
use crate::{Config, KvLedger, LedgerProvider};

const FOLDER: &str = "LEDGER_KILL_TEST_FOLDER";
const NS: &str = "ns";
const ROUNDS: u32 = 12;

/// What block `number` writes: its number under one of seven keys and under `last`; a key is deleted.
fn writes(number: u64) -> BTreeMap<String, String> {
    let mut writes = BTreeMap::from([("last".to_owned(), number.to_string())]);
    writes.insert(format!("key{}", number % 7), number.to_string());
    writes.insert(format!("key{}", (number + 3) % 7), String::new());
    writes
}

/// Does nothing unless it is started by the test below; then commits until it is killed.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how the test below tells its other process what to do"
)]
fn commits_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let ledger = open(&PathBuf::from(folder));
    loop {
        let number = ledger.height();
        let mut builder = RwSetBuilder::new();
        for (key, value) in writes(number) {
            builder.add_write(NS, &key, value.into());
        }
        let tx = endorser_tx(&format!("tx{number}"), builder.build().0.encode());
        ledger.commit(next_block(&ledger, vec![tx]), vec![Valid]).unwrap();
        println!("\ncommitted {number}");
    }
}

fn open(folder: &Path) -> std::sync::Arc<KvLedger> {
    let provider = LedgerProvider::open(Config::new(folder)).unwrap();
    match provider.list().unwrap().first() {
        Some(channel) => provider.open_ledger(channel).unwrap(),
        None => provider.create(&"ch".into(), &genesis()).unwrap(),
    }
}

fn start(folder: &Path) -> (Child, Receiver<u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::kill::commits_until_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let (sender, committed) = mpsc::channel();
    thread::spawn(move || {
        let lines = output.lines().map_while(Result::ok);
        for line in lines {
            if let Some(number) = line.strip_prefix("committed ") {
                sender.send(number.parse().unwrap()).ok();
            }
        }
    });
    (child, committed)
}

#[test]
fn a_killed_ledger_opens_consistent() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut reached = 0;
    for round in 0..ROUNDS {
        let (mut child, committed) = start(folder.path());
        let mut announced = None;
        // the first rounds may hit the creation of the ledger
        for _ in 0..random.next_u32() % (round + 1) {
            announced = committed.recv_timeout(Duration::from_secs(60)).ok();
            assert!(announced.is_some(), "the child commits");
        }
        let moment = Duration::from_micros(u64::from(random.next_u32() % 20_000));
        announced = committed.recv_timeout(moment).ok().or(announced);
        child.kill().unwrap();
        child.wait().unwrap();
        announced = committed.iter().last().or(announced);
        let ledger = open(folder.path());
        assert!(
            announced.is_none_or(|number| ledger.height() > number),
            "a durable commit is lost"
        );
        assert!(ledger.height() >= reached);
        reached = ledger.height();
        check(&ledger);
    }
    assert!(reached > u64::from(ROUNDS), "{reached}");
}

fn check(ledger: &KvLedger) {
    let mut state: BTreeMap<String, String> = BTreeMap::new();
    let mut previous = Bytes::new();
    for number in 0..ledger.height() {
        let block = ledger.block_by_number(number).unwrap();
        let header = block.header.as_ref().unwrap();
        assert_eq!((header.number, &header.previous_hash), (number, &previous));
        let hash = block_header_hash(header);
        assert_eq!(ledger.block_by_hash(&hash).unwrap(), block);
        previous = Bytes::copy_from_slice(&hash);
        if number > 0 {
            let id = tx_id(&format!("tx{number}"));
            assert_eq!(ledger.block_by_tx_id(&id).unwrap(), block);
            assert_eq!(ledger.tx_validation_code(&id).unwrap(), Valid);
            assert!(
                ledger
                    .transaction_by_id(&id)
                    .unwrap()
                    .transaction_envelope
                    .is_some()
            );
            state.extend(writes(number));
        }
    }
    state.retain(|_, value| !value.is_empty());
    assert_eq!(ledger.chain_info().current_block_hash, previous);
    assert!(ledger.block_by_number(ledger.height()).is_err());
    let next = tx_id(&format!("tx{}", ledger.height()));
    assert!(!ledger.tx_exists(&next).unwrap());
    check_state(ledger, &state);
}

fn check_state(ledger: &KvLedger, expected: &BTreeMap<String, String>) {
    let mut iterator = ledger
        .new_query_executor()
        .get_state_range_scan(NS, "", "")
        .unwrap();
    let mut found = BTreeMap::new();
    while let Some(record) = iterator.next().unwrap() {
        found.insert(record.key, String::from_utf8(record.value.to_vec()).unwrap());
    }
    assert_eq!(&found, expected);
    let history = ledger.history_query_executor().unwrap();
    let mut iterator = history.get_history_for_key(NS, "last").unwrap();
    for number in (1..ledger.height()).rev() {
        assert_eq!(iterator.next().unwrap().unwrap().value, number.to_string());
    }
    assert_eq!(iterator.next().unwrap(), None);
}
