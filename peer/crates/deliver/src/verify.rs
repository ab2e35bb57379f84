//! Whether a block is what the ordering service of a channel signed (Fabric's `VerifyBlock`).

use bytes::{BufMut, Bytes, BytesMut};
use channelconfig::{Bundle, PolicyError};
use prost::{DecodeError, Message};
use protos::common::{Block, BlockHeader, BlockMetadataIndex, Metadata, MetadataSignature, SignatureHeader};
use protos::{EnvelopeError, SignedData, block_data_hash, block_header_bytes, channel_header_of};

/// The policy that an orderer's signature must satisfy.
const BLOCK_VALIDATION: &str = "/Channel/Orderer/BlockValidation";

/// Why a block is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyBlockError {
    /// A part is absent.
    #[error("block has no {0}")]
    Missing(&'static str),
    /// The block was made for another channel.
    #[error("invalid block's channel id. Expected [{expected}]. Given [{given}]")]
    OtherChannel {
        /// The channel it should be of.
        expected: String,
        /// The channel its first transaction names.
        given: String,
    },
    /// The first transaction does not unpack, so the channel is unknown.
    #[error("failed getting channel id from block")]
    NoChannel(#[source] EnvelopeError),
    /// The transactions are not those of the header.
    #[error("Header.DataHash is different from Hash(block.Data)")]
    DataHash,
    /// The signatures do not decode.
    #[error("failed unmarshalling medatata for signatures")]
    Signatures(#[source] DecodeError),
    /// The signatures are not those of the channel's orderers.
    #[error("signatures of the block do not satisfy {BLOCK_VALIDATION}")]
    Policy(#[source] PolicyError),
}

/// Checks a block's data hash, its channel and its signatures under a configuration. Its place in the chain is
/// the ledger's to check. A genesis block bears no signature and never passes.
///
/// # Errors
/// What is wrong with the block.
pub fn verify_block(bundle: &Bundle, block: &Block) -> Result<(), VerifyBlockError> {
    let header = block.header.as_ref().ok_or(VerifyBlockError::Missing("header"))?;
    let data = block
        .data
        .as_ref()
        .map(|data| data.data.as_slice())
        .unwrap_or_default();
    let first = data.first().ok_or(VerifyBlockError::Missing("transaction"))?;
    let given = channel_header_of(first.clone())
        .map_err(VerifyBlockError::NoChannel)?
        .channel_id;
    if given != bundle.channel().as_str() {
        return Err(VerifyBlockError::OtherChannel {
            expected: bundle.channel().to_string(),
            given,
        });
    }
    if header.data_hash != block_data_hash(data).as_slice() {
        return Err(VerifyBlockError::DataHash);
    }
    let signatures = block_signatures(header, block)?;
    bundle
        .evaluate(BLOCK_VALIDATION, &signatures)
        .map_err(VerifyBlockError::Policy)
}

fn block_signatures(header: &BlockHeader, block: &Block) -> Result<Vec<SignedData>, VerifyBlockError> {
    let slots = block
        .metadata
        .as_ref()
        .map(|metadata| metadata.metadata.as_slice())
        .unwrap_or_default();
    let slot = usize::try_from(BlockMetadataIndex::Signatures as i32).unwrap_or_default();
    let slot = slots.get(slot).ok_or(VerifyBlockError::Missing("metadata"))?;
    let metadata = Metadata::decode(slot.clone()).map_err(VerifyBlockError::Signatures)?;
    let header = block_header_bytes(header);
    let signed = |signature: MetadataSignature| signed_data(&metadata.value, signature, &header);
    let signatures: Result<_, _> = metadata.signatures.iter().cloned().map(signed).collect();
    signatures.map_err(VerifyBlockError::Signatures)
}

/// What a signature of a block covers: value ‖ signature header ‖ block header.
fn signed_data(
    value: &Bytes,
    signature: MetadataSignature,
    header: &[u8],
) -> Result<SignedData, DecodeError> {
    let mut data = BytesMut::with_capacity(value.len() + signature.signature_header.len() + header.len());
    data.put_slice(value);
    data.put_slice(&signature.signature_header);
    data.put_slice(header);
    let signature_header = SignatureHeader::decode(signature.signature_header)?;
    Ok(SignedData {
        data: data.freeze(),
        identity: signature_header.creator,
        signature: signature.signature,
    })
}
