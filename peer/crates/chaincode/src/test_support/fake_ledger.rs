//! Real ledgers in a temporary folder, filled without endorsement or validation.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use ledger::{Config, KvLedger, LedgerProvider, TxSimulator};
use prost::Message;
use protos::common::{ChannelHeader, Envelope, Header, HeaderType, Payload};
use protos::peer::{
    ChaincodeAction, ChaincodeActionPayload, ChaincodeEndorsedAction, ProposalResponsePayload, Transaction,
    TransactionAction, TxValidationCode,
};
use protos::{block_header_hash, new_block};

type Failure = Box<dyn Error + Send + Sync>;

/// Ledgers for tests. The folder goes with it.
pub struct FakeLedgers {
    _folder: tempfile::TempDir,
    provider: LedgerProvider,
}

impl FakeLedgers {
    /// No ledgers.
    ///
    /// # Errors
    /// When there is no room for temporary files.
    pub fn new() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let provider = LedgerProvider::open(Config::new(folder.path()))?;
        Ok(Self {
            _folder: folder,
            provider,
        })
    }

    /// A ledger with a genesis block that configures nothing.
    ///
    /// # Errors
    /// When the channel has one.
    pub fn create(&self, channel: &str) -> Result<Arc<KvLedger>, Failure> {
        let genesis = new_block(0, Bytes::new(), vec![Bytes::new()]);
        Ok(self.provider.create(&channel.into(), &genesis)?)
    }

    /// Commits one transaction: what `simulate` reads and writes.
    ///
    /// # Errors
    /// When the ledger fails.
    pub fn commit(
        ledger: &KvLedger,
        tx_id: &str,
        simulate: impl FnOnce(&TxSimulator) -> Result<(), ledger::SimulationError>,
    ) -> Result<(), Failure> {
        let simulator = ledger.new_tx_simulator(&tx_id.into());
        simulate(&simulator)?;
        let envelope = envelope(tx_id, simulator.results()?.public);
        let last = ledger.block_by_number(u64::MAX)?;
        let previous = last.header.ok_or("block without header")?;
        let hash = block_header_hash(&previous).to_vec().into();
        let block = new_block(previous.number + 1, hash, vec![envelope]);
        ledger.commit(block, vec![TxValidationCode::Valid])?;
        Ok(())
    }
}

fn envelope(tx_id: &str, results: Bytes) -> Bytes {
    let action = ChaincodeAction {
        results,
        ..Default::default()
    };
    let response = ProposalResponsePayload {
        extension: action.encode_to_vec().into(),
        ..Default::default()
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
    let channel_header = ChannelHeader {
        r#type: HeaderType::EndorserTransaction.into(),
        tx_id: tx_id.into(),
        ..Default::default()
    };
    let payload = Payload {
        header: Some(Header {
            channel_header: channel_header.encode_to_vec().into(),
            ..Default::default()
        }),
        data: transaction.encode_to_vec().into(),
    };
    let envelope = Envelope {
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    };
    envelope.encode_to_vec().into()
}
