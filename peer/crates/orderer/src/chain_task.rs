//! The task that orders one channel's messages (Fabric orderer/consensus/solo): one message after the other
//! into batches, batches into blocks, blocks onto disk.

use std::sync::{Arc, Weak};

use msp::LocalSigner;
use protos::common::{Block, ConfigEnvelope, Envelope, HeaderType};
use protos::{UnpackedEnvelope, wire_message};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::block_cutter::BlockCutter;
use crate::block_writer::BlockWriter;
use crate::chain::{Chain, Message, Queued};
use crate::processor::unpack;
use crate::registrar::{CreateError, Registrar};
use crate::rejection::Rejection;
use crate::resources::Resources;

/// The state of one channel's ordering.
pub(crate) struct ChainTask {
    pub(crate) chain: Arc<Chain>,
    pub(crate) registrar: Weak<Registrar>,
    pub(crate) signer: Arc<LocalSigner>,
    pub(crate) writer: BlockWriter,
    pub(crate) queue: mpsc::Receiver<Queued>,
    pub(crate) cutter: BlockCutter,
    /// When the batch under construction is cut in any case.
    pub(crate) cut_at: Option<Instant>,
}

/// Why a channel cannot go on.
#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error("block could not be signed")]
    Sign(#[from] deliver::SignEnvelopeError),
    #[error("block could not be written")]
    Append(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("block has no header")]
    Header(#[from] protos::BlockError),
    #[error("own configuration message is unusable")]
    OwnMessage(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("writing was aborted")]
    Aborted(#[from] tokio::task::JoinError),
}

impl ChainTask {
    /// Orders until the queue is closed, then writes what is left.
    pub(crate) async fn run(mut self, shutdown: tokio_util::sync::CancellationToken) {
        if let Err(error) = self.order_all(&shutdown).await {
            self.chain.fail();
            error!(channel = %self.chain.id, error = wire_message(&error), "channel cannot be ordered any longer");
        }
        debug!(channel = %self.chain.id, "channel's ordering has ended");
    }

    async fn order_all(&mut self, shutdown: &tokio_util::sync::CancellationToken) -> Result<(), OrderError> {
        let mut closing = false;
        loop {
            tokio::select! {
                queued = self.queue.recv() => match queued {
                    Some(queued) => self.order(queued).await?,
                    None => break,
                },
                () = at(self.cut_at) => self.cut().await?,
                () = shutdown.cancelled(), if !closing => {
                    closing = true;
                    self.queue.close();
                }
            }
        }
        self.cut().await
    }

    async fn order(&mut self, queued: Queued) -> Result<(), OrderError> {
        let Queued {
            message,
            config_sequence,
            _share,
        } = queued;
        let outdated = config_sequence != self.chain.resources().sequence();
        let message = match outdated {
            true => self.check_again(message).await?,
            false => Ok(message),
        };
        match message {
            Ok(Message::Normal(envelope)) => self.order_normal(envelope).await,
            Ok(Message::Config(envelope)) => {
                self.cut().await?;
                self.order_config(envelope).await
            }
            Err(rejection) => {
                let reason = wire_message(&rejection);
                warn!(channel = %self.chain.id, reason, "message is discarded, the configuration has changed");
                Ok(())
            }
        }
    }

    /// Checks a message anew: it was accepted under another configuration.
    async fn check_again(&self, message: Message) -> Result<Result<Message, Rejection>, OrderError> {
        let Some(registrar) = self.registrar.upgrade() else {
            return Ok(Err(Rejection::Stopped));
        };
        let chain = self.chain.clone();
        let checking = tokio::task::spawn_blocking(move || {
            let processor = registrar.processor(&chain);
            match message {
                Message::Normal(envelope) => {
                    processor.normal(&unpack(envelope.clone())?)?;
                    Ok(Message::Normal(envelope))
                }
                Message::Config(envelope) => processor.config_again(envelope).map(|(message, _)| message),
            }
        });
        Ok(checking.await?)
    }

    async fn order_normal(&mut self, envelope: Envelope) -> Result<(), OrderError> {
        let resources = self.chain.resources();
        let ordered = self.cutter.ordered(envelope, resources.batch_size());
        for batch in ordered.batches {
            self.write_batch(batch).await?;
        }
        self.cut_at = match (ordered.pending, self.cut_at) {
            (false, _) => None,
            (true, None) => Some(Instant::now() + resources.batch_timeout()),
            (true, running) => running,
        };
        Ok(())
    }

    async fn cut(&mut self) -> Result<(), OrderError> {
        self.cut_at = None;
        match self.cutter.cut() {
            Some(batch) => self.write_batch(batch).await,
            None => Ok(()),
        }
    }

    async fn order_config(&mut self, envelope: Envelope) -> Result<(), OrderError> {
        let message = UnpackedEnvelope::try_from(envelope.clone()).map_err(own)?;
        match message.channel_header.r#type == HeaderType::OrdererTransaction as i32 {
            true => self.create_channel(envelope, message).await,
            false => self.reconfigure(envelope, message).await,
        }
    }

    async fn reconfigure(&mut self, envelope: Envelope, message: UnpackedEnvelope) -> Result<(), OrderError> {
        let id = self.chain.id.clone();
        let config: ConfigEnvelope = prost::Message::decode(message.data).map_err(own)?;
        let building = tokio::task::spawn_blocking(move || {
            Resources::new(id.as_str(), &config.config.unwrap_or_default())
        });
        let resources = building.await?.map_err(own)?;
        let block = self.writer.next_config(&envelope, &self.signer)?;
        info!(channel = %self.chain.id, sequence = resources.sequence(), "channel has a new configuration");
        // in force before the block can be read: who has seen the block is judged by it
        self.chain.reconfigure(resources);
        self.append(block).await
    }

    /// The new channel comes first: a crash in between leaves a channel that works, not a block that promises one.
    async fn create_channel(
        &mut self,
        envelope: Envelope,
        message: UnpackedEnvelope,
    ) -> Result<(), OrderError> {
        let config: Envelope = prost::Message::decode(message.data).map_err(own)?;
        let Some(registrar) = self.registrar.upgrade() else {
            return Ok(());
        };
        let creating = tokio::task::spawn_blocking(move || registrar.create_chain(&config));
        match creating.await? {
            Ok(id) => info!(channel = %id, "created and started new channel"),
            Err(CreateError::Exists(id)) => {
                warn!(channel = %id, "channel exists already, its creation is discarded");
                return Ok(());
            }
            Err(error) => return Err(OrderError::Append(Box::new(error))),
        }
        self.write_batch(vec![envelope]).await
    }

    async fn write_batch(&mut self, batch: Vec<Envelope>) -> Result<(), OrderError> {
        let block = self.writer.next(&batch, &self.signer)?;
        self.append(block).await
    }

    async fn append(&mut self, block: Block) -> Result<(), OrderError> {
        let writer = BlockWriter::after(&block)?;
        let store = self.chain.store.clone();
        let appending = tokio::task::spawn_blocking(move || store.append(&block));
        appending
            .await?
            .map_err(|error| OrderError::Append(Box::new(error)))?;
        self.writer = writer;
        Ok(())
    }
}

/// This orderer's own message does not read as what it made.
fn own(error: impl std::error::Error + Send + Sync + 'static) -> OrderError {
    OrderError::OwnMessage(Box::new(error))
}

/// Resolves at that time; never without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
