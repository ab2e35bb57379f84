//! The tables of a ledger's database.

use redb::TableDefinition;

/// Height, hashes and savepoints: one row, a [`crate::chain_state::ChainState`].
pub(crate) const CHAIN: TableDefinition<'_, (), &[u8]> = TableDefinition::new("chain");

/// Block number to encoded block.
pub(crate) const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");

/// Header hash to block number.
pub(crate) const BLOCK_HASHES: TableDefinition<'_, &[u8], u64> = TableDefinition::new("block_hashes");

/// Transaction id to block, index in it and validation code, of its first occurrence.
pub(crate) const TX_IDS: TableDefinition<'_, &str, (u64, u64, u8)> = TableDefinition::new("tx_ids");

/// Block and index in it to offset and length of the envelope within the encoded block.
pub(crate) const TX_LOCATIONS: TableDefinition<'_, (u64, u64), (u64, u64)> =
    TableDefinition::new("tx_locations");

/// Namespace and key of the state.
pub(crate) type StateKey = (&'static str, &'static [u8]);

/// Namespace and key to version, metadata and value (see [`crate::state`]).
pub(crate) const STATE: TableDefinition<'_, StateKey, &[u8]> = TableDefinition::new("state");

/// Namespace, key, block and transaction index of a write to a key.
pub(crate) type HistoryKey = (&'static str, &'static str, u64, u64);

/// Who wrote a key and when; the values are in the blocks.
pub(crate) const HISTORY: TableDefinition<'_, HistoryKey, ()> = TableDefinition::new("history");
