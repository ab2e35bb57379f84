//! The operations server: health, version, metrics and the logging specification over HTTP, as Fabric's peer has them.
//!
//! It has a thread of its own, so that it answers while the peer's threads are busy, and nothing that happens on it
//! reaches the peer: a part of a connection that fails ends that connection.

mod exposition;
pub mod health;
mod routes;
mod server;
mod tls;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use chaincode::ChaincodeSupport;
use channel::Channels;
use core_config::{CoreConfig, MetricsProvider, split_host_port};
use endorser::Endorser;
use handlers::Registry;
use protos::wire_message;
use tokio::runtime::Handle;

use self::health::Health;
use self::routes::Routes;
use self::server::{Limits, Server};
use crate::grpc::metrics::GrpcMetrics;
use crate::node::runtimes::Runtimes;

/// What the server tells about. Cloning counts references.
#[derive(Clone)]
pub struct Sources {
    /// The plugins.
    pub registry: Registry,
    /// The channels.
    pub channels: Arc<Channels>,
    /// The endorser, for what it has counted.
    pub endorser: Endorser,
    /// Chaincode support, likewise.
    pub chaincodes: Arc<ChaincodeSupport>,
    /// The gRPC servers, likewise.
    pub grpc: Arc<GrpcMetrics>,
    /// The runtimes of chaincode; none in dev mode.
    pub runtimes: Option<Arc<Runtimes>>,
}

/// The socket of a server that is still to start. Clients that connect already wait.
#[derive(Debug)]
pub struct BoundOperations {
    socket: TcpListener,
    tls: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
}

/// A running operations server. It ends when this is dropped.
#[derive(Debug)]
pub struct Operations {
    address: SocketAddr,
    _server: Server,
}

/// Takes the port, before anything else is started; none if `operations.listenAddress` is empty.
///
/// # Errors
/// When the address cannot be listened on or the TLS files cannot be used; the text names the key.
pub fn bind(config: &CoreConfig) -> Result<Option<BoundOperations>> {
    let operations = &config.operations;
    let Some(address) = &operations.listen_address else {
        return Ok(None);
    };
    let tls = tls::server_config(&operations.tls).context("operations.tls")?;
    let socket = TcpListener::bind(address).with_context(|| {
        format!(
            "operations.listenAddress: could not listen on {address}; set a free port, port 0 for any, or \"\" for no \
             operations server"
        )
    })?;
    socket.set_nonblocking(true)?;
    Ok(Some(BoundOperations { socket, tls }))
}

impl BoundOperations {
    /// Starts to serve. Must be called inside the peer's runtime, whose health is watched.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn serve(self, config: &CoreConfig, sources: Sources) -> Result<Operations> {
        let address = self.socket.local_addr()?;
        let routes = Routes {
            health: Health::new(
                sources.registry.clone(),
                sources.runtimes.clone(),
                Handle::current(),
            ),
            metrics: (config.metrics.provider == MetricsProvider::Prometheus).then_some(sources),
            secured: self.tls.is_some(),
        };
        let server = Server::start(self.socket, self.tls, routes, Limits::default())?;
        tracing::info!(%address, "operations server started");
        Ok(Operations {
            address,
            _server: server,
        })
    }
}

impl Operations {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What is wrong with the sections `operations` and `metrics`. Reads files.
#[must_use]
pub fn faults(config: &CoreConfig) -> Vec<String> {
    let operations = &config.operations;
    let Some(address) = &operations.listen_address else {
        return Vec::new();
    };
    let split = split_host_port(address).err();
    let mut faults: Vec<String> = split
        .map(|error| format!("operations.listenAddress: {}", wire_message(&error)))
        .into_iter()
        .collect();
    if !operations.tls.enabled {
        return faults;
    }
    let mut problems = operations.tls.problems();
    if !operations.tls.client_auth_required {
        problems.extend(operations.tls.load_client_roots().err());
    }
    faults.extend(
        problems
            .iter()
            .map(|problem| format!("operations.tls: {problem}")),
    );
    if problems.is_empty()
        && let Err(error) = tls::server_config(&operations.tls)
    {
        faults.push(format!("operations.tls: {}", wire_message(error.as_ref())));
    }
    faults
}

#[cfg(test)]
mod tests;
