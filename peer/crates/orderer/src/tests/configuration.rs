//! Channel creation and configuration updates.

use channelconfig::Bundle;
use prost::Message;
use protos::common::{Block, ConfigEnvelope, ConfigGroup, ConfigValue, Envelope, HeaderType, Status};
use protos::orderer::BatchSize;
use protos::{UnpackedEnvelope, last_config_index};

use super::network::{
    CHANNEL, Network, SYSTEM, blocks, broadcast, check_chain, payloads, transaction, wait_for_block,
};
use crate::EmbeddedOrderer;
use crate::chain::Message as Queued;

fn only_transaction(block: &Block) -> UnpackedEnvelope {
    let data = &block.data.as_ref().expect("data").data;
    assert_eq!(data.len(), 1);
    let envelope = Envelope::decode(data[0].clone()).expect("envelope");
    UnpackedEnvelope::try_from(envelope).expect("unpacks")
}

/// Sets the batch's message count in a configuration.
fn batch_count(count: u32) -> impl FnOnce(&mut ConfigGroup) {
    move |group| {
        let orderer = group.groups.get_mut("Orderer").expect("orderer section");
        let value: &mut ConfigValue = orderer.values.get_mut("BatchSize").expect("batch size");
        let mut size = BatchSize::decode(value.value.clone()).expect("batch size");
        size.max_message_count = count;
        value.value = size.encode_to_vec().into();
    }
}

async fn bundle(network: &Network, orderer: &EmbeddedOrderer, number: u64) -> Bundle {
    let blocks = blocks(network, orderer, CHANNEL, number..=number).await;
    Bundle::from_config_block(&blocks[0]).expect("config block")
}

#[tokio::test]
async fn a_channel_is_created_from_its_transaction() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    assert_eq!(
        orderer
            .channels()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        [CHANNEL, SYSTEM]
    );

    let system = blocks(&network, &orderer, SYSTEM, 0..=1).await;
    let system_bundle = Bundle::from_config_block(&system[0]).expect("system genesis");
    check_chain(&system_bundle, &system);
    let created = only_transaction(&system[1]);
    assert_eq!(
        created.channel_header.r#type,
        i32::from(HeaderType::OrdererTransaction)
    );
    assert_eq!(
        last_config_index(&system[1]).expect("metadata"),
        0,
        "the system channel's own config is unchanged"
    );

    let genesis = blocks(&network, &orderer, CHANNEL, 0..=0).await.remove(0);
    assert_eq!(
        created.data,
        genesis.data.as_ref().expect("data").data[0],
        "the wrapped transaction is block 0"
    );
    assert!(genesis.header.as_ref().expect("header").previous_hash.is_empty());
    assert!(
        genesis
            .metadata
            .as_ref()
            .expect("metadata")
            .metadata
            .iter()
            .all(|slot| slot.is_empty())
    );
    let config = only_transaction(&genesis);
    assert_eq!(
        config.signature_header.creator,
        network.orderer.serialized_identity()
    );
    let config = ConfigEnvelope::decode(config.data).expect("config");
    assert_eq!(config.config.expect("config").sequence, 1);
    assert!(config.last_update.is_some());
    let bundle = Bundle::from_config_block(&genesis).expect("usable configuration");
    assert_eq!(bundle.application_org_msp_ids(), ["Org1MSP"]);
}

#[tokio::test]
async fn an_update_has_a_block_of_its_own_and_takes_effect() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    let before = bundle(&network, &orderer, 0).await;
    broadcast(&orderer, transaction(CHANNEL, &network.user, "pending")).await;
    let update = network.change(&before, batch_count(1), &[&network.orderer_admin]);
    assert_eq!(
        broadcast(&orderer, update).await,
        (Status::Success, String::new())
    );
    wait_for_block(&orderer, CHANNEL, 2).await;
    broadcast(&orderer, transaction(CHANNEL, &network.user, "alone")).await;

    let blocks = blocks(&network, &orderer, CHANNEL, 0..=3).await;
    check_chain(&before, &blocks);
    assert_eq!(
        payloads(&blocks[1]),
        ["pending"],
        "what came before is in a block before"
    );
    let config = only_transaction(&blocks[2]);
    assert_eq!(config.channel_header.r#type, i32::from(HeaderType::Config));
    assert_eq!(
        payloads(&blocks[3]),
        ["alone"],
        "the new count of one cuts at once"
    );
    let last_configs: Vec<_> = blocks
        .iter()
        .map(|block| last_config_index(block).expect("metadata"))
        .collect();
    assert_eq!(last_configs, [0, 0, 2, 2]);
    let after = Bundle::from_config_block(&blocks[2]).expect("config block");
    assert_eq!(after.sequence(), before.sequence() + 1);
    assert_eq!(after.orderer().expect("orderer").batch_size.max_message_count, 1);
}

