//! A gRPC connection to an orderer or a peer.

use std::time::Duration;

use bytes::Bytes;
use protos::sha256;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// The certificate and key a client shows when the server asks for one.
#[derive(Clone)]
pub struct ClientIdentity {
    /// Certificate chain, PEM.
    pub certificate_pem: Bytes,
    /// Private key, PEM.
    pub key_pem: Bytes,
}

/// TLS towards a server.
#[derive(Clone, Default)]
pub struct ClientTls {
    /// The CA certificates that are trusted, PEM.
    pub roots: Vec<Bytes>,
    /// What the client shows, for mutual TLS.
    pub identity: Option<ClientIdentity>,
    /// The name the server's certificate must have, where it is not the host of the address.
    pub server_name: Option<String>,
}

/// Pings on an idle connection.
#[derive(Clone, Copy, Debug)]
pub struct Keepalive {
    /// Time between pings.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// Where and how to connect.
#[derive(Clone)]
pub struct GrpcTarget {
    /// `host:port`.
    pub address: String,
    /// TLS, or `None` for plain text.
    pub tls: Option<ClientTls>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// Pings, if any.
    pub keepalive: Option<Keepalive>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Address or certificates are unusable.
    #[error("unusable endpoint {address}")]
    Endpoint {
        /// The server.
        address: String,
        /// What is wrong.
        #[source]
        source: tonic::transport::Error,
    },
    /// The server does not answer, or TLS fails.
    #[error("could not connect to {address}")]
    Connect {
        /// The server.
        address: String,
        /// What went wrong.
        #[source]
        source: tonic::transport::Error,
    },
    /// The server does not answer in time.
    #[error("could not connect to {address} within {timeout:?}")]
    Timeout {
        /// The server.
        address: String,
        /// The time allowed.
        timeout: Duration,
    },
}

impl GrpcTarget {
    /// Connects.
    ///
    /// # Errors
    /// When that fails or takes too long.
    pub async fn connect(&self) -> Result<Channel, ConnectError> {
        let endpoint = self.endpoint().map_err(|source| {
            let address = self.address.clone();
            ConnectError::Endpoint { address, source }
        })?;
        // the whole of it: tonic's own timeout covers the TCP part only
        match tokio::time::timeout(self.connect_timeout, endpoint.connect()).await {
            Ok(connected) => connected.map_err(|source| {
                let address = self.address.clone();
                ConnectError::Connect { address, source }
            }),
            Err(_elapsed) => Err(ConnectError::Timeout {
                address: self.address.clone(),
                timeout: self.connect_timeout,
            }),
        }
    }

    fn endpoint(&self) -> Result<Endpoint, tonic::transport::Error> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", self.address))?.tcp_nodelay(true);
        if let Some(keepalive) = self.keepalive {
            endpoint = endpoint
                .http2_keep_alive_interval(keepalive.interval)
                .keep_alive_timeout(keepalive.timeout)
                .keep_alive_while_idle(true);
        }
        match &self.tls {
            None => Ok(endpoint),
            Some(tls) => endpoint.tls_config(tls.config()),
        }
    }

    /// The hash that binds requests to this client's TLS certificate; empty without one.
    #[must_use]
    pub fn tls_cert_hash(&self) -> Bytes {
        let identity = self.tls.as_ref().and_then(|tls| tls.identity.as_ref());
        let certificate = identity.and_then(|identity| pem::parse(&identity.certificate_pem).ok());
        certificate.map_or_else(Bytes::new, |certificate| {
            sha256(&[certificate.contents()]).to_vec().into()
        })
    }
}

impl ClientTls {
    fn config(&self) -> ClientTlsConfig {
        let roots = self.roots.iter().map(Certificate::from_pem);
        let mut config = ClientTlsConfig::new().ca_certificates(roots);
        if let Some(identity) = &self.identity {
            config = config.identity(Identity::from_pem(&identity.certificate_pem, &identity.key_pem));
        }
        if let Some(name) = &self.server_name {
            config = config.domain_name(name.as_str());
        }
        config
    }
}
