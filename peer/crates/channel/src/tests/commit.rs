//! Blocks on their way into a channel.

use committer::test_support::{TestProposal, TestTransaction};
use deliver::client::{BlockSink, SinkError};
use deliver::server::{BlockForm, BlockSource, Sources};
use ledger::KvLedger;
use prost::Message;
use protos::UnpackedEnvelope;
use protos::common::{BlockHeader, ConfigEnvelope, ConfigGroup, OrdererAddresses};
use protos::peer::TxValidationCode as Code;

use super::*;
use crate::{CommitError, proposal_signature};

fn head(ledger: &KvLedger) -> BlockHeader {
    ledger.block_by_number(u64::MAX).unwrap().header.unwrap()
}

/// A transaction that is valid without any chaincode: a query of QSCC.
fn query(network: &TestNetwork) -> protos::common::Envelope {
    let proposal = TestProposal::new(
        &network.org1.user,
        CHANNEL,
        "qscc",
        &[b"GetChainInfo", CHANNEL.as_bytes()],
    );
    TestTransaction::new(proposal, "syscc", &[&network.org1.node]).sign()
}

#[tokio::test]
async fn a_block_is_validated_and_stored() {
    let network = TestNetwork::new();
    let (_channels, channel) = joined(&network);
    let mut bad = query(&network);
    bad.signature.clear();
    let block = network.block_after(&head(channel.ledger()), &[query(&network), bad]);
    let committed = channel.commit(block).await.unwrap();
    assert_eq!(committed.codes, [Code::Valid, Code::BadCreatorSignature]);
    assert_eq!(channel.ledger().height(), 2);
}

#[tokio::test]
async fn a_block_that_the_orderer_did_not_sign_is_refused() {
    let network = TestNetwork::new();
    let (_channels, channel) = joined(&network);
    let genesis = head(channel.ledger());
    let mut unsigned = network.block_after(&genesis, &[query(&network)]);
    unsigned.metadata = None;
    let mut changed = network.block_after(&genesis, &[query(&network)]);
    changed.data.as_mut().unwrap().data.push("more".into());
    let mut forged = network.block_after(&genesis, &[query(&network)]);
    forged.header.as_mut().unwrap().previous_hash = "forged".into();
    for block in [unsigned, changed, forged] {
        let error = channel.commit(block).await.unwrap_err();
        assert!(
            matches!(error, CommitError::Verify(_)) && error.is_bad_block(),
            "{error}"
        );
    }
    assert_eq!(channel.ledger().height(), 1);
}

#[tokio::test]
async fn blocks_come_in_order() {
    let network = TestNetwork::new();
    let (_channels, channel) = joined(&network);
    let first = network.block_after(&head(channel.ledger()), &[query(&network)]);
    let second = network.block_after(first.header.as_ref().unwrap(), &[query(&network)]);
    let error = channel.commit(second.clone()).await.unwrap_err();
    assert!(
        matches!(error, CommitError::Ledger(_)) && error.is_bad_block(),
        "{error}"
    );
    let refused = BlockSink::block(&*channel, second.clone()).await.unwrap_err();
    assert!(matches!(refused, SinkError::BadBlock(_)));
    BlockSink::block(&*channel, first).await.unwrap();
    BlockSink::block(&*channel, second).await.unwrap();
    assert_eq!(channel.ledger().height(), 3);
}

#[tokio::test]
async fn a_configuration_takes_effect_and_survives_a_restart() {
    let network = TestNetwork::new();
    let (channels, channel) = joined(&network);
    let mut endpoints = channel.orderer_endpoints();
    let elsewhere = OrdererAddresses {
        addresses: vec!["127.0.0.1:7777".into()],
    };
    let change = |group: &mut ConfigGroup| {
        group.values.get_mut("OrdererAddresses").unwrap().value = elsewhere.encode_to_vec().into();
    };
    let config = network.config_transaction(&channel.bundle(), change);
    let block = network.block_after(&head(channel.ledger()), &[config]);
    assert_eq!(channel.commit(block).await.unwrap().codes, [Code::Valid]);
    assert_eq!(
        (
            channel.bundle().sequence(),
            BlockSource::config_sequence(&*channel)
        ),
        (1, 1)
    );
    assert!(endpoints.has_changed().unwrap());
    assert_eq!(endpoints.borrow_and_update()[0].address, "127.0.0.1:7777");
    drop((channels, channel, endpoints));
    let reopened = open(&network).get(&CHANNEL.into()).unwrap();
    assert_eq!(reopened.bundle().sequence(), 1);
    assert_eq!(reopened.orderer_endpoints().borrow()[0].address, "127.0.0.1:7777");
}