#[tokio::test]
async fn updates_that_are_not_allowed_are_refused() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    let before = bundle(&network, &orderer, 0).await;

    let by_member = network.change(&before, batch_count(1), &[&network.admin]);
    let (status, info) = broadcast(&orderer, by_member).await;
    assert_eq!(status, Status::BadRequest);
    assert!(
        info.starts_with("error applying config update to existing channel 'mychannel': "),
        "{info}"
    );
    assert!(info.contains("not satisfied"), "{info}");

    let by_stranger = network.change(&before, batch_count(1), &[&network.stranger]);
    let (status, info) = broadcast(&orderer, by_stranger).await;
    assert_eq!(status, Status::Forbidden);
    assert!(
        info.starts_with("config update for existing channel did not pass initial checks: "),
        "{info}"
    );
    assert!(info.ends_with(": permission denied"), "{info}");

    let good = network.change(&before, batch_count(1), &[&network.orderer_admin]);
    broadcast(&orderer, good).await;
    wait_for_block(&orderer, CHANNEL, 1).await;
    let stale = network.change(&before, batch_count(2), &[&network.orderer_admin]);
    assert_eq!(broadcast(&orderer, stale).await.0, Status::BadRequest);
}

#[tokio::test]
async fn creations_that_are_not_allowed_are_refused() {
    let mut network = Network::new();
    network.max_channels = 1;
    let orderer = network.start(Some(network.system_genesis())).await;
    let (status, info) = broadcast(&orderer, network.creation("one", &[&network.stranger])).await;
    assert_eq!(status, Status::BadRequest);
    assert!(
        info.starts_with("error validating channel creation transaction for new channel 'one', "),
        "{info}"
    );

    let (status, info) = broadcast(&orderer, network.creation("Bad_Name", &[&network.admin])).await;
    assert_eq!(status, Status::BadRequest);
    assert!(info.contains("channel ID"), "{info}");

    assert_eq!(
        broadcast(&orderer, network.creation("one", &[&network.admin]))
            .await
            .0,
        Status::Success
    );
    wait_for_block(&orderer, SYSTEM, 1).await;
    let (status, info) = broadcast(&orderer, network.creation("two", &[&network.admin])).await;
    assert_eq!(
        (status, info.as_str()),
        (
            Status::BadRequest,
            "channel creation would exceed maximimum number of channels: 1"
        )
    );

    let again = network.creation("one", &[&network.admin]);
    assert_eq!(broadcast(&orderer, again).await.0, Status::BadRequest);
    assert_eq!(orderer.channels().len(), 2);
}

#[tokio::test]
async fn two_creations_in_the_queue_make_one_channel() {
    let network = Network::new();
    let orderer = network.start(Some(network.system_genesis())).await;
    let system = orderer.registrar().chain(SYSTEM).expect("system channel");
    for _ in 0..2 {
        let update = crate::processor::unpack(network.creation("one", &[&network.admin])).expect("unpacks");
        let made = orderer.registrar().processor(&system).config_update(&update);
        let (message, sequence) = made.unwrap_or_else(|rejection| panic!("{rejection}"));
        system
            .order(message, sequence)
            .await
            .unwrap_or_else(|rejection| panic!("{rejection}"));
    }
    orderer.shutdown().await;
    assert_eq!(orderer.channels().len(), 2);
    assert_eq!(system.store.height(), 2, "the second creation is in no block");
}

#[tokio::test]
async fn messages_checked_under_an_older_configuration_are_checked_again() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    let chain = orderer.registrar().chain(CHANNEL).expect("channel");
    let outdated = chain.resources().sequence() - 1;
    for signer in [&network.stranger, &network.user] {
        let message = Queued::Normal(transaction(CHANNEL, signer, "tx"));
        chain
            .order(message, outdated)
            .await
            .unwrap_or_else(|rejection| panic!("{rejection}"));
    }
    let before = bundle(&network, &orderer, 0).await;
    let update = network.change(&before, batch_count(1), &[&network.orderer_admin]);
    let unpacked = crate::processor::unpack(update).expect("unpacks");
    let made = orderer.registrar().processor(&chain).config_update(&unpacked);
    let (config, _) = made.unwrap_or_else(|rejection| panic!("{rejection}"));
    chain
        .order(config, outdated)
        .await
        .unwrap_or_else(|rejection| panic!("{rejection}"));
    wait_for_block(&orderer, CHANNEL, 2).await;
    let blocks = blocks(&network, &orderer, CHANNEL, 1..=2).await;
    assert_eq!(payloads(&blocks[0]).len(), 1, "the stranger's is discarded");
    Bundle::from_config_block(&blocks[1]).expect("the update was made anew");
}
