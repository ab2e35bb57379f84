//! What validation must know of a channel: its identities, its capabilities, its committed state.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use channelconfig::{ApplicationCapabilities, Bundle};
use ledger::KvLedger;
use msp::MspManager;
use protos::common::ConfigEnvelope;
use protos::{ChannelId, TxId};

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

impl ValidationCapabilities {
    /// Whether one of them is on, by the name of Fabric's method; false for those that validation does not know.
    pub(crate) fn has(&self, name: &str) -> bool {
        match name {
            "ForbidDuplicateTXIdInBlock" => self.forbid_duplicate_tx_id_in_block,
            "V1_1Validation" => self.v1_1_validation,
            "V1_2Validation" | "CollectionUpgrade" => self.v1_2_validation,
            "PrivateChannelData" => self.private_channel_data,
            "V1_3Validation" | "KeyLevelEndorsement" => self.key_level_endorsement,
            "V2_0Validation" | "LifecycleV20" => self.lifecycle_v20,
            _ => false,
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
pub trait ConfigRules: Send + Sync {
    /// Whether the channel's next configuration may be this one.
    ///
    /// # Errors
    /// Why it may not.
    fn validate_config(&self, envelope: &ConfigEnvelope) -> Result<(), ConfigRefusal>;

    /// The MSPs of the organisations with peers: any member of them may endorse for system chaincode.
    fn application_msp_ids(&self) -> Vec<String>;
}

/// A channel's configuration, as far as validation asks for it.
#[derive(Clone)]
pub struct ChannelRules {
    /// The channel.
    pub channel: ChannelId,
    /// Its MSPs.
    pub msps: Arc<MspManager>,
    /// Its application capabilities.
    pub capabilities: ValidationCapabilities,
    /// Its rules for the next configuration.
    pub config: Arc<dyn ConfigRules>,
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

impl From<Arc<Bundle>> for ChannelRules {
    fn from(bundle: Arc<Bundle>) -> Self {
        Self {
            channel: bundle.channel().clone(),
            msps: Arc::clone(bundle.msp_manager()),
            capabilities: (&bundle.application_capabilities()).into(),
            config: bundle,
        }
    }
}

/// A channel's committed blocks and state.
pub trait CommittedState: Send + Sync {
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

    /// A committed metadata entry of a key, if it has one.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    fn state_metadata(&self, namespace: &str, key: &str, entry: &str) -> Result<Option<Bytes>, SourceError>;

    /// A committed metadata entry of a key of a private collection, if it has one.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    fn private_metadata(
        &self,
        namespace: &str,
        collection: &str,
        key_hash: &[u8],
        entry: &str,
    ) -> Result<Option<Bytes>, SourceError>;
}

impl CommittedState for KvLedger {
    fn tx_id_exists(&self, tx_id: &TxId) -> Result<bool, SourceError> {
        Ok(self.tx_exists(tx_id)?)
    }

    fn state(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, SourceError> {
        Ok(self.new_query_executor().get_state(namespace, key)?)
    }

    fn state_metadata(&self, namespace: &str, key: &str, entry: &str) -> Result<Option<Bytes>, SourceError> {
        let mut metadata = self.new_query_executor().get_state_metadata(namespace, key)?;
        Ok(metadata.remove(entry))
    }

    fn private_metadata(
        &self,
        namespace: &str,
        collection: &str,
        key_hash: &[u8],
        entry: &str,
    ) -> Result<Option<Bytes>, SourceError> {
        let executor = self.new_query_executor();
        let mut metadata = executor.get_private_data_metadata_by_hash(namespace, collection, key_hash)?;
        Ok(metadata.remove(entry))
    }
}