#[tokio::test]
async fn a_configuration_that_is_refused_is_not_in_force_after_a_restart() {
    let network = TestNetwork::new();
    let (channels, channel) = joined(&network);
    let change = |group: &mut ConfigGroup| {
        let addresses = group.values.get_mut("OrdererAddresses").unwrap();
        let elsewhere = OrdererAddresses {
            addresses: vec!["127.0.0.1:6666".into()],
        };
        addresses.value = elsewhere.encode_to_vec().into();
    };
    let config = network.config_transaction(&channel.bundle(), change);
    let forged = network.ordered_config(&channel.bundle(), &{
        let unpacked = UnpackedEnvelope::try_from(config).unwrap();
        let mut config = ConfigEnvelope::decode(unpacked.data).unwrap();
        config.last_update = None;
        config
    });
    let block = network.block_after(&head(channel.ledger()), &[forged]);
    let committed = channel.commit(block).await.unwrap();
    assert_eq!(committed.codes, [Code::InvalidConfigTransaction]);
    assert_eq!(channel.bundle().sequence(), 0);
    drop((channels, channel));
    let reopened = open(&network).get(&CHANNEL.into()).unwrap();
    assert_eq!(reopened.ledger().last_config_block_number(), 0);
    assert_eq!(reopened.bundle().sequence(), 0);
    assert_eq!(reopened.orderer_endpoints().borrow()[0].address, "127.0.0.1:7050");
}

#[tokio::test]
async fn a_configuration_that_is_not_supported_stops_the_channel_and_is_not_stored() {
    let network = TestNetwork::new();
    let (_channels, channel) = joined(&network);
    let config = network.unsupported_config_transaction(&channel.bundle());
    let block = network.block_after(&head(channel.ledger()), &[config]);
    let stopped = BlockSink::block(&*channel, block).await.unwrap_err();
    assert!(matches!(stopped, SinkError::Fatal(_)), "{stopped}");
    assert_eq!((channel.ledger().height(), channel.bundle().sequence()), (1, 0));
}

#[tokio::test]
async fn concurrent_commits_follow_one_another() {
    let network = TestNetwork::new();
    let (_channels, channel) = joined(&network);
    let block = network.block_after(&head(channel.ledger()), &[query(&network)]);
    let commits = (0..4).map(|_| {
        let (channel, block) = (Arc::clone(&channel), block.clone());
        tokio::spawn(async move { channel.commit(block).await.is_ok() })
    });
    let mut done = 0;
    for commit in commits.collect::<Vec<_>>() {
        done += usize::from(commit.await.unwrap());
    }
    assert_eq!((done, channel.ledger().height()), (1, 2));
}

#[test]
fn deliver_reads_channels_through_its_seam() {
    let network = TestNetwork::new();
    let (channels, channel) = joined(&network);
    let source = Sources::source(&channels, CHANNEL).unwrap();
    assert!(Sources::source(&channels, "other").is_none());
    assert_eq!(*source.height_watch().borrow(), 1);
    assert!(source.block(0).unwrap().is_some());
    assert!(source.block(1).unwrap().is_none());
    let signed = |signer| proposal_signature(&TestProposal::new(signer, CHANNEL, "cc", &[b"f"]).unpack());
    assert!(
        source
            .check_access(BlockForm::Full, &signed(&network.org1.user))
            .is_ok()
    );
    assert!(
        source
            .check_access(BlockForm::Filtered, &signed(&network.stranger.user))
            .is_err()
    );
    assert_eq!(channel.id().as_str(), CHANNEL);
}
