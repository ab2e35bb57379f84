//! Batches: what ends up in which block, and when.

use protos::common::Status;
use protos::last_config_index;
use tokio::time::Instant;

use super::network::{
    CHANNEL, Network, SYSTEM, blocks, broadcast, broadcast_all, check_chain, payloads, transaction,
    wait_for_block,
};
use channelconfig::Bundle;

#[tokio::test(start_paused = true)]
async fn a_count_of_messages_makes_a_block_and_the_rest_waits_for_the_timeout() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    let messages = (0..7)
        .map(|index| transaction(CHANNEL, &network.user, format!("tx{index}")))
        .collect();
    let begin = Instant::now();
    let answers = broadcast_all(&orderer, messages).await;
    assert_eq!(answers.len(), 7);
    assert!(answers.iter().all(|answer| answer.status() == Status::Success));
    wait_for_block(&orderer, CHANNEL, 2).await;
    let full = begin.elapsed();
    wait_for_block(&orderer, CHANNEL, 3).await;
    let rest = begin.elapsed();
    assert!(
        full < network.batch.timeout && rest >= network.batch.timeout,
        "{full:?} {rest:?}"
    );

    let blocks = blocks(&network, &orderer, CHANNEL, 0..=3).await;
    let bundle = Bundle::from_config_block(&blocks[0]).expect("genesis block");
    check_chain(&bundle, &blocks);
    let contents: Vec<_> = blocks.iter().skip(1).map(payloads).collect();
    assert_eq!(
        contents,
        [vec!["tx0", "tx1", "tx2"], vec!["tx3", "tx4", "tx5"], vec!["tx6"]]
    );
    assert!(
        blocks
            .iter()
            .all(|block| last_config_index(block).expect("metadata") == 0)
    );
}

#[tokio::test(start_paused = true)]
async fn the_timeout_runs_from_the_first_message_of_a_batch() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    let begin = Instant::now();
    for step in 0..2 {
        broadcast(&orderer, transaction(CHANNEL, &network.user, format!("tx{step}"))).await;
        tokio::time::sleep(network.batch.timeout / 4 * 3).await;
    }
    wait_for_block(&orderer, CHANNEL, 1).await;
    assert!(begin.elapsed() < network.batch.timeout * 2);
    let blocks = blocks(&network, &orderer, CHANNEL, 1..=1).await;
    assert_eq!(payloads(&blocks[0]), ["tx0", "tx1"]);
}

#[tokio::test(start_paused = true)]
async fn large_messages_cut_before_and_after_themselves() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    let large = vec![b'x'; 9 * 1024];
    let messages = vec![
        transaction(CHANNEL, &network.user, "small"),
        transaction(CHANNEL, &network.user, large.clone()),
        transaction(CHANNEL, &network.user, vec![b'a'; 5 * 1024]),
        transaction(CHANNEL, &network.user, vec![b'b'; 5 * 1024]),
    ];
    broadcast_all(&orderer, messages).await;
    let blocks = blocks(&network, &orderer, CHANNEL, 1..=4).await;
    let sizes: Vec<Vec<usize>> = blocks
        .iter()
        .map(|block| payloads(block).iter().map(|data| data.len()).collect())
        .collect();
    assert_eq!(
        sizes,
        [vec![5], vec![large.len()], vec![5 * 1024], vec![5 * 1024]]
    );
}

#[tokio::test(start_paused = true)]
async fn channels_do_not_hold_each_other_up() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    broadcast(&orderer, network.creation("second", &[&network.admin])).await;
    wait_for_block(&orderer, SYSTEM, 2).await;
    broadcast(&orderer, transaction(CHANNEL, &network.user, "one")).await;
    broadcast(&orderer, transaction("second", &network.user, "two")).await;
    for (channel, data) in [("second", "two"), (CHANNEL, "one")] {
        let blocks = blocks(&network, &orderer, channel, 1..=1).await;
        assert_eq!(payloads(&blocks[0]), [data]);
    }
}
