//! gRPC servers with Fabric's keepalive and TLS settings.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use channel::Channels;
use core_config::{CoreConfig, TlsConfig};
use tonic::transport::{Server, ServerTlsConfig};

use super::incoming::{Incoming, Security};
use super::listener_tls::{ClientAuth, ListenerTls};

/// Pings to an idle chaincode, and the time it has to answer. Fabric does not let these be configured.
const CHAINCODE_PING: Duration = Duration::from_secs(2 * 60 * 60);
const CHAINCODE_PING_TIMEOUT: Duration = Duration::from_secs(20);

/// A socket that is bound and not yet served.
#[derive(Debug)]
pub struct Bound(TcpListener);

impl Bound {
    /// Takes the given socket, or binds one.
    pub(super) fn new(listener: Option<TcpListener>, address: &str) -> Result<Self> {
        let listener = match listener {
            Some(listener) => listener,
            None => TcpListener::bind(address).with_context(|| format!("could not listen on {address}"))?,
        };
        Ok(Self(listener))
    }

    pub(super) fn address(&self) -> Result<SocketAddr> {
        Ok(self.0.local_addr()?)
    }

    pub(super) fn incoming(self, security: Security) -> Result<Incoming> {
        self.0.set_nonblocking(true)?;
        Ok(Incoming::new(
            tokio::net::TcpListener::from_std(self.0)?,
            security,
        ))
    }
}

/// A server that pings idle clients as Fabric's does. Clients may ping as often as they like: the shims and
/// SDKs do so every minute or two.
pub(super) fn server(config: &CoreConfig) -> Server {
    let keepalive = &config.peer.keepalive;
    pinging(keepalive.interval, keepalive.timeout)
}

/// The server of the chaincode listener.
pub(super) fn chaincode_server(tls: Option<ServerTlsConfig>) -> Result<(Server, Security)> {
    let server = pinging(CHAINCODE_PING, CHAINCODE_PING_TIMEOUT);
    Ok(match tls {
        Some(tls) => (server.tls_config(tls)?, Security::Server),
        None => (server, Security::Plain),
    })
}

fn pinging(interval: Duration, timeout: Duration) -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(interval))
        .http2_keepalive_timeout(Some(timeout))
}

/// The TLS of a listener for clients, if it has any. The organisations of the channels are trusted.
pub(super) fn security(config: &TlsConfig, channels: Option<&Arc<Channels>>) -> Result<Security> {
    if !config.enabled {
        return Ok(Security::Plain);
    }
    let clients = match channels {
        _ if !config.client_auth_required => ClientAuth::None,
        Some(channels) => ClientAuth::Channels(Arc::clone(channels)),
        None => ClientAuth::Configured,
    };
    Ok(Security::Tls(Arc::new(ListenerTls::new(
        config.load()?,
        clients,
    )?)))
}
