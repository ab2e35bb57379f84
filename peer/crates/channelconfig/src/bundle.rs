//! A channel configuration, checked and read into everything that depends on it. Immutable: a new
//! configuration makes a new bundle.

use std::collections::BTreeMap;
use std::sync::Arc;

use msp::MspManager;
use msp::policy::PolicyError;
use prost::Message;
use protos::common::{
    Block, BlockDataHashingStructure, Capabilities, Config, ConfigEnvelope, ConfigGroup,
    Consortium as ConsortiumName, Envelope, HashingAlgorithm, HeaderType, OrdererAddresses,
};
use protos::{ChannelId, EnvelopeError, SignedData, UnpackedEnvelope};

use crate::capabilities::{ApplicationCapabilities, CapabilityError, ChannelCapabilities};
use crate::config_map::{ConfigIdError, ConfigMapError, check_size, validate_channel_id};
use crate::keys;
use crate::policies::{PolicyTree, PolicyTreeError};
use crate::sections::{
    Application, Consortium, MspReader, Orderer, Organization, SectionError, only_keys, read_consortiums,
    value,
};

/// Why a configuration is refused. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The block or envelope does not carry a configuration.
    #[error("{0}")]
    NoConfig(&'static str),
    /// The envelope does not unpack.
    #[error("failed to unmarshal payload from envelope")]
    Envelope(#[from] EnvelopeError),
    /// A message does not decode.
    #[error("failed to unmarshal config envelope from payload")]
    Undecodable(#[from] prost::DecodeError),
    /// A rule on the channel group itself is broken.
    #[error("initializing channelconfig failed: {0}")]
    Channel(String),
    /// A section is refused.
    #[error("initializing channelconfig failed: could not create channel {section} sub-group config")]
    Section {
        /// The section.
        section: &'static str,
        /// Why.
        #[source]
        source: SectionError,
    },
    /// A value of the channel group is refused.
    #[error("initializing channelconfig failed")]
    Values(#[source] SectionError),
    /// A policy is refused.
    #[error("initializing policymanager failed")]
    Policies(#[from] PolicyTreeError),
    /// The channel's name is refused.
    #[error("initializing configtx manager failed: bad channel ID")]
    ChannelId(#[from] ConfigIdError),
    /// A name in the configuration is refused, or there are too many.
    #[error("initializing configtx manager failed: error converting config to map")]
    Names(#[from] ConfigMapError),
    /// The channel requires what this peer cannot do.
    #[error("incompatible")]
    Capability(#[from] CapabilityError),
}

/// Everything that one configuration of a channel decides.
#[derive(Debug)]
pub struct Bundle {
    channel: ChannelId,
    config: Config,
    capabilities: ChannelCapabilities,
    msp_manager: Arc<MspManager>,
    policies: PolicyTree,
    application: Option<Application>,
    orderer: Option<Orderer>,
    consortiums: Option<BTreeMap<String, Consortium>>,
    orderer_addresses: Vec<String>,
    consortium_name: String,
    hashing_algorithm: String,
}

impl Bundle {
    /// Checks and reads a configuration.
    ///
    /// # Errors
    /// When it breaks a rule or requires what this peer cannot do.
    pub fn from_config(channel: &str, config: &Config) -> Result<Self, BundleError> {
        let group = config.channel_group.as_ref();
        let group = group.ok_or(BundleError::NoConfig("config must contain a channel group"))?;
        check_size(group)?;
        check_capability_order(group)?;
        let mut bundle = Self::read(channel, group)?;
        validate_channel_id(channel)?;
        crate::config_map::ConfigMap::new(group)?;
        bundle.config = config.clone();
        bundle.capabilities.supported()?;
        if let Some(application) = &bundle.application {
            application.capabilities.supported()?;
        }
        Ok(bundle)
    }

    /// Reads the configuration in an envelope of type CONFIG.
    ///
    /// # Errors
    /// When the envelope is of another type or the configuration is refused.
    pub fn from_config_envelope(envelope: Envelope) -> Result<Self, BundleError> {
        let unpacked = UnpackedEnvelope::try_from(envelope)?;
        if unpacked.channel_header.r#type != i32::from(HeaderType::Config) {
            return Err(BundleError::NoConfig("block does not contain a config envelope"));
        }
        let envelope = ConfigEnvelope::decode(unpacked.data)?;
        let config = envelope
            .config
            .ok_or(BundleError::NoConfig("channelconfig Config cannot be nil"))?;
        Self::from_config(&unpacked.channel_header.channel_id, &config)
    }

    /// Reads the configuration of a config block: its first and only envelope.
    ///
    /// # Errors
    /// When the block is no config block or the configuration is refused.
    pub fn from_config_block(block: &Block) -> Result<Self, BundleError> {
        let data = block
            .data
            .as_ref()
            .map(|data| data.data.as_slice())
            .unwrap_or_default();
        let [envelope] = data else {
            return Err(BundleError::NoConfig(
                "block does not contain exactly one envelope",
            ));
        };
        Self::from_config_envelope(Envelope::decode(envelope.clone())?)
    }

    fn read(channel: &str, group: &ConfigGroup) -> Result<Self, BundleError> {
        let values = ChannelValues::read(group).map_err(BundleError::Values)?;
        values.check().map_err(BundleError::Channel)?;
        let capabilities = ChannelCapabilities::new(&values.capabilities);
        let mut msps = MspReader::new(&capabilities);
        let (mut application, mut orderer, mut consortiums) = (None, None, None);
        for (name, group) in &group.groups {
            let refuse = |section| move |source| BundleError::Section { section, source };
            match name.as_str() {
                keys::APPLICATION => {
                    let read = Application::read(group, &mut msps);
                    application = Some(read.map_err(refuse(keys::APPLICATION))?);
                }
                keys::ORDERER => {
                    let read = Orderer::read(group, &mut msps, &capabilities);
                    orderer = Some(read.map_err(refuse(keys::ORDERER))?);
                }
                keys::CONSORTIUMS => {
                    let read = read_consortiums(group, &mut msps);
                    consortiums = Some(read.map_err(refuse(keys::CONSORTIUMS))?);
                }
                other => return Err(BundleError::Channel(format!("Disallowed channel group: {other}"))),
            }
        }
        Ok(Self {
            channel: channel.into(),
            config: Config::default(),
            capabilities,
            msp_manager: Arc::new(MspManager::new(msps.msps())),
            policies: PolicyTree::new(group)?,
            application,
            orderer,
            consortiums,
            orderer_addresses: values.orderer_addresses.addresses,
            consortium_name: values.consortium.name,
            hashing_algorithm: values.hashing_algorithm.name,
        })
    }

    /// Evaluates a policy by its path, such as `/Channel/Application/Writers`.
    ///
    /// # Errors
    /// When there is no such policy or the signatures do not satisfy it.
    pub fn evaluate(&self, policy_path: &str, signatures: &[SignedData]) -> Result<(), PolicyError> {
        self.policies.evaluate(policy_path, signatures, &self.msp_manager)
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &ChannelId {
        &self.channel
    }

    /// The configuration as it was given.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The number of the configuration; each update adds one.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.config.sequence
    }

    /// The channel's policies.
    #[must_use]
    pub fn policies(&self) -> &PolicyTree {
        &self.policies
    }

    /// The channel's MSPs.
    #[must_use]
    pub fn msp_manager(&self) -> &Arc<MspManager> {
        &self.msp_manager
    }

    /// The capabilities of the whole channel.
    #[must_use]
    pub fn capabilities(&self) -> &ChannelCapabilities {
        &self.capabilities
    }

    /// The application section; a system channel has none.
    #[must_use]
    pub fn application(&self) -> Option<&Application> {
        self.application.as_ref()
    }

    /// The capabilities of the peers; none where the channel has no application section.
    #[must_use]
    pub fn application_capabilities(&self) -> ApplicationCapabilities {
        let application = self.application.as_ref();
        application
            .map(|application| application.capabilities.clone())
            .unwrap_or_default()
    }

    /// The MSP ids of the application organisations, sorted and each once.
    #[must_use]
    pub fn application_org_msp_ids(&self) -> Vec<String> {
        let organizations = self
            .application
            .iter()
            .flat_map(|application| application.organizations.values());
        let mut ids: Vec<String> = organizations
            .map(|organization| organization.msp.id().to_string())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The orderer section.
    #[must_use]
    pub fn orderer(&self) -> Option<&Orderer> {
        self.orderer.as_ref()
    }

    /// The consortiums; only a system channel has them.
    #[must_use]
    pub fn consortiums(&self) -> Option<&BTreeMap<String, Consortium>> {
        self.consortiums.as_ref()
    }

    /// The orderer addresses of the whole channel; see also [`Bundle::orderer_endpoints`].
    #[must_use]
    pub fn orderer_addresses(&self) -> &[String] {
        &self.orderer_addresses
    }

    /// Where the ordering service is: each organisation's own endpoints, with the organisation whose TLS roots
    /// its orderers have; else the addresses of the whole channel.
    #[must_use]
    pub fn orderer_endpoints(&self) -> Vec<(String, Option<&Organization>)> {
        let organizations = self
            .orderer
            .iter()
            .flat_map(|orderer| orderer.organizations.values());
        let own = organizations.flat_map(|organization| {
            let endpoints = organization.endpoints.iter().cloned();
            endpoints.map(move |endpoint| (endpoint, Some(organization)))
        });
        let own: Vec<_> = own.collect();
        if !own.is_empty() {
            return own;
        }
        self.orderer_addresses
            .iter()
            .map(|address| (address.clone(), None))
            .collect()
    }

    /// The PEM roots that TLS certificates of the channel's orderers and peers lead to.
    #[must_use]
    pub fn tls_root_certs(&self) -> Vec<bytes::Bytes> {
        let msps = self.msp_manager.msps().values();
        msps.flat_map(|msp| msp.tls_root_certs().iter().chain(msp.tls_intermediate_certs()))
            .cloned()
            .collect()
    }

    /// The consortium the channel was created under, if any.
    #[must_use]
    pub fn consortium_name(&self) -> &str {
        &self.consortium_name
    }

    /// The name of the hash of blocks.
    #[must_use]
    pub fn hashing_algorithm(&self) -> &str {
        &self.hashing_algorithm
    }

    /// The channel group of the configuration.
    pub(crate) fn channel_group(&self) -> &ConfigGroup {
        static EMPTY: std::sync::LazyLock<ConfigGroup> = std::sync::LazyLock::new(ConfigGroup::default);
        self.config.channel_group.as_ref().unwrap_or(&EMPTY)
    }
}

/// The values of the channel group.
struct ChannelValues {
    hashing_algorithm: HashingAlgorithm,
    structure: BlockDataHashingStructure,
    orderer_addresses: OrdererAddresses,
    consortium: ConsortiumName,
    capabilities: Capabilities,
}

impl ChannelValues {
    fn read(group: &ConfigGroup) -> Result<Self, SectionError> {
        only_keys(
            group,
            &[
                keys::HASHING_ALGORITHM,
                keys::BLOCK_DATA_HASHING_STRUCTURE,
                keys::ORDERER_ADDRESSES,
                keys::CONSORTIUM,
                keys::CAPABILITIES,
            ],
        )?;
        Ok(Self {
            hashing_algorithm: value(group, keys::HASHING_ALGORITHM)?.unwrap_or_default(),
            structure: value(group, keys::BLOCK_DATA_HASHING_STRUCTURE)?.unwrap_or_default(),
            orderer_addresses: value(group, keys::ORDERER_ADDRESSES)?.unwrap_or_default(),
            consortium: value(group, keys::CONSORTIUM)?.unwrap_or_default(),
            capabilities: value(group, keys::CAPABILITIES)?.unwrap_or_default(),
        })
    }

    fn check(&self) -> Result<(), String> {
        let hash = self.hashing_algorithm.name.as_str();
        if hash != keys::SHA256 && hash != keys::SHA3_256 {
            return Err(format!("Unknown hashing algorithm type: {hash}"));
        }
        if self.structure.width != u32::MAX {
            return Err("BlockDataHashStructure width only supported at MaxUint32 in this version".into());
        }
        let own_endpoints = ChannelCapabilities::new(&self.capabilities).org_specific_orderer_endpoints();
        if !own_endpoints && self.orderer_addresses.addresses.is_empty() {
            return Err("Must set some OrdererAddresses".into());
        }
        Ok(())
    }
}

/// Capabilities of peers and channel need those of the orderer first.
fn check_capability_order(group: &ConfigGroup) -> Result<(), BundleError> {
    let has = |group: &ConfigGroup| group.values.contains_key(keys::CAPABILITIES);
    let Some(orderer) = group.groups.get(keys::ORDERER) else {
        return Ok(());
    };
    if has(orderer) {
        return Ok(());
    }
    if has(group) {
        return Err(BundleError::NoConfig(
            "cannot enable channel capabilities without orderer support first",
        ));
    }
    match group.groups.get(keys::APPLICATION) {
        Some(application) if has(application) => Err(BundleError::NoConfig(
            "cannot enable application capabilities without orderer support first",
        )),
        _ => Ok(()),
    }
}
