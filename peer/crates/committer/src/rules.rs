//! What validation must know of a channel: its identities, its capabilities, its committed state.

use std::error::Error;

use bytes::Bytes;
use channelconfig::{ApplicationCapabilities, Bundle};
use ledger::KvLedger;
use msp::MspManager;
use protos::common::ConfigEnvelope;
use protos::{ChannelId, TxId};

/// The metadata entry that holds a key's endorsement policy.
const VALIDATION_PARAMETER: &str = "VALIDATION_PARAMETER";

/// An error of whoever answers for the channel.
pub type SourceError = Box<dyn Error + Send + Sync>;

/// What a channel's application capabilities switch on for validation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValidationCapabilities {
    /// A transaction id counts once per block (V1_1 and later).
    pub forbid_duplicate_tx_id_in_block: bool,
    /// An upgrade must satisfy the new instantiation policy also (V1_1 and later).
    pub v1_1_validation: bool,
    /// The invoked chaincode's policy always counts; collections may change at an upgrade (V1_2 and later).
    pub v1_2_validation: bool,
    /// Collections may be defined (V1_2 and later, and the V1_1 experiment).
    pub private_channel_data: bool,
    /// Keys may have endorsement policies of their own (V1_3 and later).
    pub key_level_endorsement: bool,
    /// Definitions are made by `_lifecycle`; LSCC is read-only (V2_0 and later).
    pub lifecycle_v20: bool,
}

impl From<&ApplicationCapabilities> for ValidationCapabilities {
    fn from(capabilities: &ApplicationCapabilities) -> Self {
        Self {
            forbid_duplicate_tx_id_in_block: capabilities.forbid_duplicate_txid_in_block(),
            v1_1_validation: capabilities.v1_1_validation(),
            v1_2_validation: capabilities.v1_2_validation(),
            private_channel_data: capabilities.private_channel_data(),
            key_level_endorsement: capabilities.key_level_endorsement(),
            lifecycle_v20: capabilities.lifecycle_v2_0(),
        }
    }
}

/// Why a configuration is not taken.
#[derive(Debug)]
pub enum ConfigRefusal {
    /// It does not follow from the present one: nobody takes it.
    Invalid(SourceError),
    /// It is agreed on, but this peer cannot work with it. Others can, so it must not be called invalid here.
    Unsupported(SourceError),
}

/// Judges configuration transactions.
pub trait ConfigRules: Sync {
    /// Whether the channel's next configuration may be this one.
    ///
    /// # Errors
    /// Why it may not.
    fn validate_config(&self, envelope: &ConfigEnvelope) -> Result<(), ConfigRefusal>;

    /// The MSPs of the organisations with peers: any member of them may endorse for system chaincode.
    fn application_msp_ids(&self) -> Vec<String>;
}

/// A channel's configuration, as far as validation asks for it.
#[derive(Clone, Copy)]
pub struct ChannelRules<'a> {
    /// The channel.
    pub channel: &'a ChannelId,
    /// Its MSPs.
    pub msps: &'a MspManager,
    /// Its application capabilities.
    pub capabilities: ValidationCapabilities,
    /// Its rules for the next configuration.
    pub config: &'a dyn ConfigRules,
}

impl ConfigRules for Bundle {
    fn validate_config(&self, envelope: &ConfigEnvelope) -> Result<(), ConfigRefusal> {
        match channelconfig::validate(self, envelope) {
            Ok(_) => Ok(()),
            Err(error) if error.is_of_result() => Err(ConfigRefusal::Unsupported(error.into())),
            Err(error) => Err(ConfigRefusal::Invalid(error.into())),
        }
    }

    fn application_msp_ids(&self) -> Vec<String> {
        self.application_org_msp_ids()
    }
}

impl<'a> From<&'a Bundle> for ChannelRules<'a> {
    fn from(bundle: &'a Bundle) -> Self {
        Self {
            channel: bundle.channel(),
            msps: bundle.msp_manager(),
            capabilities: (&bundle.application_capabilities()).into(),
            config: bundle,
        }
    }
}

/// A channel's committed blocks and state.
pub trait CommittedState: Sync {
    /// Whether a committed transaction, valid or not, has this id.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    fn tx_id_exists(&self, tx_id: &TxId) -> Result<bool, SourceError>;

    /// The committed value of a key.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    fn state(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, SourceError>;

    /// The committed endorsement policy of a single key, if it has one.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    fn validation_parameter(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, SourceError>;

    /// The committed endorsement policy of a single key of a private collection, if it has one.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    fn validation_parameter_by_hash(
        &self,
        namespace: &str,
        collection: &str,
        key_hash: &[u8],
    ) -> Result<Option<Bytes>, SourceError>;
}

impl CommittedState for KvLedger {
    fn tx_id_exists(&self, tx_id: &TxId) -> Result<bool, SourceError> {
        Ok(self.tx_exists(tx_id)?)
    }

    fn state(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, SourceError> {
        Ok(self.new_query_executor().get_state(namespace, key)?)
    }

    fn validation_parameter(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, SourceError> {
        let mut metadata = self.new_query_executor().get_state_metadata(namespace, key)?;
        Ok(metadata.remove(VALIDATION_PARAMETER))
    }

    fn validation_parameter_by_hash(
        &self,
        namespace: &str,
        collection: &str,
        key_hash: &[u8],
    ) -> Result<Option<Bytes>, SourceError> {
        let executor = self.new_query_executor();
        let mut metadata = executor.get_private_data_metadata_by_hash(namespace, collection, key_hash)?;
        Ok(metadata.remove(VALIDATION_PARAMETER))
    }
}
