//! One deliver stream from its first request to its end (Fabric common/deliver/deliver.go).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use protos::common::{Block, BlockData, ChannelHeader, Envelope, HeaderType, Payload, Status};
use protos::orderer::SeekInfo;
use protos::{UnpackedEnvelope, clamped, wire_message};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::access::SessionAccess;
use super::answer::Answer;
use super::cursor::{Cursor, is_best_effort};
use super::request::{TlsBinding, unpack};
use super::source::{BlockSource, Sources};

/// Answers that wait for a slow client; a block can have many megabytes, so there are few.
const BUFFERED_ANSWERS: usize = 4;

/// The answers of one stream.
pub type ResponseStream<A> = ReceiverStream<Result<A, tonic::Status>>;

/// What a handler needs to know about its server.
#[derive(Clone, Debug)]
pub struct DeliverSettings {
    /// How far a request's timestamp may be from this machine's clock (`peer.authentication.timewindow`).
    pub time_window: Duration,
    /// Whether clients must show a TLS certificate, which their requests are then bound to.
    pub mutual_tls: bool,
    /// Goes on serving clients whose certificates have expired.
    pub no_expiration_checks: bool,
    /// Ends all streams; without it a server that waits for its streams would never stop.
    pub shutdown: CancellationToken,
}

/// Serves deliver streams from the channels of a node.
#[derive(Clone)]
pub struct DeliverHandler {
    sources: Arc<dyn Sources>,
    settings: DeliverSettings,
}

/// How a stream ends.
enum End {
    /// With this status as its last answer, after which another request may follow if it is a success.
    Status(Status),
    /// The client has gone.
    ClientGone,
    /// The server stops.
    Shutdown,
}

impl DeliverHandler {
    /// A handler over the given channels.
    #[must_use]
    pub fn new(sources: Arc<dyn Sources>, settings: DeliverSettings) -> Self {
        Self { sources, settings }
    }

    /// Serves one stream in a task of its own, which ends when the client hangs up.
    /// `certificate` is the TLS certificate (DER) that the client showed.
    pub fn serve<A, S>(&self, requests: S, certificate: Option<Bytes>) -> ResponseStream<A>
    where
        A: Answer,
        S: Stream<Item = Result<Envelope, tonic::Status>> + Send + Unpin + 'static,
    {
        let (answers, stream) = mpsc::channel(BUFFERED_ANSWERS);
        let binding = match self.settings.mutual_tls {
            true => TlsBinding::Certificate(certificate),
            false => TlsBinding::None,
        };
        let session = Session {
            handler: self.clone(),
            binding,
            answers,
        };
        tokio::spawn(session.run(requests));
        ReceiverStream::new(stream)
    }
}

/// The serving side of one stream.
struct Session<A> {
    handler: DeliverHandler,
    binding: TlsBinding,
    answers: mpsc::Sender<Result<A, tonic::Status>>,
}

impl<A: Answer> Session<A> {
    async fn run<S>(self, mut requests: S)
    where
        S: Stream<Item = Result<Envelope, tonic::Status>> + Unpin,
    {
        loop {
            let request = tokio::select! {
                request = requests.next() => request,
                () = self.answers.closed() => return,
                () = self.handler.settings.shutdown.cancelled() => return self.refuse_for_shutdown().await,
            };
            let envelope = match request {
                Some(Ok(envelope)) => envelope,
                None => return,
                Some(Err(status)) => return self.give_up(status),
            };
            let status = match self.deliver(envelope).await {
                End::Status(status) => status,
                End::ClientGone => return,
                End::Shutdown => return self.refuse_for_shutdown().await,
            };
            let sent = self.answers.send(Ok(A::status(status))).await;
            if status != Status::Success || sent.is_err() {
                return;
            }
        }
    }

    /// Tells a client that is still there why its request was not read.
    fn give_up(&self, status: tonic::Status) {
        let status = protos::in_grpc_gos_words(status);
        debug!(%status, "deliver client's stream broke");
        if self.answers.try_send(Err(status)).is_err() {
            debug!("deliver client was not told why its stream broke");
        }
    }

    async fn refuse_for_shutdown(&self) {
        let status = tonic::Status::unavailable("server is shutting down");
        if self.answers.try_send(Err(status)).is_err() {
            debug!("deliver client was not told of the shutdown");
        }
    }

    async fn deliver(&self, envelope: Envelope) -> End {
        let settings = &self.handler.settings;
        let request = match unpack(envelope, settings.time_window, &self.binding) {
            Ok(request) => request,
            Err(error) => {
                warn!(error = wire_message(&error), "malformed deliver request");
                return End::Status(Status::BadRequest);
            }
        };
        let channel = request.channel_header.channel_id.as_str();
        let Some(source) = self.handler.sources.source(channel) else {
            debug!(
                channel = &*clamped(channel),
                "deliver request for an unknown channel"
            );
            return End::Status(Status::NotFound);
        };
        match self.open(&request, source).await {
            Ok(delivery) => delivery.run(&self.answers, &settings.shutdown).await,
            Err(status) => End::Status(status),
        }
    }

