//! A connection to one peer.

use bytes::Bytes;
use deliver::client::GrpcTarget;
use protos::MAX_MESSAGE_SIZE;
use protos::peer::endorser_client::EndorserClient;
use protos::peer::{ProposalResponse, SignedProposal};
use tonic::transport::Channel;

use super::ClientError;

/// A peer that proposals are sent to.
#[derive(Clone, Debug)]
pub struct PeerConnection {
    address: String,
    tls_cert_hash: Bytes,
    channel: Channel,
}

impl PeerConnection {
    /// Connects to a peer.
    ///
    /// # Errors
    /// When the address or TLS material is unusable or nobody answers in time.
    pub async fn open(target: &GrpcTarget) -> Result<Self, ClientError> {
        let channel = target.connect().await?;
        Ok(Self {
            address: target.address.clone(),
            tls_cert_hash: target.tls_cert_hash(),
            channel,
        })
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The hash of the client's TLS certificate, empty without one.
    #[must_use]
    pub fn tls_cert_hash(&self) -> Bytes {
        self.tls_cert_hash.clone()
    }

    /// The gRPC channel, for other services of the same peer.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Sends a proposal and returns the peer's answer, whatever its status.
    ///
    /// # Errors
    /// The peer's gRPC status.
    pub async fn propose(&self, signed: SignedProposal) -> Result<ProposalResponse, ClientError> {
        let mut client = EndorserClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_SIZE)
            .max_encoding_message_size(MAX_MESSAGE_SIZE);
        match client.process_proposal(signed).await {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(ClientError::Status {
                address: self.address.clone(),
                status: Box::new(status),
            }),
        }
    }

    /// Sends a proposal and returns the answer if the peer agreed: a status from 200 and below 400.
    ///
    /// # Errors
    /// The peer's gRPC status, or its response's status and message.
    pub async fn agreed(&self, signed: SignedProposal) -> Result<ProposalResponse, ClientError> {
        let answer = self.propose(signed).await?;
        let response = answer.response.clone().unwrap_or_default();
        if (200..400).contains(&response.status) {
            return Ok(answer);
        }
        Err(ClientError::Refused {
            address: self.address.clone(),
            status: response.status,
            message: response.message,
        })
    }

    /// Sends a proposal and returns the payload of the response, if the peer agreed.
    ///
    /// # Errors
    /// As [`Self::agreed`].
    pub async fn call(&self, signed: SignedProposal) -> Result<Bytes, ClientError> {
        Ok(self.agreed(signed).await?.response.unwrap_or_default().payload)
    }
}
