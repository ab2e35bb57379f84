//! Blocks without a state: what an ordering service keeps.

use std::path::Path;

use bytes::Bytes;
use prost::Message;
use protos::common::{Block, BlockchainInfo};
use tokio::sync::watch;

use crate::block_index::{advance, check_next, is_config_block, write_block};
use crate::error::{CommitError, LedgerError, StoreError};
use crate::snapshot::decode_block;
use crate::store::Store;
use crate::transaction::BlockTx;

/// A chain of blocks in one file.
pub struct BlockStore {
    store: Store,
}

impl BlockStore {
    /// Opens the file, creating it if there is none.
    ///
    /// # Errors
    /// When another process has it open or it is damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            store: Store::open(path)?,
        })
    }

    /// Stores the next block as it is. Blocks until it is on disk.
    ///
    /// # Errors
    /// When it does not follow the last block, or the database fails.
    pub fn append(&self, block: &Block) -> Result<(), CommitError> {
        self.store.update(|before, transaction| {
            let header = check_next(&before.chain, block)?;
            let data = block.data.as_ref().map(|data| data.data.as_slice());
            let is_config = match data {
                Some([envelope]) => is_config_block(&[BlockTx::read(envelope.clone())]),
                _ => false,
            };
            let chain = advance(&before.chain, header, is_config);
            write_block(transaction, &chain, &block.encode_to_vec())?;
            Ok((chain, ()))
        })
    }

    /// A block; `u64::MAX` asks for the newest.
    ///
    /// # Errors
    /// When there is no such block or the database fails.
    pub fn block_by_number(&self, number: u64) -> Result<Block, LedgerError> {
        self.store.snapshot().block(number)
    }

    /// A block as it is stored.
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

    /// The newest block; none where there are no blocks.
    ///
    /// # Errors
    /// When the database fails.
    pub fn last_block(&self) -> Result<Option<Block>, LedgerError> {
        match self.store.snapshot().block_bytes(u64::MAX) {
            Ok(bytes) => decode_block(bytes).map(Some),
            Err(LedgerError::NoSuchBlockNumber(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The number of blocks.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.store.snapshot().chain.height
    }

    /// Follows the number of blocks.
    #[must_use]
    pub fn height_watch(&self) -> watch::Receiver<u64> {
        self.store.height_watch()
    }

    /// Height and hashes.
    #[must_use]
    pub fn chain_info(&self) -> BlockchainInfo {
        self.store.snapshot().chain.info()
    }

    /// The number of the last configuration block.
    #[must_use]
    pub fn last_config_block_number(&self) -> u64 {
        self.store.snapshot().chain.last_config
    }
}
