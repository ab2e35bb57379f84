//! A connection to one peer.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use protos::MAX_MESSAGE_SIZE;
use protos::peer::endorser_client::EndorserClient;
use protos::peer::{ProposalResponse, SignedProposal};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::ClientError;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shim and SDKs ping about every minute; so do we.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Where a peer or an orderer listens, and how to trust it.
#[derive(Clone, Debug, Default)]
pub struct Remote {
    /// `host:port`.
    pub address: String,
    /// TLS, unless the connection is plain.
    pub tls: Option<RemoteTls>,
}

/// TLS towards a peer or an orderer.
#[derive(Clone, Debug, Default)]
pub struct RemoteTls {
    /// PEM of the trusted roots.
    pub roots_pem: Vec<u8>,
    /// The name expected in the server's certificate instead of the address' host.
    pub hostname_override: Option<String>,
    /// PEM of the client's certificate and key, with mutual TLS.
    pub identity_pem: Option<(Vec<u8>, Vec<u8>)>,
}

impl Remote {
    /// A plain connection to `host:port`.
    #[must_use]
    pub fn plain(address: &str) -> Self {
        Self { address: address.to_owned(), tls: None }
    }

    /// A TLS connection that trusts the roots in a PEM file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn tls(address: &str, roots: &Path, hostname_override: Option<String>) -> Result<Self, ClientError> {
        let roots_pem = read(roots)?;
        let tls = Some(RemoteTls { roots_pem, hostname_override, identity_pem: None });
        Ok(Self { address: address.to_owned(), tls })
    }

    /// Opens the connection.
    ///
    /// # Errors
    /// When the address or TLS material is unusable or nobody answers in time.
    pub async fn connect(&self) -> Result<Channel, ClientError> {
        let failed = |source| ClientError::Connect { address: self.address.clone(), source };
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", self.address))
            .map_err(failed)?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE)
            .tcp_nodelay(true);
        if let Some(tls) = &self.tls {
            let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.roots_pem));
            if let Some(name) = &tls.hostname_override {
                config = config.domain_name(name);
            }
            if let Some((certificate, key)) = &tls.identity_pem {
                config = config.identity(Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(config).map_err(failed)?;
        }
        endpoint.connect().await.map_err(failed)
    }
}

/// A peer that proposals are sent to.
#[derive(Clone, Debug)]
pub struct PeerConnection {
    address: String,
    channel: Channel,
}

impl PeerConnection {
    /// Connects to a peer.
    ///
    /// # Errors
    /// See [`Remote::connect`].
    pub async fn open(remote: &Remote) -> Result<Self, ClientError> {
        Ok(Self { address: remote.address.clone(), channel: remote.connect().await? })
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
            Err(status) => {
                Err(ClientError::Status { address: self.address.clone(), status: Box::new(status) })
            }
        }
    }

    /// Sends a proposal and returns the response's payload if its status is below 400.
    ///
    /// # Errors
    /// The peer's gRPC status, or its response of status 400 and above.
    pub async fn call(&self, signed: SignedProposal) -> Result<Bytes, ClientError> {
        let response = self.propose(signed).await?.response.unwrap_or_default();
        if !(200..400).contains(&response.status) {
            return Err(ClientError::Refused {
                address: self.address.clone(),
                status: response.status,
                message: response.message,
            });
        }
        Ok(response.payload)
    }
}

/// Reads a file, naming it on failure.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|source| ClientError::Read { path: path.display().to_string(), source })
}
