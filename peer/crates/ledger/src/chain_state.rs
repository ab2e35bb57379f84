//! Where a chain stands: the one row that every commit replaces.

use bytes::Bytes;
use protos::common::BlockchainInfo;

/// Height, hashes and savepoints of a chain.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ChainState {
    /// Number of blocks.
    #[prost(uint64, tag = "1")]
    pub height: u64,
    /// Header hash of the last block.
    #[prost(bytes = "bytes", tag = "2")]
    pub current_hash: Bytes,
    /// The previous hash that the last block names.
    #[prost(bytes = "bytes", tag = "3")]
    pub previous_hash: Bytes,
    /// Number of the last configuration block.
    #[prost(uint64, tag = "4")]
    pub last_config: u64,
    /// The running hash over what was committed.
    #[prost(bytes = "bytes", tag = "5")]
    pub commit_hash: Bytes,
    /// Number of blocks that the state reflects.
    #[prost(uint64, tag = "6")]
    pub state_height: u64,
    /// Number of blocks that the history reflects.
    #[prost(uint64, tag = "7")]
    pub history_height: u64,
}

impl ChainState {
    /// The chain as QSCC tells it.
    pub fn info(&self) -> BlockchainInfo {
        BlockchainInfo {
            height: self.height,
            current_block_hash: self.current_hash.clone(),
            previous_block_hash: self.previous_hash.clone(),
        }
    }
}
