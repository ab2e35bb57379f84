//! What the orderer takes from a channel's configuration.

use std::error::Error;
use std::time::Duration;

use channelconfig::{Bundle, BundleError, CapabilityError, new_channel_config, propose_config_update};
use protos::common::{Block, Config, ConfigEnvelope, Envelope};
use protos::orderer::{BatchSize, ConsensusType, consensus_type};
use protos::{SignedData, UnpackedEnvelope};

use crate::maintenance;

/// The orderer capabilities that allow maintenance mode.
const MIGRATION: [&str; 2] = ["V1_4_2", "V2_0"];

/// A channel's configuration that an orderer can work with.
#[derive(Debug)]
pub(crate) struct Resources {
    bundle: Bundle,
    orderer: OrdererValues,
}

/// The values of the orderer section that messages are judged by.
#[derive(Debug)]
pub(crate) struct OrdererValues {
    batch_size: BatchSize,
    batch_timeout: Duration,
    max_channels: u64,
    pub(crate) consensus_type: ConsensusType,
    expiration_check: bool,
    pub(crate) consensus_type_migration: bool,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResourcesError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("config does not contain orderer config")]
    NoOrderer,
    #[error("config requires unsupported orderer capabilities")]
    Capabilities(#[source] CapabilityError),
}

impl Resources {
    /// Reads a configuration.
    pub(crate) fn new(channel: &str, config: &Config) -> Result<Self, ResourcesError> {
        Self::from_bundle(Bundle::from_config(channel, config)?)
    }

    /// Reads the configuration in a config block.
    pub(crate) fn from_config_block(block: &Block) -> Result<Self, ResourcesError> {
        Self::from_bundle(Bundle::from_config_block(block)?)
    }

    fn from_bundle(bundle: Bundle) -> Result<Self, ResourcesError> {
        let section = bundle.orderer().ok_or(ResourcesError::NoOrderer)?;
        section
            .capabilities
            .supported()
            .map_err(ResourcesError::Capabilities)?;
        let orderer = OrdererValues {
            batch_size: section.batch_size,
            batch_timeout: section.batch_timeout,
            max_channels: section.max_channels,
            consensus_type: section.consensus_type.clone(),
            expiration_check: section.capabilities.expiration_check(),
            consensus_type_migration: section.capabilities.names().any(|name| MIGRATION.contains(&name)),
        };
        Ok(Self { bundle, orderer })
    }

    /// The channel.
    pub(crate) fn channel(&self) -> &protos::ChannelId {
        self.bundle.channel()
    }

    /// The number of the configuration.
    pub(crate) fn sequence(&self) -> u64 {
        self.bundle.sequence()
    }

    /// Whether this is a system channel, from which channels are created.
    pub(crate) fn is_system(&self) -> bool {
        self.bundle.consortiums().is_some()
    }

    /// The limits of batches and messages.
    pub(crate) fn batch_size(&self) -> &BatchSize {
        &self.orderer.batch_size
    }

    /// How long a batch may wait for more messages.
    pub(crate) fn batch_timeout(&self) -> Duration {
        self.orderer.batch_timeout
    }

    /// How many channels there may be; 0 is any number.
    pub(crate) fn max_channels(&self) -> u64 {
        self.orderer.max_channels
    }

    /// Whether only the orderers' own organisations may use the channel.
    pub(crate) fn in_maintenance(&self) -> bool {
        self.orderer.consensus_type_migration
            && self.orderer.consensus_type.state() == consensus_type::State::Maintenance
    }

    /// Whether messages of expired identities are refused.
    pub(crate) fn checks_expiration(&self) -> bool {
        self.orderer.expiration_check
    }

    /// Evaluates a policy of the channel over one signature.
    pub(crate) fn evaluate(
        &self,
        policy: &str,
        signed: &SignedData,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.bundle.evaluate(policy, std::slice::from_ref(signed))?)
    }

    /// Applies an update and checks that the outcome is a configuration this orderer can work with.
    pub(crate) fn propose(
        &self,
        update: &UnpackedEnvelope,
    ) -> Result<ConfigEnvelope, Box<dyn Error + Send + Sync>> {
        let applied = propose_config_update(&self.bundle, &packed(update))?;
        let config = applied
            .config
            .as_ref()
            .ok_or("update leads to no configuration")?;
        let next = Self::new(self.channel().as_str(), config)?;
        maintenance::check(&self.orderer, &next.orderer, update)?;
        Ok(applied)
    }

    /// The template of a new channel, to which its creation transaction is an update.
    pub(crate) fn new_channel(
        &self,
        update: &UnpackedEnvelope,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self::from_bundle(new_channel_config(
            &self.bundle,
            &packed(update),
        )?)?)
    }
}

/// The envelope that was unpacked.
fn packed(unpacked: &UnpackedEnvelope) -> Envelope {
    Envelope {
        payload: unpacked.payload_bytes.clone(),
        signature: unpacked.signature.clone(),
    }
}
