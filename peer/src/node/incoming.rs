//! Connections as a listener takes them: without delay, and none that its client does not begin to use. Until a
//! client has shaken hands and said the first words of HTTP/2 nothing is known of it, so it gets little time.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::listener_tls::ListenerTls;

/// How long a client may take to shake hands and to begin with HTTP/2 (Fabric's connection timeout of a server).
const OPENING_TIMEOUT: Duration = Duration::from_secs(5);
/// Clients that are about to begin. Those beyond wait in the kernel's queue for a place.
const MAX_OPENING: usize = 1024;
/// Connections that wait for the server to take them.
const OPENED: usize = 16;
/// Pause after a failure to accept: one for want of file descriptors would come again at once.
const AFTER_FAILURE: Duration = Duration::from_millis(200);
/// What a client of HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// A stream of connections of one kind.
pub(super) type Connections<IO> = ReceiverStream<io::Result<Opened<IO>>>;

/// How the connections of a listener are secured.
pub(super) enum Security {
    /// Not at all.
    Plain,
    /// By the gRPC server, which also limits the time of a handshake.
    Server,
    /// By TLS, here.
    Tls(Arc<ListenerTls>),
}

/// The connections of a listener.
pub(super) enum Incoming {
    /// Without TLS, or with TLS that the server sees to.
    Plain(Connections<TcpStream>),
    /// With TLS.
    Tls(Connections<TlsStream<TcpStream>>),
}

impl Incoming {
    /// Accepts connections until the stream is dropped.
    pub(super) fn new(listener: TcpListener, security: Security) -> Self {
        match security {
            Security::Plain => Self::Plain(connections(listener, Opened::begun)),
            Security::Server => Self::Plain(connections(listener, async |tcp| Ok(Opened::untouched(tcp)))),
            Security::Tls(tls) => Self::Tls(connections(listener, move |tcp| {
                let config = tls.config();
                async move { Opened::begun(TlsAcceptor::from(config?).accept(tcp).await?).await }
            })),
        }
    }
}

/// A connection whose client has begun to speak; what has been read of it is read again.
pub(super) struct Opened<IO> {
    preface: [u8; PREFACE],
    replayed: usize,
    io: IO,
}

impl<IO: AsyncRead + Unpin> Opened<IO> {
    async fn begun(mut io: IO) -> io::Result<Self> {
        let mut preface = [0; PREFACE];
        io.read_exact(&mut preface).await?;
        Ok(Self {
            preface,
            replayed: 0,
            io,
        })
    }

    fn untouched(io: IO) -> Self {
        Self {
            preface: [0; PREFACE],
            replayed: PREFACE,
            io,
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Opened<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match this.preface.get(this.replayed..) {
            Some(left) if !left.is_empty() => {
                let (now, _) = left.split_at(left.len().min(buffer.remaining()));
                buffer.put_slice(now);
                this.replayed += now.len();
                Poll::Ready(Ok(()))
            }
            _ => Pin::new(&mut this.io).poll_read(context, buffer),
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Opened<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<IO: Connected> Connected for Opened<IO> {
    type ConnectInfo = IO::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.io.connect_info()
    }
}

fn connections<IO, F>(
    listener: TcpListener,
    open: impl Fn(TcpStream) -> F + Send + 'static,
) -> Connections<IO>
where
    IO: Send + 'static,
    F: Future<Output = io::Result<Opened<IO>>> + Send + 'static,
{
    let (opened, connections) = mpsc::channel(OPENED);
    let listener = Arc::new(listener);
    let accept = move || {
        let listener = Arc::clone(&listener);
        async move { Ok(listener.accept().await?.0) }
    };
    tokio::spawn(accept_all(accept, open, opened));
    ReceiverStream::new(connections)
}

/// Accepts until nobody wants connections any more.
async fn accept_all<IO, A, F>(
    accept: impl Fn() -> A,
    open: impl Fn(TcpStream) -> F,
    opened: mpsc::Sender<io::Result<Opened<IO>>>,
) where
    IO: Send + 'static,
    A: Future<Output = io::Result<TcpStream>>,
    F: Future<Output = io::Result<Opened<IO>>> + Send + 'static,
{
    let mut opening = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(), if opening.len() < MAX_OPENING => accepted,
            Some(_ended) = opening.join_next() => continue,
            () = opened.closed() => return,
        };
        match accepted {
            Ok(tcp) => {
                // answers are small and wait for nothing: Nagle's algorithm would only hold them back
                let nodelay = tcp.set_nodelay(true);
                let begun = open(tcp);
                opening.spawn(hand_over(async { nodelay.and(begun.await) }, opened.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::select! {
                    () = tokio::time::sleep(AFTER_FAILURE) => {}
                    () = opened.closed() => return,
                }
            }
        }
    }
}

async fn hand_over<IO>(
    opening: impl Future<Output = io::Result<Opened<IO>>>,
    opened: mpsc::Sender<io::Result<Opened<IO>>>,
) {
    let in_time = tokio::time::timeout(OPENING_TIMEOUT, opening).await;
    match in_time.map_err(io::Error::from).flatten() {
        // a server that stops takes no more
        Ok(connection) => drop(opened.send(Ok(connection)).await),
        Err(error) => tracing::debug!(%error, "a client did not begin to speak"),
    }
}

#[cfg(test)]
mod tests;
