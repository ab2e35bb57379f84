//! Makes the blocks of one channel: numbers, hashes, metadata, signature (Fabric's BlockWriter of 2.5).

use bytes::Bytes;
use deliver::{SignEnvelopeError, new_signature_header};
use msp::LocalSigner;
use prost::Message;
use protos::common::{
    Block, BlockHeader, BlockMetadataIndex, Envelope, LastConfig, Metadata, MetadataSignature,
    OrdererBlockMetadata,
};
use protos::{BlockError, block_header_bytes, block_header_hash, last_config_index, new_block, set_metadata};

/// The end of a chain, which the next block continues.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BlockWriter {
    last: BlockHeader,
    last_config: u64,
}

impl BlockWriter {
    /// Continues after that block.
    pub(crate) fn after(block: &Block) -> Result<Self, BlockError> {
        let last = block.header.clone().ok_or(BlockError::Missing("header"))?;
        Ok(Self {
            last,
            last_config: last_config_index(block)?,
        })
    }

    /// The next block of ordinary transactions.
    pub(crate) fn next(&self, batch: &[Envelope], signer: &LocalSigner) -> Result<Block, SignEnvelopeError> {
        self.make(batch, self.last_config, signer)
    }

    /// The next block, whose transaction is the configuration from this block on.
    pub(crate) fn next_config(
        &self,
        config: &Envelope,
        signer: &LocalSigner,
    ) -> Result<Block, SignEnvelopeError> {
        self.make(std::slice::from_ref(config), self.next_number(), signer)
    }

    fn next_number(&self) -> u64 {
        self.last.number.saturating_add(1)
    }

    fn make(
        &self,
        batch: &[Envelope],
        last_config: u64,
        signer: &LocalSigner,
    ) -> Result<Block, SignEnvelopeError> {
        let data = batch
            .iter()
            .map(|envelope| Bytes::from(envelope.encode_to_vec()))
            .collect();
        let previous = block_header_hash(&self.last).to_vec().into();
        let mut block = new_block(self.next_number(), previous, data);
        set_last_config(&mut block, last_config);
        sign(&mut block, last_config, signer)?;
        Ok(block)
    }
}

fn set_last_config(block: &mut Block, index: u64) {
    let value = LastConfig { index }.encode_to_vec().into();
    let metadata = Metadata {
        value,
        signatures: Vec::new(),
    };
    set_metadata(
        block,
        BlockMetadataIndex::LastConfig,
        metadata.encode_to_vec().into(),
    );
}

/// Signs value ‖ signature header ‖ block header. The consenter's metadata inside the value is an empty
/// `Metadata` message, as of Fabric's single-node consenter, and so are its bytes.
fn sign(block: &mut Block, index: u64, signer: &LocalSigner) -> Result<(), SignEnvelopeError> {
    let value = OrdererBlockMetadata {
        last_config: Some(LastConfig { index }),
        consenter_metadata: Metadata::default().encode_to_vec().into(),
    };
    let value: Bytes = value.encode_to_vec().into();
    let signature_header: Bytes = new_signature_header(signer)?.encode_to_vec().into();
    let header = block.header.as_ref().map(block_header_bytes).unwrap_or_default();
    let signature = signer
        .sign(&[&value, &signature_header, &header])
        .map_err(SignEnvelopeError::Sign)?;
    let signature = MetadataSignature {
        signature_header,
        signature,
        ..Default::default()
    };
    let metadata = Metadata {
        value,
        signatures: vec![signature],
    };
    set_metadata(
        block,
        BlockMetadataIndex::Signatures,
        metadata.encode_to_vec().into(),
    );
    Ok(())
}
