//! gRPC servers with Fabric's keepalive and TLS settings.

use std::io;
use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result};
use core_config::{CoreConfig, TlsConfig};
use tokio::net::TcpStream;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

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

    /// Accepted connections. Small messages go out at once: the server's own setting has no effect on
    /// connections that it did not accept itself.
    pub(super) fn incoming(self) -> Result<impl Stream<Item = io::Result<TcpStream>>> {
        self.0.set_nonblocking(true)?;
        let accepted = TcpListenerStream::new(tokio::net::TcpListener::from_std(self.0)?);
        Ok(accepted.map(|stream| {
            let stream = stream?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }))
    }
}

/// A server that pings idle clients as Fabric's does. Clients may ping as often as they like: the shims and
/// SDKs do so every minute or two.
pub(super) fn server(config: &CoreConfig, tls: Option<ServerTlsConfig>) -> Result<Server> {
    let server = Server::builder()
        .http2_keepalive_interval(Some(config.peer.keepalive.interval))
        .http2_keepalive_timeout(Some(config.peer.keepalive.timeout));
    Ok(match tls {
        Some(tls) => server.tls_config(tls)?,
        None => server,
    })
}

/// The TLS of a listener, if it has any.
pub(super) fn tls(config: &TlsConfig) -> Result<Option<ServerTlsConfig>> {
    if !config.enabled {
        return Ok(None);
    }
    let material = config.load()?;
    let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(material.certificate, material.key));
    if config.client_auth_required {
        let roots = material.client_root_cas.join(&b'\n');
        tls = tls.client_ca_root(Certificate::from_pem(roots));
    }
    Ok(Some(tls))
}
