//! A ledger from its genesis block on.

use bytes::Bytes;
use protos::common::HeaderType;
use protos::peer::TxValidationCode::{self, BadPayload, Valid};
use protos::{block_header_hash, last_config_index, set_metadata, tx_filter, wire_message};

use crate::test_support::{TestLedger, endorser_tx, envelope, genesis, next_block, tx_id};
use crate::{BlockStore, Config, LedgerProvider};

const NS: &str = "mycc";

fn send_sync<T: Send + Sync + 'static>() {}

#[test]
fn executors_travel_between_tasks() {
    send_sync::<crate::KvLedger>();
    send_sync::<crate::BlockStore>();
    send_sync::<crate::LedgerProvider>();
    send_sync::<crate::TxSimulator>();
    send_sync::<crate::QueryExecutor>();
    send_sync::<crate::HistoryQueryExecutor>();
    send_sync::<crate::StateIterator>();
    send_sync::<crate::HistoryIterator>();
}

#[test]
fn what_is_committed_is_read_by_the_next_simulation() {
    let test = TestLedger::new();
    assert_eq!(test.run(|sim| sim.set_state(NS, "a", "1".into()).unwrap()), Valid);
    assert_eq!(test.get(NS, "a").unwrap(), "1");
    let test = test.reopen();
    assert_eq!(test.ledger.height(), 2);
    assert_eq!(test.get(NS, "a").unwrap(), "1");
}
