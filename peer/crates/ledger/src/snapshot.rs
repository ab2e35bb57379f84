//! One height of a ledger, readable for as long as somebody holds it.

use std::ops::Bound;

use bytes::Bytes;
use prost::Message;
use protos::TxId;
use protos::common::{Block, Envelope};
use redb::{Database, OwnedRange, ReadOnlyTable, ReadableDatabase, ReadableTable};

use crate::chain_state::ChainState;
use crate::error::{LedgerError, StoreError};
use crate::state::{VersionedValue, decode_version};
use crate::tables::{
    BLOCK_HASHES, BLOCKS, CHAIN, HISTORY, HistoryKey, STATE, StateKey, TX_IDS, TX_LOCATIONS,
};
use crate::version::Version;

/// A lazy iterator over the state.
pub(crate) type StateRange = OwnedRange<StateKey, &'static [u8]>;

/// Where a transaction is and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TxPlace {
    pub block: u64,
    pub index: u64,
    pub code: u8,
}

/// The tables as one commit left them.
pub(crate) struct Snapshot {
    pub chain: ChainState,
    blocks: ReadOnlyTable<u64, &'static [u8]>,
    block_hashes: ReadOnlyTable<&'static [u8], u64>,
    tx_ids: ReadOnlyTable<&'static str, (u64, u64, u8)>,
    tx_locations: ReadOnlyTable<(u64, u64), (u64, u64)>,
    state: ReadOnlyTable<StateKey, &'static [u8]>,
    history: ReadOnlyTable<HistoryKey, ()>,
}

impl Snapshot {
    /// The newest commit.
    pub fn load(database: &Database) -> Result<Self, StoreError> {
        let transaction = database.begin_read()?;
        let chain = transaction.open_table(CHAIN)?;
        let chain = match chain.get(())? {
            Some(row) => ChainState::decode(row.value()).map_err(|source| StoreError::Malformed {
                what: "chain state",
                source,
            })?,
            None => ChainState::default(),
        };
        Ok(Self {
            chain,
            blocks: transaction.open_table(BLOCKS)?,
            block_hashes: transaction.open_table(BLOCK_HASHES)?,
            tx_ids: transaction.open_table(TX_IDS)?,
            tx_locations: transaction.open_table(TX_LOCATIONS)?,
            state: transaction.open_table(STATE)?,
            history: transaction.open_table(HISTORY)?,
        })
    }

    /// The number of the newest block stored, whatever the chain state says.
    pub fn last_stored_block(&self) -> Result<Option<u64>, StoreError> {
        Ok(self.blocks.last()?.map(|(number, _)| number.value()))
    }

    /// A block's stored bytes; `u64::MAX` asks for the newest.
    pub fn block_bytes(&self, number: u64) -> Result<Bytes, LedgerError> {
        let number = match (number, self.chain.height.checked_sub(1)) {
            (u64::MAX, Some(last)) => last,
            _ => number,
        };
        let stored = self.blocks.get(number).map_err(StoreError::from)?;
        let stored = stored.ok_or(LedgerError::NoSuchBlockNumber(number))?;
        Ok(Bytes::copy_from_slice(stored.value()))
    }

    /// A block, decoded.
    pub fn block(&self, number: u64) -> Result<Block, LedgerError> {
        decode_block(self.block_bytes(number)?)
    }

    /// The number of the block with a header hash.
    pub fn block_number_by_hash(&self, hash: &[u8]) -> Result<u64, LedgerError> {
        let number = self.block_hashes.get(hash).map_err(StoreError::from)?;
        let number = number.ok_or_else(|| LedgerError::NoSuchBlockHash(hex::encode(hash)))?;
        Ok(number.value())
    }

    /// Where a transaction is, if it is known.
    pub fn find_tx(&self, tx_id: &TxId) -> Result<Option<TxPlace>, StoreError> {
        let place = self.tx_ids.get(tx_id.as_str())?;
        Ok(place.map(|place| {
            let (block, index, code) = place.value();
            TxPlace { block, index, code }
        }))
    }

    /// Where a transaction is.
    pub fn tx(&self, tx_id: &TxId) -> Result<TxPlace, LedgerError> {
        self.find_tx(tx_id)?
            .ok_or_else(|| LedgerError::NoSuchTxId(tx_id.clone()))
    }

    /// The bytes of a transaction's envelope.
    pub fn envelope_bytes(&self, block: u64, index: u64) -> Result<Bytes, StoreError> {
        let missing = || StoreError::Inconsistent(format!("transaction {index} of block {block} is missing"));
        let location = self.tx_locations.get((block, index))?.ok_or_else(missing)?;
        let (offset, length) = location.value();
        let stored = self.blocks.get(block)?.ok_or_else(missing)?;
        let envelope = || {
            let start = usize::try_from(offset).ok()?;
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            stored.value().get(start..end)
        };
        envelope().map(Bytes::copy_from_slice).ok_or_else(missing)
    }

    /// A transaction's envelope.
    pub fn envelope(&self, block: u64, index: u64) -> Result<Envelope, StoreError> {
        Envelope::decode(self.envelope_bytes(block, index)?).map_err(|source| StoreError::Malformed {
            what: "envelope",
            source,
        })
    }

    /// A value of the state.
    pub fn state(&self, namespace: &str, key: &[u8]) -> Result<Option<VersionedValue>, StoreError> {
        let stored = self.state.get((namespace, key))?;
        stored
            .map(|stored| VersionedValue::decode(stored.value()))
            .transpose()
    }

    /// The version of a key.
    pub fn version(&self, namespace: &str, key: &[u8]) -> Result<Option<Version>, StoreError> {
        let stored = self.state.get((namespace, key))?;
        stored.map(|stored| decode_version(stored.value())).transpose()
    }

    /// The keys from `start` up to and without `end`; an empty end is the end of the namespace.
    pub fn state_range(&self, namespace: &str, start: &[u8], end: &[u8]) -> Result<StateRange, StoreError> {
        let lower = Bound::Included((namespace, start));
        if end.is_empty() {
            let beyond = format!("{namespace}\0");
            return Ok(self
                .state
                .range_owned((lower, Bound::Excluded((beyond.as_str(), end))))?);
        }
        let end = end.max(start);
        Ok(self
            .state
            .range_owned((lower, Bound::Excluded((namespace, end))))?)
    }

    /// Blocks and transaction indexes of the writes to a key, in order.
    pub fn history(&self, namespace: &str, key: &str) -> Result<OwnedRange<HistoryKey, ()>, StoreError> {
        let first = (namespace, key, 0, 0);
        let last = (namespace, key, u64::MAX, u64::MAX);
        Ok(self.history.range_owned(first..=last)?)
    }
}

/// A stored block, decoded.
pub(crate) fn decode_block(bytes: Bytes) -> Result<Block, LedgerError> {
    let malformed = |source| StoreError::Malformed {
        what: "block",
        source,
    };
    Ok(Block::decode(bytes).map_err(malformed)?)
}
