//! The ledger of one channel.

use std::path::Path;

use bytes::Bytes;
use protos::common::{Block, BlockchainInfo};
use protos::peer::{ProcessedTransaction, TxValidationCode};
use protos::{ChannelId, TxId};
use tokio::sync::watch;

use crate::commit::{CommittedBlock, commit_block};
use crate::error::{CommitError, LedgerError, StoreError};
use crate::history::{self, HistoryQueryExecutor};
use crate::query_executor::QueryExecutor;
use crate::simulator::TxSimulator;
use crate::store::Store;

/// Blocks, state and history of a channel.
///
/// Reads may touch the disk for moments; [`KvLedger::commit`] waits for it and belongs on a thread that
/// may block.
pub struct KvLedger {
    channel: ChannelId,
    store: Store,
    history_enabled: bool,
}

impl KvLedger {
    pub(crate) fn open(channel: ChannelId, path: &Path, history_enabled: bool) -> Result<Self, LedgerError> {
        let store = Store::open(path)?;
        let chain = store.snapshot().chain.clone();
        if chain.state_height != chain.height {
            return Err(StoreError::Inconsistent(format!(
                "ledger [{channel}] has {} blocks, its state reflects {}",
                chain.height, chain.state_height
            ))
            .into());
        }
        if history_enabled {
            history::catch_up(&store)?;
        }
        Ok(Self {
            channel,
            store,
            history_enabled,
        })
    }

    #[cfg(test)]
    pub(crate) fn snapshot(&self) -> std::sync::Arc<crate::snapshot::Snapshot> {
        self.store.snapshot()
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &ChannelId {
        &self.channel
    }

    /// The number of blocks.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.store.snapshot().chain.height
    }

    /// Follows the number of blocks; a block that it announces can be read.
    #[must_use]
    pub fn height_watch(&self) -> watch::Receiver<u64> {
        self.store.height_watch()
    }

    /// Height, hash of the last block and hash of the one before it.
    #[must_use]
    pub fn chain_info(&self) -> BlockchainInfo {
        self.store.snapshot().chain.info()
    }

    /// The number of the last configuration block.
    #[must_use]
    pub fn last_config_block_number(&self) -> u64 {
        self.store.snapshot().chain.last_config
    }

    /// A block; `u64::MAX` asks for the newest.
    ///
    /// # Errors
    /// When there is no such block or the database fails.
    pub fn block_by_number(&self, number: u64) -> Result<Block, LedgerError> {
        self.store.snapshot().block(number)
    }

    /// A block as it is stored: an encoded `common.Block`.
    ///
    /// # Errors
    /// When there is no such block or the database fails.
    pub fn block_bytes_by_number(&self, number: u64) -> Result<Bytes, LedgerError> {
        self.store.snapshot().block_bytes(number)
    }

    /// The block with a header hash.
    ///
    /// # Errors
    /// When there is no such block or the database fails.
    pub fn block_by_hash(&self, hash: &[u8]) -> Result<Block, LedgerError> {
        let snapshot = self.store.snapshot();
        snapshot.block(snapshot.block_number_by_hash(hash)?)
    }

    /// The block with a header hash, as it is stored.
    ///
    /// # Errors
    /// When there is no such block or the database fails.
    pub fn block_bytes_by_hash(&self, hash: &[u8]) -> Result<Bytes, LedgerError> {
        let snapshot = self.store.snapshot();
        snapshot.block_bytes(snapshot.block_number_by_hash(hash)?)
    }

    /// The block that holds a transaction.
    ///
    /// # Errors
    /// When there is no such transaction or the database fails.
    pub fn block_by_tx_id(&self, tx_id: &TxId) -> Result<Block, LedgerError> {
        let snapshot = self.store.snapshot();
        snapshot.block(snapshot.tx(tx_id)?.block)
    }

    /// The block that holds a transaction, as it is stored.
    ///
    /// # Errors
    /// When there is no such transaction or the database fails.
    pub fn block_bytes_by_tx_id(&self, tx_id: &TxId) -> Result<Bytes, LedgerError> {
        let snapshot = self.store.snapshot();
        snapshot.block_bytes(snapshot.tx(tx_id)?.block)
    }

    /// A transaction, valid or not, with its validation code.
    ///
    /// # Errors
    /// When there is no such transaction or the database fails.
    pub fn transaction_by_id(&self, tx_id: &TxId) -> Result<ProcessedTransaction, LedgerError> {
        let snapshot = self.store.snapshot();
        let place = snapshot.tx(tx_id)?;
        Ok(ProcessedTransaction {
            transaction_envelope: Some(snapshot.envelope(place.block, place.index)?),
            validation_code: i32::from(place.code),
        })
    }

    /// The validation code of a transaction.
    ///
    /// # Errors
    /// When there is no such transaction or the database fails.
    pub fn tx_validation_code(&self, tx_id: &TxId) -> Result<TxValidationCode, LedgerError> {
        let place = self.store.snapshot().tx(tx_id)?;
        let code = TxValidationCode::try_from(i32::from(place.code));
        Ok(code.unwrap_or(TxValidationCode::InvalidOtherReason))
    }

    /// Whether a transaction, valid or not, is in a block.
    ///
    /// # Errors
    /// When the database fails.
    pub fn tx_exists(&self, tx_id: &TxId) -> Result<bool, LedgerError> {
        Ok(self.store.snapshot().find_tx(tx_id)?.is_some())
    }

    /// Begins to simulate a transaction at the current height.
    #[must_use]
    pub fn new_tx_simulator(&self, tx_id: &TxId) -> TxSimulator {
        TxSimulator::new(tx_id.clone(), self.store.snapshot())
    }

    /// Reads of the state at the current height.
    #[must_use]
    pub fn new_query_executor(&self) -> QueryExecutor {
        QueryExecutor::new(self.store.snapshot())
    }

    /// History queries at the current height.
    ///
    /// # Errors
    /// When the history database is off.
    pub fn history_query_executor(&self) -> Result<HistoryQueryExecutor, LedgerError> {
        match self.history_enabled {
            true => Ok(HistoryQueryExecutor::new(self.store.snapshot())),
            false => Err(LedgerError::HistoryDisabled),
        }
    }

    /// Commits the next block. `codes` holds the judgement so far of each transaction; those found
    /// valid are now judged against the state. Returns once everything is on disk.
    ///
    /// # Errors
    /// When the block is not the next one, a transaction was not judged, or the database fails.
    pub fn commit(&self, block: Block, codes: Vec<TxValidationCode>) -> Result<CommittedBlock, CommitError> {
        let history = self.history_enabled;
        let committed = self
            .store
            .update(|before, transaction| commit_block(before, transaction, block, codes, history))?;
        tracing::info!(
            channel = %self.channel,
            block = committed.number,
            transactions = committed.codes.len(),
            commit_hash = %hex::encode(&committed.commit_hash),
            "committed block"
        );
        Ok(committed)
    }
}
