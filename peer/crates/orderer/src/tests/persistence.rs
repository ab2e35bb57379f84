//! What is on disk after a stop, orderly or not.

use channelconfig::Bundle;
use protos::common::Status;

use super::network::{
    CHANNEL, Network, SYSTEM, blocks, broadcast, check_chain, payloads, transaction, wait_for_block,
};
use crate::{CreateError, EmbeddedOrderer, JoinError, OpenChainError, OpenError};

#[tokio::test]
async fn a_stop_writes_what_was_accepted_and_a_start_goes_on() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    broadcast(&orderer, transaction(CHANNEL, &network.user, "pending")).await;
    let chain = orderer.registrar().chain(CHANNEL).expect("channel");
    orderer.shutdown().await;
    assert_eq!(chain.store.height(), 2, "the pending batch is in a block");
    assert_eq!(
        broadcast_refused(&orderer, &network).await,
        0,
        "a stopped orderer answers nothing"
    );
    drop((chain, orderer));

    // the bootstrap block is given again, as it is at every start
    let orderer = network.start(Some(network.system_genesis())).await;
    assert_eq!(orderer.channels().len(), 2);
    for index in 0..3 {
        broadcast(
            &orderer,
            transaction(CHANNEL, &network.user, format!("tx{index}")),
        )
        .await;
    }
    let blocks = blocks(&network, &orderer, CHANNEL, 0..=2).await;
    check_chain(
        &Bundle::from_config_block(&blocks[0]).expect("genesis block"),
        &blocks,
    );
    assert_eq!(payloads(&blocks[1]), ["pending"]);
    assert_eq!(payloads(&blocks[2]), ["tx0", "tx1", "tx2"]);
    broadcast(&orderer, network.creation("second", &[&network.admin])).await;
    wait_for_block(&orderer, SYSTEM, 2).await;
}

async fn broadcast_refused(orderer: &EmbeddedOrderer, network: &Network) -> usize {
    super::network::broadcast_all(orderer, vec![transaction(CHANNEL, &network.user, "late")])
        .await
        .len()
}

#[tokio::test]
async fn an_application_channel_is_joined_once() {
    let network = Network::new();
    let orderer = network.start(None).await;
    assert_eq!(orderer.channels(), []);
    let genesis = network.application_genesis(CHANNEL);
    assert_eq!(
        orderer.join(genesis.clone()).await.expect("joins").as_str(),
        CHANNEL
    );
    let again = orderer.join(genesis.clone()).await;
    assert!(matches!(again, Err(JoinError::Create(CreateError::Exists(_)))));
    assert_eq!(
        broadcast(&orderer, transaction(CHANNEL, &network.user, "tx"))
            .await
            .0,
        Status::Success
    );

    let mut other = genesis.clone();
    other.header.as_mut().expect("header").number = 1;
    assert!(matches!(
        orderer.join(other).await,
        Err(JoinError::Create(CreateError::NotGenesis))
    ));
    let mut other = genesis;
    other.data.as_mut().expect("data").data.push("more".into());
    assert!(matches!(
        orderer.join(other).await,
        Err(JoinError::Create(CreateError::NotGenesis))
    ));
}

#[tokio::test]
async fn a_channel_without_its_first_block_was_never_there() {
    let network = Network::new();
    let folder = network.settings().file_system_path.join("chains").join("half");
    std::fs::create_dir_all(folder).expect("folder");
    let orderer = network.with_channel().await;
    assert!(orderer.registrar().chain("half").is_none());
    assert_eq!(
        broadcast(&orderer, network.creation("half", &[&network.admin]))
            .await
            .0,
        Status::Success
    );
    wait_for_block(&orderer, SYSTEM, 2).await;
    assert_eq!(blocks(&network, &orderer, "half", 0..=0).await.len(), 1);
}

#[tokio::test]
async fn a_second_system_channel_is_refused_before_it_is_written() {
    let network = Network::new();
    let orderer = network.start(Some(network.system_genesis())).await;
    let second = network.system_genesis_of("second");
    let refused = orderer.join(second.clone()).await;
    assert!(matches!(
        refused,
        Err(JoinError::Create(CreateError::Open(
            OpenChainError::TwoSystemChannels(..)
        )))
    ));
    orderer.shutdown().await;
    drop(orderer);
    // it opens again, whatever block it is started with
    let orderer = network.start(Some(second)).await;
    assert_eq!(orderer.channels(), [SYSTEM.into()]);
}

#[tokio::test]
async fn a_bootstrap_block_that_is_none_is_refused() {
    let network = Network::new();
    let opened = EmbeddedOrderer::open(
        network.settings(),
        network.orderer.clone(),
        Some(protos::new_block(0, bytes::Bytes::new(), vec!["nonsense".into()])),
    );
    assert!(matches!(
        opened.await,
        Err(OpenError::Bootstrap(CreateError::Config(_)))
    ));
}

#[test]
fn a_kill_loses_no_block_and_leaves_none_half_written() {
    let network = Network::new();
    // the runtime's end drops all tasks where they stand, as a kill does
    let before = tokio::runtime::Runtime::new().expect("runtime");
    let orderer = before.block_on(async {
        let orderer = network.with_channel().await;
        for index in 0..4 {
            broadcast(
                &orderer,
                transaction(CHANNEL, &network.user, format!("tx{index}")),
            )
            .await;
        }
        wait_for_block(&orderer, CHANNEL, 1).await;
        orderer
    });
    drop(before);
    drop(orderer);
    let after = tokio::runtime::Runtime::new().expect("runtime");
    after.block_on(async {
        let orderer = network.start(None).await;
        let chain = orderer.registrar().chain(CHANNEL).expect("channel");
        assert_eq!(chain.store.height(), 2, "the fourth message was in no block yet");
        for index in 0..3 {
            broadcast(
                &orderer,
                transaction(CHANNEL, &network.user, format!("later{index}")),
            )
            .await;
        }
        let last = chain.store.height();
        wait_for_block(&orderer, CHANNEL, last).await;
        let blocks = blocks(&network, &orderer, CHANNEL, 0..=last).await;
        check_chain(
            &Bundle::from_config_block(&blocks[0]).expect("genesis block"),
            &blocks,
        );
        assert_eq!(payloads(&blocks[1]), ["tx0", "tx1", "tx2"]);
    });
}
