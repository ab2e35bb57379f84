//! Writing a block and the index entries that find it and its transactions.

use bytes::Bytes;
use prost::Message;
use prost::encoding::encoded_len_varint;
use protos::common::{Block, BlockHeader, HeaderType};
use protos::peer::TxValidationCode;
use protos::{block_data_hash, block_header_hash};
use redb::{ReadableTable, WriteTransaction};

use crate::chain_state::ChainState;
use crate::error::{CommitError, StoreError};
use crate::tables::{BLOCK_HASHES, BLOCKS, TX_IDS, TX_LOCATIONS};
use crate::transaction::BlockTx;

/// Checks that a block is the next one of a chain and whole.
pub(crate) fn check_next<'a>(chain: &ChainState, block: &'a Block) -> Result<&'a BlockHeader, CommitError> {
    let header = block.header.as_ref().ok_or(CommitError::Missing("header"))?;
    let data = block.data.as_ref().ok_or(CommitError::Missing("data"))?;
    if header.number != chain.height {
        return Err(CommitError::WrongNumber {
            expected: chain.height,
            actual: header.number,
        });
    }
    if header.previous_hash != chain.current_hash {
        return Err(CommitError::WrongPreviousHash {
            expected: hex::encode(&chain.current_hash),
            actual: hex::encode(&header.previous_hash),
        });
    }
    if header.data_hash.as_ref() != block_data_hash(&data.data) {
        return Err(CommitError::WrongDataHash(header.number));
    }
    Ok(header)
}

/// The chain after a block whose header has been checked; the savepoints are the caller's.
pub(crate) fn advance(chain: &ChainState, header: &BlockHeader, is_config: bool) -> ChainState {
    ChainState {
        height: header.number.saturating_add(1),
        current_hash: Bytes::copy_from_slice(&block_header_hash(header)),
        previous_hash: header.previous_hash.clone(),
        last_config: if is_config {
            header.number
        } else {
            chain.last_config
        },
        ..chain.clone()
    }
}

/// Whether a block carries a configuration: such a block has one transaction.
pub(crate) fn is_config_block(txs: &[BlockTx]) -> bool {
    matches!(txs, [tx] if tx.is(HeaderType::Config))
}

/// Stores a block's bytes, found by number and by the hash of its header.
pub(crate) fn write_block(
    transaction: &WriteTransaction,
    chain: &ChainState,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let number = chain.height.saturating_sub(1);
    transaction.open_table(BLOCKS)?.insert(number, bytes)?;
    let mut hashes = transaction.open_table(BLOCK_HASHES)?;
    hashes.insert(chain.current_hash.as_ref(), number)?;
    Ok(())
}

/// Stores where the transactions of a block are. Of several with one id the first counts.
pub(crate) fn write_transactions(
    transaction: &WriteTransaction,
    block: &Block,
    txs: &[BlockTx],
    codes: &[TxValidationCode],
) -> Result<(), StoreError> {
    let number = block.header.as_ref().map_or(0, |header| header.number);
    let mut ids = transaction.open_table(TX_IDS)?;
    let mut locations = transaction.open_table(TX_LOCATIONS)?;
    let places = envelope_locations(block);
    for (index, ((tx, code), place)) in (0u64..).zip(txs.iter().zip(codes).zip(places)) {
        locations.insert((number, index), place)?;
        let id = tx.index_id();
        if !id.is_empty() && ids.get(id)?.is_none() {
            ids.insert(id, (number, index, code_byte(*code)))?;
        }
    }
    Ok(())
}

/// A validation code as block metadata has it.
pub(crate) fn code_byte(code: TxValidationCode) -> u8 {
    u8::try_from(i32::from(code)).unwrap_or(u8::MAX)
}

/// Offset and length of each envelope in the encoding of a block.
fn envelope_locations(block: &Block) -> Vec<(u64, u64)> {
    let field = |length: usize| 1 + encoded_len_varint(length as u64);
    let header = block.header.as_ref().map_or(0, |header| {
        let length = header.encoded_len();
        field(length) + length
    });
    let Some(data) = &block.data else {
        return Vec::new();
    };
    let mut offset = header + field(data.encoded_len());
    let mut locations = Vec::with_capacity(data.data.len());
    for envelope in &data.data {
        offset += field(envelope.len());
        locations.push((offset as u64, envelope.len() as u64));
        offset += envelope.len();
    }
    locations
}

#[cfg(test)]
mod tests {
    use protos::new_block;

    use super::*;

    #[test]
    fn envelopes_are_found_in_the_encoding() {
        let long = Bytes::from(vec![7; 70_000]);
        let data = vec![
            Bytes::from_static(b"a"),
            Bytes::new(),
            long,
            Bytes::from_static(b"end"),
        ];
        for number in [0, 1, u64::MAX] {
            let block = new_block(number, Bytes::from_static(b"previous"), data.clone());
            let encoded = block.encode_to_vec();
            let found: Vec<&[u8]> = envelope_locations(&block)
                .into_iter()
                .map(|(offset, length)| {
                    let start = usize::try_from(offset).unwrap();
                    &encoded[start..start + usize::try_from(length).unwrap()]
                })
                .collect();
            assert_eq!(found, data);
        }
    }
}
