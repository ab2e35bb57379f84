//! The signature on blocks: what it covers and whose it must be.

use bytes::Bytes;
use channelconfig::Bundle;
use deliver::{VerifyBlockError, verify_block};
use prost::Message;
use protos::common::{Block, BlockMetadataIndex, Metadata, OrdererBlockMetadata, SignatureHeader};
use protos::{block_data_hash, set_metadata};

use super::network::{CHANNEL, Network, SYSTEM, blocks, broadcast, transaction};
use crate::block_writer::BlockWriter;

fn signatures(block: &Block) -> Metadata {
    Metadata::decode(block.metadata.as_ref().expect("metadata").metadata[0].clone()).expect("signatures")
}

#[tokio::test]
async fn metadata_is_laid_out_as_fabric_2_5_does() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    let block = blocks(&network, &orderer, SYSTEM, 1..=1).await.remove(0);
    let slots = &block.metadata.as_ref().expect("metadata").metadata;
    assert_eq!(slots.len(), 5);
    let signatures = signatures(&block);
    // OrdererBlockMetadata{last_config{index 0}, no consenter metadata}, by hand
    assert_eq!(signatures.value, Bytes::from_static(&[0x0a, 0x00]));
    assert_eq!(
        OrdererBlockMetadata::decode(signatures.value)
            .expect("value")
            .consenter_metadata,
        Bytes::new()
    );
    let [signature] = signatures.signatures.as_slice() else {
        panic!("one signature");
    };
    let header = SignatureHeader::decode(signature.signature_header.clone()).expect("header");
    assert_eq!(header.creator, network.orderer.serialized_identity());
    assert_eq!(header.nonce.len(), 24);
    assert_eq!(slots[1], Bytes::new(), "the number 0 takes no bytes");
    assert_eq!(slots[2..], [Bytes::new(), Bytes::new(), Bytes::new()]);
}

#[tokio::test]
async fn a_block_that_is_not_the_orderers_does_not_verify() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    broadcast(&orderer, transaction(CHANNEL, &network.user, "tx")).await;
    orderer.shutdown().await;
    let chain = orderer.registrar().chain(CHANNEL).expect("channel");
    let genesis = chain.store.block_by_number(0).expect("block");
    let good = chain.store.block_by_number(1).expect("block");
    let bundle = Bundle::from_config_block(&genesis).expect("genesis block");
    verify_block(&bundle, &good).expect("the orderer's own block");

    let refused = |change: &dyn Fn(&mut Block)| {
        let mut block = good.clone();
        change(&mut block);
        verify_block(&bundle, &block).expect_err("a changed block")
    };
    let no_header = refused(&|block| block.header = None);
    assert!(matches!(no_header, VerifyBlockError::Missing("header")));
    let no_data = refused(&|block| block.data = None);
    assert!(matches!(no_data, VerifyBlockError::Missing("transaction")));
    let no_metadata = refused(&|block| block.metadata = None);
    assert!(matches!(no_metadata, VerifyBlockError::Missing("metadata")));
    let more = refused(&|block| block.data.as_mut().expect("data").data.push("more".into()));
    assert!(matches!(more, VerifyBlockError::DataHash));
    let rehashed = refused(&|block| {
        let data = &mut block.data.as_mut().expect("data").data;
        data.push("more".into());
        block.header.as_mut().expect("header").data_hash = block_data_hash(data).to_vec().into();
    });
    assert!(matches!(rehashed, VerifyBlockError::Policy(_)));
    let renumbered = refused(&|block| block.header.as_mut().expect("header").number = 7);
    assert!(matches!(renumbered, VerifyBlockError::Policy(_)));
    let other_config = refused(&|block| {
        let mut metadata = signatures(block);
        metadata.value = Bytes::from_static(&[0x0a, 0x02, 0x08, 0x05]);
        set_metadata(
            block,
            BlockMetadataIndex::Signatures,
            metadata.encode_to_vec().into(),
        );
    });
    assert!(
        matches!(other_config, VerifyBlockError::Policy(_)),
        "the value is signed too"
    );
    let unsigned = refused(&|block| set_metadata(block, BlockMetadataIndex::Signatures, Bytes::new()));
    assert!(matches!(unsigned, VerifyBlockError::Policy(_)));
    let garbage = refused(&|block| set_metadata(block, BlockMetadataIndex::Signatures, vec![0xff].into()));
    assert!(matches!(garbage, VerifyBlockError::Signatures(_)));
}

#[tokio::test]
async fn only_orderers_of_the_channel_sign_blocks() {
    let network = Network::new();
    let genesis = network.application_genesis(CHANNEL);
    let bundle = Bundle::from_config_block(&genesis).expect("genesis block");
    let writer = BlockWriter::after(&genesis).expect("genesis block");
    let batch = [transaction(CHANNEL, &network.user, "tx")];
    verify_block(&bundle, &writer.next(&batch, &network.orderer).expect("block")).expect("the orderer");
    for signer in [&network.admin, &network.stranger] {
        let block = writer.next(&batch, signer).expect("block");
        assert!(matches!(
            verify_block(&bundle, &block),
            Err(VerifyBlockError::Policy(_))
        ));
    }
    let elsewhere = [transaction("other", &network.user, "tx")];
    let block = writer.next(&elsewhere, &network.orderer).expect("block");
    assert!(matches!(
        verify_block(&bundle, &block),
        Err(VerifyBlockError::OtherChannel { .. })
    ));
}
