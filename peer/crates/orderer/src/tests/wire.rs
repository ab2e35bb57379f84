//! The service over gRPC on loopback, through the clients that the peer uses.

use std::time::Duration;

use deliver::client::{FetchError, GrpcTarget, OrdererClient, Position};
use protos::common::Status;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

use super::network::{CHANNEL, Network, payloads, transaction};

#[tokio::test]
async fn a_client_broadcasts_and_fetches() {
    let network = Network::new();
    let orderer = network.with_channel().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let target = GrpcTarget {
        address: listener.local_addr().expect("address").to_string(),
        tls: None,
        connect_timeout: Duration::from_secs(30),
        keepalive: None,
    };
    let server = tonic::transport::Server::builder().add_service(orderer.service());
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let client = OrdererClient::connect(&target).await.expect("connects");

    for index in 0..3 {
        let message = transaction(CHANNEL, &network.user, format!("tx{index}"));
        let answer = client.broadcast(message).await.expect("answer");
        assert_eq!(answer.status(), Status::Success);
    }
    super::network::wait_for_block(&orderer, CHANNEL, 1).await;
    let newest = client
        .fetch_block(&network.user, CHANNEL, Position::Newest)
        .await
        .expect("block");
    assert_eq!(payloads(&newest), ["tx0", "tx1", "tx2"]);
    let config = client
        .fetch_config_block(&network.user, CHANNEL)
        .await
        .expect("block");
    let oldest = client
        .fetch_block(&network.user, CHANNEL, Position::Oldest)
        .await
        .expect("block");
    assert_eq!(config, oldest);
    let beyond = client
        .fetch_block(&network.user, CHANNEL, Position::Number(7))
        .await;
    assert!(matches!(beyond, Err(FetchError::Refused(Status::NotFound))));
    let refused = client
        .broadcast(transaction(CHANNEL, &network.stranger, "tx"))
        .await
        .expect("answer");
    assert_eq!(refused.status(), Status::Forbidden);
}
