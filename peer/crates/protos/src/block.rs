//! Block hashes and metadata (Fabric protoutil/blockutils.go).

use bytes::Bytes;
use prost::{DecodeError, Message};

use crate::common::{
    Block, BlockData, BlockHeader, BlockMetadata, BlockMetadataIndex, LastConfig, Metadata,
    OrdererBlockMetadata,
};
use crate::digest::sha256;

/// Number of metadata slots of a block.
const METADATA_SLOTS: usize = 5;

/// What is wrong with a block's structure.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// A part is absent.
    #[error("block has no {0}")]
    Missing(&'static str),
    /// A metadata slot does not decode.
    #[error("block metadata {slot:?} is malformed")]
    Malformed {
        /// The slot.
        slot: BlockMetadataIndex,
        /// What the decoder said.
        #[source]
        source: DecodeError,
    },
}

/// The DER encoding that a block's hash is taken over.
#[must_use]
pub fn block_header_bytes(header: &BlockHeader) -> Vec<u8> {
    let mut content = Vec::with_capacity(80);
    let number = header.number.to_be_bytes();
    let start = number
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(number.len() - 1);
    let mut integer: Vec<u8> = number.iter().skip(start).copied().collect();
    if integer.first().is_some_and(|byte| *byte >= 0x80) {
        integer.insert(0, 0);
    }
    der_element(&mut content, 0x02, &integer);
    der_element(&mut content, 0x04, &header.previous_hash);
    der_element(&mut content, 0x04, &header.data_hash);
    let mut sequence = Vec::with_capacity(content.len() + 4);
    der_element(&mut sequence, 0x30, &content);
    sequence
}

fn der_element(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let length = content.len().to_be_bytes();
    let significant = length.iter().skip_while(|byte| **byte == 0);
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let count = significant.clone().count();
            out.push(0x80 | u8::try_from(count).unwrap_or(u8::MAX));
            out.extend(significant);
        }
    }
    out.extend_from_slice(content);
}

/// The hash of a block: SHA-256 of its header's DER encoding.
#[must_use]
pub fn block_header_hash(header: &BlockHeader) -> [u8; 32] {
    sha256(&[&block_header_bytes(header)])
}

/// The hash over a block's transactions: SHA-256 of their concatenation.
#[must_use]
pub fn block_data_hash(data: &[Bytes]) -> [u8; 32] {
    let parts: Vec<&[u8]> = data.iter().map(AsRef::as_ref).collect();
    sha256(&parts)
}

/// A block with its data hash set and all metadata slots present and empty.
#[must_use]
pub fn new_block(number: u64, previous_hash: Bytes, data: Vec<Bytes>) -> Block {
    Block {
        header: Some(BlockHeader {
            number,
            previous_hash,
            data_hash: block_data_hash(&data).to_vec().into(),
        }),
        data: Some(BlockData { data }),
        metadata: Some(BlockMetadata {
            metadata: vec![Bytes::new(); METADATA_SLOTS],
        }),
    }
}

/// Sets one metadata slot, adding missing slots.
pub fn set_metadata(block: &mut Block, slot: BlockMetadataIndex, value: Bytes) {
    let metadata = &mut block.metadata.get_or_insert_default().metadata;
    let index = usize::try_from(slot as i32).unwrap_or_default();
    if metadata.len() < METADATA_SLOTS {
        metadata.resize(METADATA_SLOTS, Bytes::new());
    }
    if let Some(place) = metadata.get_mut(index) {
        *place = value;
    }
}

fn metadata(block: &Block, slot: BlockMetadataIndex) -> Bytes {
    let index = usize::try_from(slot as i32).unwrap_or_default();
    let slots = block.metadata.as_ref().map(|metadata| &metadata.metadata);
    slots
        .and_then(|slots| slots.get(index))
        .cloned()
        .unwrap_or_default()
}

/// The validation code of each transaction, one byte each; empty where the block was not validated.
#[must_use]
pub fn tx_filter(block: &Block) -> Bytes {
    metadata(block, BlockMetadataIndex::TransactionsFilter)
}

/// The number of the block that holds the configuration this block was made under.
///
/// # Errors
/// When the metadata slots that may say it do not decode.
pub fn last_config_index(block: &Block) -> Result<u64, BlockError> {
    let header = block.header.as_ref().ok_or(BlockError::Missing("header"))?;
    if header.number == 0 {
        return Ok(0);
    }
    let signatures = decode_slot::<Metadata>(block, BlockMetadataIndex::Signatures)?;
    if !signatures.value.is_empty() {
        let value =
            OrdererBlockMetadata::decode(signatures.value).map_err(|source| BlockError::Malformed {
                slot: BlockMetadataIndex::Signatures,
                source,
            })?;
        if let Some(last_config) = value.last_config {
            return Ok(last_config.index);
        }
    }
    let slot = decode_slot::<Metadata>(block, BlockMetadataIndex::LastConfig)?;
    let last_config = LastConfig::decode(slot.value).map_err(|source| BlockError::Malformed {
        slot: BlockMetadataIndex::LastConfig,
        source,
    })?;
    Ok(last_config.index)
}

fn decode_slot<M: Message + Default>(block: &Block, slot: BlockMetadataIndex) -> Result<M, BlockError> {
    M::decode(metadata(block, slot)).map_err(|source| BlockError::Malformed { slot, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(number: u64, previous: &'static str, data: &'static str, der: &str, hash: &str) {
        let header = BlockHeader {
            number,
            previous_hash: previous.into(),
            data_hash: data.into(),
        };
        assert_eq!(hex::encode(block_header_bytes(&header)), der);
        assert_eq!(hex::encode(block_header_hash(&header)), hash);
    }

    #[test]
    fn header_hashes_match_fabrics_vectors() {
        check(
            0,
            "",
            "",
            "300702010004000400",
            "1d1c288c6851505be0b47a0f8e7dfb91ab2abe6ad71cef63a3791d14588d1d0e",
        );
        check(
            5,
            "foo",
            "bar",
            "300d0201050403666f6f0403626172",
            "82b81035d3a8823b9a062e1b864de9084cf23dfdfb531191979e7f9b3a0ddb67",
        );
        check(
            u64::MAX,
            "foo",
            "bar",
            "3015020900ffffffffffffffff0403666f6f0403626172",
            "881d18bfd3f0892744d9ac21cec5c19df483b07f4f196654d758cd57dda1cace",
        );
    }

    #[test]
    fn the_data_hash_matches_fabrics_vector() {
        let hash = block_data_hash(&[Bytes::from_static(b"tx1"), Bytes::from_static(b"tx2")]);
        assert_eq!(
            hex::encode(hash),
            "b75fa4cca73a24cc129213c6e064b971533e2fa3eb0d118e3f484a7ae4a70fd3"
        );
    }
}
