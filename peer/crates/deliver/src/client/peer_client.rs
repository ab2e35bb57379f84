//! Fetches blocks from a peer.

use bytes::Bytes;
use msp::LocalSigner;
use protos::MAX_MESSAGE_SIZE;
use protos::common::{Block, Envelope};
use protos::peer::deliver_client::DeliverClient;
use tonic::transport::Channel;

use super::connection::{ConnectError, GrpcTarget};
use super::fetch::{FetchError, Fetcher, Position};
use super::seek::{Deliveries, deliveries, requests};

/// A connected peer's event service.
#[derive(Clone)]
pub struct PeerDeliverClient {
    client: DeliverClient<Channel>,
    fetcher: Fetcher,
}

impl PeerDeliverClient {
    /// Connects to a peer.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn connect(target: &GrpcTarget) -> Result<Self, ConnectError> {
        let channel = target.connect().await?;
        Ok(Self::new(channel, target.tls_cert_hash()))
    }

    /// A client on an existing connection.
    #[must_use]
    pub fn new(channel: Channel, tls_cert_hash: Bytes) -> Self {
        let client = DeliverClient::new(channel).max_decoding_message_size(MAX_MESSAGE_SIZE);
        Self {
            client,
            fetcher: Fetcher {
                tls_cert_hash,
                best_effort: false,
            },
        }
    }

    /// Whether to take blocks also from a server that knows itself to be in trouble.
    #[must_use]
    pub fn with_best_effort(mut self, best_effort: bool) -> Self {
        self.fetcher.best_effort = best_effort;
        self
    }

    /// Fetches one block of a channel.
    ///
    /// # Errors
    /// When the peer refuses ([`FetchError::Refused`]) or does not answer.
    pub async fn fetch_block(
        &self,
        signer: &LocalSigner,
        channel: &str,
        position: Position,
    ) -> Result<Block, FetchError> {
        let deliver = |envelope| self.deliver(envelope);
        self.fetcher.block(deliver, signer, channel, position).await
    }

    /// Fetches the last configuration block of a channel.
    ///
    /// # Errors
    /// As [`fetch_block`](Self::fetch_block), or when the newest block does not say which one it is.
    pub async fn fetch_config_block(&self, signer: &LocalSigner, channel: &str) -> Result<Block, FetchError> {
        let deliver = |envelope| self.deliver(envelope);
        self.fetcher.config_block(deliver, signer, channel).await
    }

    /// The hash that binds requests to this client's connection.
    pub(crate) fn tls_cert_hash(&self) -> Bytes {
        self.fetcher.tls_cert_hash.clone()
    }

    /// Sends a seek request and returns the blocks that answer it.
    fn deliver(&self, envelope: Envelope) -> Deliveries {
        let mut client = self.client.clone();
        deliveries(async move { client.deliver(requests(envelope)).await })
    }

    /// Sends a seek request and returns the filtered blocks that answer it.
    pub(crate) fn deliver_filtered(&self, envelope: Envelope) -> Deliveries {
        let mut client = self.client.clone();
        deliveries(async move { client.deliver_filtered(requests(envelope)).await })
    }
}
