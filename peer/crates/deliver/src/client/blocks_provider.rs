//! Follows an orderer for one channel (Fabric internal/pkg/peer/blocksprovider).
//!
//! It hands blocks in order to a [`BlockSink`], which verifies and commits them. Whatever goes wrong, the
//! next orderer is tried; the pause before that grows while no block arrives.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use bytes::Bytes;
use futures::StreamExt;
use msp::LocalSigner;
use protos::common::{Block, Status};
use protos::{ChannelId, wire_message};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connection::{ClientIdentity, ClientTls, ConnectError, GrpcTarget, Keepalive};
use super::orderer_client::OrdererClient;
use super::seek::{Delivered, from_on, seek_envelope, specified};
use crate::envelope::SignEnvelopeError;

/// The first pause, and the factor by which pauses grow (Fabric's values).
const FIRST_DELAY: Duration = Duration::from_millis(100);
const DELAY_FACTOR: f32 = 1.2;

/// An orderer as the channel configuration names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrdererEndpoint {
    /// `host:port`.
    pub address: String,
    /// The TLS CA certificates of its organisation, PEM.
    pub tls_roots: Vec<Bytes>,
}

/// Another address for an orderer (`peer.deliveryclient.addressOverrides`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressOverride {
    /// The address in the channel configuration.
    pub from: String,
    /// The address to use.
    pub to: String,
    /// The CA certificates to trust there, PEM; none keeps those of the configuration.
    pub tls_roots: Vec<Bytes>,
}

/// The settings of `peer.deliveryclient` and what TLS needs.
#[derive(Clone)]
pub struct FollowSettings {
    /// How long connecting may take (`connTimeout`).
    pub connect_timeout: Duration,
    /// The longest pause between attempts (`reConnectBackoffThreshold`).
    pub max_delay: Duration,
    /// After this long without a block the log says so louder (`reconnectTotalTimeThreshold`).
    pub total_threshold: Duration,
    /// Pings (`peer.keepalive.deliveryClient`).
    pub keepalive: Option<Keepalive>,
    /// Whether orderers speak TLS (`peer.tls.enabled`).
    pub tls: bool,
    /// What to show to orderers that ask for a certificate.
    pub identity: Option<ClientIdentity>,
    /// Orderers to be reached at another address.
    pub address_overrides: Vec<AddressOverride>,
}

/// Takes the blocks of a channel, in order.
#[async_trait]
pub trait BlockSink: Send + Sync {
    /// Verifies and commits a block. Never cancelled half-way.
    async fn block(&self, block: Block) -> Result<(), SinkError>;
}

