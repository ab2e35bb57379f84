//! Broadcasts envelopes to an orderer and fetches blocks from it.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use msp::LocalSigner;
use protos::MAX_MESSAGE_SIZE;
use protos::common::{Block, Envelope};
use protos::orderer::BroadcastResponse;
use protos::orderer::atomic_broadcast_client::AtomicBroadcastClient;
use tonic::transport::Channel;

use super::connection::{ConnectError, GrpcTarget};
use super::fetch::{ANSWER_DEADLINE, FetchError, Fetcher, Position};
use super::seek::{Deliveries, deliveries, requests};

/// A connected orderer.
#[derive(Clone)]
pub struct OrdererClient {
    client: AtomicBroadcastClient<Channel>,
    fetcher: Fetcher,
}

/// Why an envelope got no answer. A refusal is an answer.
#[derive(Debug, thiserror::Error)]
pub enum BroadcastError {
    /// The call failed.
    #[error("broadcast call failed")]
    Call(#[source] Box<tonic::Status>),
    /// The orderer hung up.
    #[error("orderer ended the stream without an answer")]
    NoAnswer,
    /// The orderer is silent.
    #[error("no answer from the orderer within {0:?}")]
    Timeout(Duration),
}

impl OrdererClient {
    /// Connects to an orderer.
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
        let client = AtomicBroadcastClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_SIZE)
            .max_encoding_message_size(MAX_MESSAGE_SIZE);
        Self {
            client,
            fetcher: Fetcher {
                tls_cert_hash,
                best_effort: false,
            },
        }
    }

    /// Sends an envelope and returns the orderer's answer, whether it accepts or refuses.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn broadcast(&self, envelope: Envelope) -> Result<BroadcastResponse, BroadcastError> {
        let mut client = self.client.clone();
        let answer = async move {
            let mut answers = client.broadcast(stream::iter([envelope])).await?.into_inner();
            answers.message().await
        };
        match tokio::time::timeout(ANSWER_DEADLINE, answer).await {
            Ok(Ok(Some(response))) => Ok(response),
            Ok(Ok(None)) => Err(BroadcastError::NoAnswer),
            Ok(Err(status)) => Err(BroadcastError::Call(Box::new(status))),
            Err(_elapsed) => Err(BroadcastError::Timeout(ANSWER_DEADLINE)),
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
    /// When the orderer refuses ([`FetchError::Refused`]) or does not answer.
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

    /// Sends a seek request and returns what answers it.
    pub(crate) fn deliver(&self, envelope: Envelope) -> Deliveries {
        let mut client = self.client.clone();
        deliveries(async move { client.deliver(requests(envelope)).await })
    }
}
