//! Blocks and transactions for tests.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use protos::common::{Block, ChannelHeader, Envelope, Header, HeaderType, Payload};
use protos::peer::{
    ChaincodeAction, ChaincodeActionPayload, ChaincodeEndorsedAction, ProposalResponsePayload, Response,
    Transaction, TransactionAction, TxValidationCode,
};
use protos::{TxId, new_block};
use tempfile::TempDir;

use crate::{CommittedBlock, Config, KvLedger, LedgerProvider, TxSimulator};

/// An envelope of some type with channel header and data.
pub(crate) fn envelope(kind: HeaderType, tx_id: &str, data: Bytes) -> Bytes {
    let channel_header = ChannelHeader {
        r#type: kind.into(),
        tx_id: tx_id.to_owned(),
        timestamp: Some(prost_types::Timestamp {
            seconds: 1_700_000_000,
            nanos: 1,
        }),
        ..Default::default()
    };
    let payload = Payload {
        header: Some(Header {
            channel_header: channel_header.encode_to_vec().into(),
            ..Default::default()
        }),
        data,
    };
    let envelope = Envelope {
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    };
    envelope.encode_to_vec().into()
}

/// An endorser transaction with results.
pub(crate) fn endorser_tx(tx_id: &str, results: Bytes) -> Bytes {
    // as in every real transaction; an action without a field would be no bytes at all
    let response = Response {
        status: 200,
        ..Default::default()
    };
    let action = ChaincodeAction {
        results,
        response: Some(response),
        ..Default::default()
    };
    let response = ProposalResponsePayload {
        proposal_hash: Bytes::from_static(b"hash"),
        extension: action.encode_to_vec().into(),
    };
    let payload = ChaincodeActionPayload {
        action: Some(ChaincodeEndorsedAction {
            proposal_response_payload: response.encode_to_vec().into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let transaction = Transaction {
        actions: vec![TransactionAction {
            payload: payload.encode_to_vec().into(),
            ..Default::default()
        }],
    };
    envelope(
        HeaderType::EndorserTransaction,
        tx_id,
        transaction.encode_to_vec().into(),
    )
}

/// A genesis block.
pub(crate) fn genesis() -> Block {
    let config = envelope(HeaderType::Config, "", Bytes::from_static(b"config"));
    new_block(0, Bytes::new(), vec![config])
}

/// The next block of a ledger.
pub(crate) fn next_block(ledger: &KvLedger, envelopes: Vec<Bytes>) -> Block {
    let info = ledger.chain_info();
    new_block(info.height, info.current_block_hash, envelopes)
}

/// A ledger with its genesis block in a folder of its own.
pub(crate) struct TestLedger {
    pub ledger: Arc<KvLedger>,
    pub provider: LedgerProvider,
    pub folder: TempDir,
}

impl TestLedger {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let provider = LedgerProvider::open(Config::new(folder.path())).unwrap();
        let ledger = provider.create(&"ch".into(), &genesis()).unwrap();
        Self {
            ledger,
            provider,
            folder,
        }
    }

    pub fn simulator(&self) -> TxSimulator {
        self.ledger.new_tx_simulator(&"tx".into())
    }

    /// Commits simulated transactions as one block, with ids `<block>-<index>`.
    pub fn commit(&self, simulators: Vec<TxSimulator>) -> CommittedBlock {
        let results = simulators
            .iter()
            .map(|simulator| simulator.results().unwrap().public);
        self.commit_results(results.collect())
    }

    pub fn commit_results(&self, results: Vec<Bytes>) -> CommittedBlock {
        let height = self.ledger.height();
        let envelopes = results
            .into_iter()
            .enumerate()
            .map(|(index, results)| endorser_tx(&format!("{height}-{index}"), results));
        let envelopes: Vec<Bytes> = envelopes.collect();
        let codes = vec![TxValidationCode::Valid; envelopes.len()];
        let block = next_block(&self.ledger, envelopes);
        self.ledger.commit(block, codes).unwrap()
    }

    /// Simulates and commits one transaction.
    pub fn run(&self, simulate: impl FnOnce(&TxSimulator)) -> TxValidationCode {
        let simulator = self.simulator();
        simulate(&simulator);
        self.commit(vec![simulator]).codes[0]
    }

    /// Writes keys (an empty value deletes) in a transaction of its own.
    pub fn put(&self, namespace: &str, values: &[(&str, &'static str)]) {
        let code = self.run(|simulator| {
            for (key, value) in values {
                simulator
                    .set_state(namespace, key, Bytes::from_static(value.as_bytes()))
                    .unwrap();
            }
        });
        assert_eq!(code, TxValidationCode::Valid);
    }

    pub fn get(&self, namespace: &str, key: &str) -> Option<Bytes> {
        self.ledger
            .new_query_executor()
            .get_state(namespace, key)
            .unwrap()
    }

    /// The tables as the last commit left them.
    pub fn snapshot(&self) -> Arc<crate::snapshot::Snapshot> {
        self.ledger.snapshot()
    }

    /// Closes and opens everything.
    pub fn reopen(self) -> Self {
        self.reopen_with(|_| {})
    }

    pub fn reopen_with(self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.provider.config().clone();
        change(&mut config);
        drop((self.ledger, self.provider));
        let provider = LedgerProvider::open(config).unwrap();
        let ledger = provider.open_ledger(&"ch".into()).unwrap();
        Self {
            ledger,
            provider,
            folder: self.folder,
        }
    }
}

/// A transaction id.
pub(crate) fn tx_id(id: &str) -> TxId {
    id.into()
}
