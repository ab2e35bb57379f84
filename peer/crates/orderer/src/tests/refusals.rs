//! What is not ordered or delivered, with Fabric's statuses and texts.

use bytes::Bytes;
use deliver::{EnvelopeContent, create_signed_envelope};
use prost::Message;
use protos::common::{Envelope, HeaderType, Payload, Status};
use protos::orderer::deliver_response::Type;

use super::network::{CHANNEL, Network, broadcast, broadcast_all, deliver, seek, transaction};

/// An envelope whose payload has no header.
fn headless() -> Envelope {
    let payload = Payload {
        header: None,
        data: "x".into(),
    };
    Envelope {
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn messages_are_refused_with_fabrics_statuses() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    let typed = |header_type| {
        let content = EnvelopeContent {
            header_type,
            channel_id: CHANNEL.into(),
            ..Default::default()
        };
        create_signed_envelope(&network.orderer, content).expect("envelope")
    };
    let good = transaction(CHANNEL, &network.user, "tx");
    let forged = Envelope {
        signature: transaction(CHANNEL, &network.user, "other").signature,
        ..good.clone()
    };
    let large = transaction(CHANNEL, &network.user, vec![0; 64 * 1024]);
    let size = large.payload.len() + large.signature.len();
    let garbage = Envelope {
        payload: Bytes::from_static(&[0xff]),
        ..Default::default()
    };
    let headless = headless();
    let denied = ": permission denied";
    let direct = "message is of type that cannot be processed directly";
    let table = [
        ("forged", forged, Status::Forbidden, denied.to_owned()),
        (
            "stranger",
            transaction(CHANNEL, &network.stranger, "tx"),
            Status::Forbidden,
            denied.to_owned(),
        ),
        (
            "too large",
            large,
            Status::BadRequest,
            format!("message payload is {size} bytes and exceeds maximum allowed 65536 bytes"),
        ),
        (
            "unknown channel",
            transaction("nosuchchannel", &network.user, "tx"),
            Status::NotFound,
            "channel does not exist".into(),
        ),
        (
            "config",
            typed(HeaderType::Config),
            Status::BadRequest,
            direct.to_owned(),
        ),
        (
            "orderer transaction",
            typed(HeaderType::OrdererTransaction),
            Status::BadRequest,
            direct.to_owned(),
        ),
        ("empty", Envelope::default(), Status::BadRequest, String::new()),
        ("garbage", garbage, Status::BadRequest, String::new()),
        ("no header", headless, Status::BadRequest, String::new()),
        (
            "empty update",
            typed(HeaderType::ConfigUpdate),
            Status::BadRequest,
            String::new(),
        ),
    ];
    for (name, envelope, status, text) in table {
        let (got, info) = broadcast(&orderer, envelope).await;
        assert_eq!(got, status, "{name}: {info}");
        assert!(info.ends_with(&text) && !info.is_empty(), "{name}: {info}");
    }
    assert_eq!(
        broadcast(&orderer, good).await.0,
        Status::Success,
        "the good message still passes"
    );
}

#[tokio::test]
async fn a_refusal_ends_the_stream() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    let messages = vec![
        transaction(CHANNEL, &network.user, "one"),
        transaction(CHANNEL, &network.stranger, "two"),
        transaction(CHANNEL, &network.user, "three"),
    ];
    let answers = broadcast_all(&orderer, messages).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status()).collect();
    assert_eq!(statuses, [Status::Success, Status::Forbidden]);
}

#[tokio::test]
async fn without_a_system_channel_no_channel_is_created() {
    let network = Network::new();
    let orderer = network.start(Some(network.application_genesis(CHANNEL))).await;
    let text = "channel creation request not allowed because the orderer system channel is not defined";
    for envelope in [
        network.creation("other", &[&network.admin]),
        transaction("other", &network.user, "tx"),
    ] {
        assert_eq!(
            broadcast(&orderer, envelope).await,
            (Status::BadRequest, text.to_owned())
        );
    }
    assert_eq!(
        broadcast(&orderer, transaction(CHANNEL, &network.user, "tx"))
            .await
            .0,
        Status::Success
    );
}

#[tokio::test]
async fn only_readers_of_the_channel_get_blocks() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    let table = [
        (CHANNEL, &network.user, Status::Success),
        (CHANNEL, &network.stranger, Status::Forbidden),
        ("nosuchchannel", &network.user, Status::NotFound),
    ];
    for (channel, signer, status) in table {
        let answers = deliver(&orderer, channel, signer, &seek(0, 0)).await;
        let last = answers.last().and_then(|answer| answer.r#type.clone());
        assert_eq!(last, Some(Type::Status(status.into())), "{channel}");
        assert_eq!(answers.len(), if status == Status::Success { 2 } else { 1 });
    }
}