    /// The checks between finding the channel and the first block, in Fabric's order.
    async fn open(
        &self,
        request: &UnpackedEnvelope,
        source: Arc<dyn BlockSource>,
    ) -> Result<Delivery, Status> {
        let channel = request.channel_header.channel_id.clone();
        let seek = SeekInfo::decode(request.data.clone()).map_err(|error| {
            warn!(channel, %error, "malformed seek info");
            Status::BadRequest
        })?;
        let serviceable = source.serviceable().filter(|_| !is_best_effort(&seek));
        if serviceable
            .as_ref()
            .is_some_and(|serviceable| !*serviceable.borrow())
        {
            warn!(channel, "deliver request refused, the consenter has failed");
            return Err(Status::ServiceUnavailable);
        }
        let check_expiration = !self.handler.settings.no_expiration_checks;
        let mut access = SessionAccess::new(source.clone(), A::FORM, request, check_expiration);
        access.evaluate().await.map_err(|error| {
            warn!(
                channel,
                error = wire_message(&error),
                "deliver client is not authorized"
            );
            Status::Forbidden
        })?;
        let height = source.height_watch();
        let cursor = Cursor::new(&seek, *height.borrow()).inspect_err(|status| {
            warn!(channel, ?status, "seek positions refused");
        })?;
        Ok(Delivery {
            channel,
            source,
            access,
            height,
            serviceable,
            cursor,
        })
    }
}

/// The blocks of one request on their way.
struct Delivery {
    channel: String,
    source: Arc<dyn BlockSource>,
    access: SessionAccess,
    height: watch::Receiver<u64>,
    serviceable: Option<watch::Receiver<bool>>,
    cursor: Cursor,
}

impl Delivery {
    async fn run<A: Answer>(
        mut self,
        answers: &mpsc::Sender<Result<A, tonic::Status>>,
        shutdown: &CancellationToken,
    ) -> End {
        loop {
            let ready = async {
                match self.wait_for_block().await {
                    Some(status) => Err(End::Status(status)),
                    None => answers.reserve().await.ok().ok_or(End::ClientGone),
                }
            };
            let permit = tokio::select! {
                ready = ready => match ready {
                    Ok(permit) => permit,
                    Err(end) => return end,
                },
                () = answers.closed() => return End::ClientGone,
                () = shutdown.cancelled() => return End::Shutdown,
            };
            let number = self.cursor.next;
            let answer = match self.read::<A>().await {
                Ok(answer) => answer,
                Err(status) => return End::Status(status),
            };
            if let Err(error) = self.access.evaluate().await {
                let channel = self.channel;
                warn!(
                    channel,
                    error = wire_message(&error),
                    "deliver client's authorization was revoked"
                );
                return End::Status(Status::Forbidden);
            }
            permit.send(Ok(answer));
            if number == self.cursor.stop {
                return End::Status(Status::Success);
            }
            self.cursor.next = number.saturating_add(1);
        }
    }

    /// Waits until the next block exists. A status if it never will.
    async fn wait_for_block(&mut self) -> Option<Status> {
        let next = self.cursor.next;
        if self.cursor.fail_if_not_ready && next >= *self.height.borrow() {
            return Some(Status::NotFound);
        }
        let arrived = self.height.wait_for(|height| *height > next);
        let closed = match &mut self.serviceable {
            None => arrived.await.is_err(),
            Some(serviceable) => tokio::select! {
                biased;
                arrived = arrived => arrived.is_err(),
                _ = serviceable.wait_for(|serviceable| !serviceable) => true,
            },
        };
        closed.then_some(Status::ServiceUnavailable)
    }

    /// Reads the next block and makes the answer, both on the blocking pool.
    async fn read<A: Answer>(&self) -> Result<A, Status> {
        let (source, channel) = (self.source.clone(), self.channel.clone());
        let Cursor {
            next: number,
            header_only,
            ..
        } = self.cursor;
        let reading = tokio::task::spawn_blocking(move || {
            let block = source.block(number)?;
            let answer = block.map(|block| {
                let block = if header_only {
                    without_transactions(block)
                } else {
                    block
                };
                A::block(&channel, block)
            });
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer)
        });
        match reading.await {
            Ok(Ok(Some(answer))) => Ok(answer),
            Ok(Ok(None)) => Err(Status::NotFound),
            Ok(Err(error)) => {
                let error = wire_message(error.as_ref());
                error!(channel = self.channel, number, error, "block could not be read");
                Err(Status::ServiceUnavailable)
            }
            Err(error) => {
                error!(channel = self.channel, number, %error, "reading a block was aborted");
                Err(Status::InternalServerError)
            }
        }
    }
}

/// Header and metadata of a block; a configuration block stays whole, since a follower that trusts headers
/// alone still has to learn who signs them.
fn without_transactions(block: Block) -> Block {
    if is_config(&block) {
        return block;
    }
    Block { data: None, ..block }
}

fn is_config(block: &Block) -> bool {
    let first = block
        .data
        .as_ref()
        .and_then(|data: &BlockData| data.data.first().cloned());
    let header = first.and_then(|envelope| {
        let payload = Payload::decode(Envelope::decode(envelope).ok()?.payload).ok()?;
        ChannelHeader::decode(payload.header?.channel_header).ok()
    });
    let config = [HeaderType::Config as i32, HeaderType::OrdererTransaction as i32];
    header.is_some_and(|header| config.contains(&header.r#type))
}

#[cfg(test)]
mod tests;
