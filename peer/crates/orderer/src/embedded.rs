//! The orderer as a part of another program.

use std::sync::Arc;

use msp::LocalSigner;
use protos::common::Block;
use protos::orderer::atomic_broadcast_server::AtomicBroadcastServer;
use protos::{ChannelId, MAX_MESSAGE_SIZE};
use tracing::info;

use crate::registrar::{CreateError, OpenChainError, OrdererSettings, Registrar};
use crate::service::OrdererService;

/// A running orderer. Dropping it ends ordering without waiting; [`shutdown`](Self::shutdown) waits.
pub struct EmbeddedOrderer {
    registrar: Arc<Registrar>,
}

/// Why there is no orderer.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A channel it has cannot be opened.
    #[error("orderer's channels cannot be opened")]
    Chain(#[from] OpenChainError),
    /// The block to start with is refused.
    #[error("orderer's bootstrap block is refused")]
    Bootstrap(#[source] CreateError),
    /// A panic or the end of the runtime.
    #[error("opening was aborted")]
    Aborted(#[from] tokio::task::JoinError),
}

/// Why a channel is not joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The genesis block is refused, or the channel exists.
    #[error("cannot join channel")]
    Create(#[from] CreateError),
    /// A panic or the end of the runtime.
    #[error("joining was aborted")]
    Aborted(#[from] tokio::task::JoinError),
}

impl EmbeddedOrderer {
    /// Opens the channels on disk or, if there are none, the channel of the bootstrap block: a system channel, or an
    /// application channel like those given to [`join`](Self::join).
    ///
    /// # Errors
    /// When a channel or the bootstrap block is unusable.
    pub async fn open(
        settings: OrdererSettings,
        signer: Arc<LocalSigner>,
        bootstrap: Option<Block>,
    ) -> Result<Self, OpenError> {
        let runtime = tokio::runtime::Handle::current();
        let opening = tokio::task::spawn_blocking(move || {
            let registrar = Registrar::open(settings, signer, runtime)?;
            let Some(block) = bootstrap else {
                return Ok(Self { registrar });
            };
            if !registrar.channels().is_empty() {
                info!("bootstrap block is not used, there are channels");
                return Ok(Self { registrar });
            }
            match registrar.join(&block) {
                Ok(_) => Ok(Self { registrar }),
                Err(error) => {
                    registrar.shutdown_token().cancel();
                    Err(OpenError::Bootstrap(error))
                }
            }
        });
        opening.await?
    }

    /// Creates a channel from its genesis block.
    ///
    /// # Errors
    /// When the block is no usable genesis block, or the channel exists.
    pub async fn join(&self, genesis: Block) -> Result<ChannelId, JoinError> {
        let registrar = self.registrar.clone();
        let joining = tokio::task::spawn_blocking(move || registrar.join(&genesis));
        Ok(joining.await??)
    }

    /// The channels, the system channel included.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelId> {
        self.registrar.channels()
    }

    /// The gRPC service.
    #[must_use]
    pub fn service(&self) -> AtomicBroadcastServer<OrdererService> {
        AtomicBroadcastServer::new(OrdererService::new(self.registrar.clone()))
            .max_decoding_message_size(MAX_MESSAGE_SIZE)
            .max_encoding_message_size(MAX_MESSAGE_SIZE)
    }

    #[cfg(test)]
    pub(crate) fn registrar(&self) -> &Arc<Registrar> {
        &self.registrar
    }

    /// Ends all streams and returns when every accepted message is in a block on disk.
    pub async fn shutdown(&self) {
        self.registrar.shutdown().await;
        info!("orderer has stopped");
    }
}

impl Drop for EmbeddedOrderer {
    fn drop(&mut self) {
        self.registrar.shutdown_token().cancel();
    }
}
