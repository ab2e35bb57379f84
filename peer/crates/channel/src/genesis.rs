//! The first block of a channel, checked before it is joined.

use std::sync::Arc;

use channelconfig::{Bundle, BundleError};
use protos::common::Block;
use protos::{ChannelId, EnvelopeError, channel_header_of};

/// A genesis block whose configuration this peer can work with.
#[derive(Debug)]
pub struct Genesis {
    pub(crate) block: Block,
    pub(crate) bundle: Arc<Bundle>,
}

/// Why a block is not the genesis block of an application channel. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// There is no transaction that could name a channel.
    #[error("block has no transaction")]
    Empty,
    /// The first transaction does not unpack.
    #[error("failed to unpack the first transaction")]
    Envelope(#[source] EnvelopeError),
    /// The channel has no name.
    #[error("channel header has no channel id")]
    NoChannelId,
    /// Not the first block.
    #[error("block number is {0}, not 0")]
    NotFirst(u64),
    /// The configuration is refused.
    #[error("Bad configuration envelope")]
    Config(#[source] BundleError),
    /// The channel is not for peers.
    #[error("Invalid configuration block, missing Application configuration group")]
    NoApplication,
}

impl Genesis {
    /// The channel that a block names.
    ///
    /// # Errors
    /// When its first transaction does not unpack or names no channel.
    pub fn channel_of(block: &Block) -> Result<ChannelId, GenesisError> {
        let first = block
            .data
            .as_ref()
            .and_then(|data| data.data.first())
            .ok_or(GenesisError::Empty)?;
        let header = channel_header_of(first.clone()).map_err(GenesisError::Envelope)?;
        if header.channel_id.is_empty() {
            return Err(GenesisError::NoChannelId);
        }
        Ok(header.channel_id.into())
    }

    /// The channel that the configuration is for.
    #[must_use]
    pub fn channel(&self) -> &ChannelId {
        self.bundle.channel()
    }
}

impl TryFrom<Block> for Genesis {
    type Error = GenesisError;

    fn try_from(block: Block) -> Result<Self, GenesisError> {
        let number = block.header.as_ref().map_or(0, |header| header.number);
        if number != 0 {
            return Err(GenesisError::NotFirst(number));
        }
        let bundle = Bundle::from_config_block(&block).map_err(GenesisError::Config)?;
        if bundle.application().is_none() {
            return Err(GenesisError::NoApplication);
        }
        Ok(Self {
            block,
            bundle: Arc::new(bundle),
        })
    }
}
