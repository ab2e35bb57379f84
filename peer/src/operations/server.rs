//! The HTTP server on its own thread: connections, their limits, their end.

use std::net::TcpListener as Socket;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::routes::Routes;

/// Pause after a failure to accept: one for want of file descriptors would come again at once.
const AFTER_FAILURE: Duration = Duration::from_millis(200);
/// Largest head of a request in bytes, and the most headers in it.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// What a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at a time; those beyond wait in the kernel's queue. Each may hold one answer, which with plugins
    /// that keep many values is some megabytes.
    pub(super) connections: usize,
    /// Time for a TLS handshake, and for the head of a request; a connection that is idle for so long is closed
    /// (Fabric's read timeout).
    pub(super) head: Duration,
    /// Time for everything on one connection (Fabric's write timeout). Clients that come regularly connect again.
    pub(super) connection: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 32,
            head: Duration::from_secs(10),
            connection: Duration::from_secs(120),
        }
    }
}

/// The running server; dropping it ends it.
#[derive(Debug)]
pub(super) struct Server {
    token: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves on a thread of its own.
    ///
    /// # Errors
    /// When the thread or its runtime cannot be started, or the socket cannot be used.
    pub(super) fn start(
        socket: Socket,
        tls: Option<Arc<ServerConfig>>,
        routes: Routes,
        limits: Limits,
    ) -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("could not start the operations server")?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(socket)?
        };
        let token = CancellationToken::new();
        let connections = Connections {
            tls: tls.map(TlsAcceptor::from),
            routes,
            limits,
            token: token.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("operations".to_owned())
            .spawn(move || {
                runtime.block_on(connections.accept(listener));
                // what somebody still reads ends with the peer
                runtime.shutdown_background();
            })
            .context("could not start the operations server")?;
        Ok(Self {
            token,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.token.cancel();
        // it notices at its next turn, which is never longer than writing the metrics
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the operations server had broken down");
        }
    }
}

/// How connections are served.
#[derive(Clone)]
struct Connections {
    tls: Option<TlsAcceptor>,
    routes: Routes,
    limits: Limits,
    token: CancellationToken,
}

impl Connections {
    async fn accept(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let mut running = JoinSet::new();
        loop {
            let place = Arc::clone(&places).acquire_owned();
            let accepted = tokio::select! {
                () = self.token.cancelled() => return,
                Some(ended) = running.join_next(), if !running.is_empty() => {
                    note(ended);
                    continue;
                }
                accepted = async { (place.await, listener.accept().await) } => accepted,
            };
            match accepted {
                (Ok(place), Ok((tcp, _from))) => {
                    let connections = self.clone();
                    running.spawn(async move {
                        connections.serve(tcp).await;
                        drop(place);
                    });
                }
                // nobody closes the places
                (Err(_closed), _) => return,
                (Ok(_), Err(error)) => {
                    tracing::warn!(%error, "operations server could not accept a connection");
                    sleep(AFTER_FAILURE).await;
                }
            }
        }
    }

    async fn serve(self, tcp: TcpStream) {
        let Some(tls) = self.tls.clone() else {
            return self.speak(tcp, false).await;
        };
        match timeout(self.limits.head, tls.accept(tcp)).await {
            Ok(Ok(stream)) => {
                let known = stream.get_ref().1.peer_certificates().is_some();
                self.speak(stream, known).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "an operations client did not shake hands"),
            Err(_elapsed) => tracing::debug!("an operations client took too long to shake hands"),
        }
    }

    async fn speak(self, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, known: bool) {
        let Self { routes, limits, .. } = self;
        let service = service_fn(move |request| routes.clone().answer(request, known));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(io), service);
        match timeout(limits.connection, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a connection of an operations client ended early"),
            Err(_elapsed) => tracing::debug!("a connection of an operations client was closed for its age"),
        }
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(broken) = ended {
        tracing::error!(%broken, "a connection of the operations server broke down");
    }
}