/// Why a sink does not take a block.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The orderer's fault: another one is asked for the block.
    #[error("block from orderer was refused")]
    BadBlock(#[source] Box<dyn Error + Send + Sync>),
    /// The peer's own fault: following this channel ends.
    #[error("block could not be committed")]
    Fatal(#[source] Box<dyn Error + Send + Sync>),
}

/// Follows the ordering service for one channel.
pub struct BlocksProvider {
    /// The channel.
    pub channel: ChannelId,
    /// The number of blocks the peer has.
    pub height: Box<dyn Fn() -> u64 + Send + Sync>,
    /// The orderers, as the newest configuration names them.
    pub endpoints: watch::Receiver<Vec<OrdererEndpoint>>,
    /// Who asks.
    pub signer: Arc<LocalSigner>,
    /// Who takes the blocks.
    pub sink: Arc<dyn BlockSink>,
    /// How to connect and how to retry.
    pub settings: FollowSettings,
}

/// Why following one orderer ended.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("channel configuration names no orderer")]
    NoEndpoint,
    #[error("not connected")]
    Connect(#[from] ConnectError),
    #[error("could not create the seek request")]
    Sign(#[from] SignEnvelopeError),
    #[error("received status {} from orderer", .0.as_str_name())]
    Status(Status),
    #[error("deliver call failed")]
    Call(#[source] Box<tonic::Status>),
    #[error("orderer hung up without sending status")]
    HungUp,
    #[error("orderer sent block {got} instead of {expected}")]
    OutOfOrder { got: u64, expected: u64 },
    #[error(transparent)]
    Sink(SinkError),
}

/// How following one orderer ended well.
enum Stop {
    /// The configuration names other orderers now.
    EndpointsChanged,
    /// The peer stops.
    Shutdown,
}

impl BlocksProvider {
    /// Follows until the token is cancelled.
    ///
    /// # Errors
    /// When the sink says that the peer cannot go on.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), SinkError> {
        let mut retry = Retry::new(&self.settings);
        // different peers and channels start at different orderers
        let mut turn = usize::from(self.channel.as_str().bytes().fold(0_u8, u8::wrapping_add));
        loop {
            let mut progressed = false;
            let error = match self.follow(turn, &mut progressed, &shutdown).await {
                Ok(Stop::Shutdown) => return Ok(()),
                Ok(Stop::EndpointsChanged) => {
                    info!(channel = %self.channel, "orderer endpoints have changed, reconnecting");
                    continue;
                }
                Err(FollowError::Sink(fatal @ SinkError::Fatal(_))) => return Err(fatal),
                Err(error) => error,
            };
            turn = turn.wrapping_add(1);
            if progressed {
                retry = Retry::new(&self.settings);
            }
            let delay = retry.next_delay();
            let error = wire_message(&error);
            warn!(channel = %self.channel, error, ?delay, "disconnected from ordering service, will reconnect");
            retry.report(&self.channel);
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = changed(&mut self.endpoints) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    }

    /// Connects to one orderer and takes its blocks.
    async fn follow(
        &mut self,
        turn: usize,
        progressed: &mut bool,
        shutdown: &CancellationToken,
    ) -> Result<Stop, FollowError> {
        let target = self.target(turn).ok_or(FollowError::NoEndpoint)?;
        let mut expected = (self.height)();
        let seek = from_on(specified(expected));
        let envelope = seek_envelope(&self.signer, self.channel.as_str(), &seek, target.tls_cert_hash())?;
        let client = tokio::select! {
            client = OrdererClient::connect(&target) => client?,
            () = shutdown.cancelled() => return Ok(Stop::Shutdown),
        };
        info!(channel = %self.channel, orderer = target.address, next = expected, "pulling blocks");
        let mut answers = client.deliver(envelope);
        loop {
            let answer = tokio::select! {
                answer = answers.next() => answer,
                () = changed(&mut self.endpoints) => return Ok(Stop::EndpointsChanged),
                () = shutdown.cancelled() => return Ok(Stop::Shutdown),
            };
            let block = expect_block(answer, expected)?;
            self.sink.block(block).await.map_err(FollowError::Sink)?;
            *progressed = true;
            expected = expected.saturating_add(1);
        }
    }

    /// The orderer whose turn it is.
    fn target(&mut self, turn: usize) -> Option<GrpcTarget> {
        let endpoints = self.endpoints.borrow_and_update();
        let mut endpoint = endpoints.get(turn.checked_rem(endpoints.len())?)?.clone();
        let overrides = &self.settings.address_overrides;
        if let Some(replacement) = overrides.iter().find(|known| known.from == endpoint.address) {
            endpoint.address.clone_from(&replacement.to);
            if !replacement.tls_roots.is_empty() {
                endpoint.tls_roots.clone_from(&replacement.tls_roots);
            }
        }
        let identity = self.settings.identity.clone();
        let tls = ClientTls {
            roots: endpoint.tls_roots,
            identity,
            server_name: None,
        };
        Some(GrpcTarget {
            address: endpoint.address,
            tls: self.settings.tls.then_some(tls),
            connect_timeout: self.settings.connect_timeout,
            keepalive: self.settings.keepalive,
        })
    }
}

/// Resolves when the endpoints change; never when nobody can change them any longer.
async fn changed(endpoints: &mut watch::Receiver<Vec<OrdererEndpoint>>) {
    if endpoints.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn expect_block(
    answer: Option<Result<Delivered, tonic::Status>>,
    expected: u64,
) -> Result<Block, FollowError> {
    let block = match answer {
        Some(Ok(Delivered::Block(block))) => block,
        Some(Ok(Delivered::Status(status))) => return Err(FollowError::Status(status)),
        Some(Err(status)) => return Err(FollowError::Call(Box::new(status))),
        Some(Ok(Delivered::Filtered(_) | Delivered::Unknown)) | None => return Err(FollowError::HungUp),
    };
    match block.header.as_ref().map(|header| header.number) {
        Some(number) if number == expected => Ok(block),
        number => Err(FollowError::OutOfOrder {
            got: number.unwrap_or(u64::MAX),
            expected,
        }),
    }
}

/// The pauses between attempts, from the last block on.
struct Retry {
    delays: ExponentialBackoff,
    max_delay: Duration,
    since: Instant,
    threshold: Duration,
    reported: bool,
}

impl Retry {
    fn new(settings: &FollowSettings) -> Self {
        let delays = ExponentialBuilder::default()
            .with_min_delay(FIRST_DELAY.min(settings.max_delay))
            .with_max_delay(settings.max_delay)
            .with_factor(DELAY_FACTOR)
            .with_jitter()
            .without_max_times()
            .build();
        Self {
            delays,
            max_delay: settings.max_delay,
            since: Instant::now(),
            threshold: settings.total_threshold,
            reported: false,
        }
    }

    fn next_delay(&mut self) -> Duration {
        // jitter comes on top of backon's own cap
        self.delays.next().unwrap_or(self.max_delay).min(self.max_delay)
    }

    fn report(&mut self, channel: &ChannelId) {
        if !self.reported && self.since.elapsed() > self.threshold {
            self.reported = true;
            warn!(%channel, threshold = ?self.threshold, "no block for longer than reconnectTotalTimeThreshold");
        }
    }
}

#[cfg(test)]
mod tests;
