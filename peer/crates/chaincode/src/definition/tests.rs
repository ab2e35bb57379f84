//! Where a definition is looked for, and what is said when there is none to use.

use std::sync::Arc;

use bytes::Bytes;
use ledger::{KvLedger, TxRwSet};
use protos::wire_message;

use super::*;
use crate::bench::params;
use crate::channel_access::ChannelCapabilities;
use crate::test_support::{FakeChannels, FakeLedgers};

const SEQUENCE: &str = "namespaces/fields/mycc/Sequence";

fn channels(new_lifecycle: bool) -> Arc<FakeChannels> {
    let channels = FakeChannels::new();
    channels.set_capabilities(ChannelCapabilities {
        new_lifecycle,
        ..Default::default()
    });
    channels
}

/// A ledger with `mycc` in `lscc`.
fn defined(ledgers: &FakeLedgers) -> Arc<KvLedger> {
    let ledger = ledgers.create("ch").unwrap();
    let data = ChaincodeData {
        name: "mycc".into(),
        version: "1.0".into(),
        ..Default::default()
    };
    FakeLedgers::commit(&ledger, "define", |simulator| {
        simulator.set_state(LSCC, "mycc", data.encode_to_vec().into())
    })
    .unwrap();
    ledger
}

fn look_up(channels: &FakeChannels, ledger: &KvLedger) -> (Result<String, String>, TxRwSet) {
    let simulator = Arc::new(ledger.new_tx_simulator(&"tx".into()));
    let params = TransactionParams {
        simulator: Some(Arc::clone(&simulator)),
        ..TransactionParams::clone(&params("tx"))
    };
    let found = read(channels, &params, "mycc");
    let found = found
        .map(|data| data.version)
        .map_err(|error| wire_message(&error));
    (found, simulator.results().unwrap().rwset)
}

fn reads(rwset: &TxRwSet) -> Vec<(&str, &str)> {
    let sets = rwset.namespaces.iter();
    sets.flat_map(|set| {
        set.kv
            .reads
            .iter()
            .map(|read| (set.namespace.as_str(), read.key.as_str()))
    })
    .collect()
}

#[test]
fn before_v2_0_only_lscc_is_read() {
    let ledgers = FakeLedgers::new().unwrap();
    let (found, rwset) = look_up(&channels(false), &defined(&ledgers));
    assert_eq!(found.unwrap(), "1.0");
    assert_eq!(reads(&rwset), [("lscc", "mycc")]);
}

#[test]
fn from_v2_0_on_the_new_lifecycle_is_asked_first_and_both_reads_count() {
    let ledgers = FakeLedgers::new().unwrap();
    let (found, rwset) = look_up(&channels(true), &defined(&ledgers));
    assert_eq!(found.unwrap(), "1.0");
    assert_eq!(reads(&rwset), [("_lifecycle", SEQUENCE), ("lscc", "mycc")]);
}

#[test]
fn a_definition_of_the_new_lifecycle_is_not_passed_over() {
    let text = "chaincode definition for 'mycc' at sequence 2 is one of the 2.x lifecycle, which this peer does not \
                support";
    let sequence = "could not get current sequence for chaincode 'mycc' on channel 'ch': ";
    let other = format!("{sequence}expected key {SEQUENCE} to encode a value of type Int64");
    let broken = format!("{sequence}could not unmarshal state for key {SEQUENCE}: ");
    for (stored, expected) in [
        (&[8, 2][..], text),
        (&[8, 0], "1.0"),
        (&[], "1.0"),
        (&[26, 1, b'x'], &other),
        (&[8], &broken),
    ] {
        let ledgers = FakeLedgers::new().unwrap();
        let ledger = defined(&ledgers);
        FakeLedgers::commit(&ledger, "approve", |simulator| {
            simulator.set_state(LIFECYCLE, SEQUENCE, Bytes::from_static(stored))
        })
        .unwrap();
        let (found, rwset) = look_up(&channels(true), &ledger);
        let said = found.unwrap_or_else(|text| text);
        assert!(said.starts_with(expected), "{stored:?}: {said}");
        assert_eq!(reads(&rwset)[0], ("_lifecycle", SEQUENCE));
        assert_eq!(look_up(&channels(false), &ledger).0.unwrap(), "1.0");
    }
}

#[test]
fn without_a_channel_there_is_no_definition() {
    let mut params = TransactionParams::clone(&params("tx"));
    params.channel = "".into();
    let error = read(&*FakeChannels::new(), &params, "mycc").unwrap_err();
    assert_eq!(
        wire_message(&error),
        "could not get channel config for channel ''"
    );
}
