//! The sections of a channel configuration, read into types: application, orderer, consortiums.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use msp::{Admins, Msp, SetupError};
use prost::{DecodeError, Message};
use protos::common::{Capabilities, ConfigGroup, OrdererAddresses, Policy};
use protos::msp::MspConfig;
use protos::orderer::{BatchSize, BatchTimeout, ChannelRestrictions, ConsensusType};
use protos::peer::{AcLs, AnchorPeer, AnchorPeers};

use crate::capabilities::{ApplicationCapabilities, ChannelCapabilities, OrdererCapabilities};
use crate::go_duration;
use crate::keys;

/// Why a section is refused. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum SectionError {
    /// A value that the section does not have.
    #[error("failed to deserialize values: Unexpected key {0}")]
    UnexpectedKey(String),
    /// A value does not decode.
    #[error("failed to deserialize values")]
    Undecodable(#[source] DecodeError),
    /// A group where none may be.
    #[error("{0} config does not allow sub-groups")]
    SubGroups(&'static str),
    /// ACLs before 1.2.
    #[error("ACLs may not be specified without the required capability")]
    AclsWithoutCapability,
    /// Endpoints before 1.4.2.
    #[error("Orderer Org {0} cannot contain endpoints value until V1_4_2+ capabilities have been enabled")]
    EndpointsWithoutCapability(String),
    /// The MSP of an organisation is refused.
    #[error("setting up the MSP manager failed")]
    Msp(#[source] SetupError),
    /// An organisation without a name.
    #[error("MSP for org {0} has empty MSP ID")]
    EmptyMspId(String),
    /// One MSP id, two MSPs.
    #[error("Attempted to define two different versions of MSP: {0}")]
    TwoMsps(String),
    /// A value of the orderer makes no sense.
    #[error("Attempted to set the {0}")]
    Orderer(String),
}

/// An organisation of a channel.
#[derive(Clone, Debug)]
pub struct Organization {
    /// The name in the configuration, which need not be the MSP id.
    pub name: String,
    /// Its MSP.
    pub msp: Arc<Msp>,
    /// Its anchor peers (application).
    pub anchor_peers: Vec<AnchorPeer>,
    /// Addresses of its orderers (orderer).
    pub endpoints: Vec<String>,
}

/// The application section: the organisations that run peers.
#[derive(Clone, Debug)]
pub struct Application {
    /// The organisations by name.
    pub organizations: BTreeMap<String, Organization>,
    /// Policy paths by resource, made absolute.
    pub acls: BTreeMap<String, String>,
    /// What the peers must be able to do.
    pub capabilities: ApplicationCapabilities,
}

/// The orderer section.
#[derive(Clone, Debug)]
pub struct Orderer {
    /// The organisations by name.
    pub organizations: BTreeMap<String, Organization>,
    /// The consensus type with its metadata and state.
    pub consensus_type: ConsensusType,
    /// When a block is full.
    pub batch_size: BatchSize,
    /// How long a block waits for more transactions.
    pub batch_timeout: Duration,
    /// Most channels the ordering service holds; 0 for any number.
    pub max_channels: u64,
    /// What the orderers must be able to do.
    pub capabilities: OrdererCapabilities,
}

/// A consortium of the system channel.
#[derive(Clone, Debug)]
pub struct Consortium {
    /// The organisations by name.
    pub organizations: BTreeMap<String, Organization>,
    /// Who may create channels.
    pub channel_creation_policy: Policy,
}

/// The MSPs read so far; organisations that occur in several sections share theirs.
pub(crate) struct MspReader {
    admins: Admins,
    read: BTreeMap<String, (MspConfig, Arc<Msp>)>,
}

impl MspReader {
    pub(crate) fn new(capabilities: &ChannelCapabilities) -> Self {
        Self {
            admins: match capabilities.msp_1_4_3() {
                true => Admins::Required,
                false => Admins::Optional,
            },
            read: BTreeMap::new(),
        }
    }

    pub(crate) fn msps(self) -> impl Iterator<Item = Arc<Msp>> {
        self.read.into_values().map(|(_, msp)| msp)
    }

    fn organization(&mut self, name: &str, group: &ConfigGroup) -> Result<Organization, SectionError> {
        let config: MspConfig = value(group, keys::MSP)?.unwrap_or_default();
        let known = self.read.values().find(|(other, _)| *other == config);
        let msp = match known {
            Some((_, msp)) => Arc::clone(msp),
            None => Arc::new(Msp::from_msp_config(&config, self.admins).map_err(SectionError::Msp)?),
        };
        if msp.id().is_empty() {
            return Err(SectionError::EmptyMspId(name.to_owned()));
        }
        let id = msp.id().to_string();
        match self.read.get(&id) {
            Some((other, _)) if *other != config => return Err(SectionError::TwoMsps(id)),
            _ => self.read.insert(id, (config, Arc::clone(&msp))),
        };
        Ok(Organization {
            name: name.to_owned(),
            msp,
            anchor_peers: Vec::new(),
            endpoints: Vec::new(),
        })
    }
}

impl Application {
    pub(crate) fn read(group: &ConfigGroup, msps: &mut MspReader) -> Result<Self, SectionError> {
        only_keys(group, &[keys::ACLS, keys::CAPABILITIES])?;
        let capabilities: Capabilities = value(group, keys::CAPABILITIES)?.unwrap_or_default();
        let capabilities = ApplicationCapabilities::new(&capabilities);
        let acls: Option<AcLs> = value(group, keys::ACLS)?;
        if acls.is_some() && !capabilities.acls() {
            return Err(SectionError::AclsWithoutCapability);
        }
        let mut organizations = BTreeMap::new();
        for (name, group) in &group.groups {
            no_groups(group, "ApplicationOrg")?;
            only_keys(group, &[keys::MSP, keys::ANCHOR_PEERS])?;
            let mut organization = msps.organization(name, group)?;
            let anchor_peers: AnchorPeers = value(group, keys::ANCHOR_PEERS)?.unwrap_or_default();
            organization.anchor_peers = anchor_peers.anchor_peers;
            organizations.insert(name.clone(), organization);
        }
        Ok(Self {
            organizations,
            acls: absolute_acls(acls.unwrap_or_default()),
            capabilities,
        })
    }
}

fn absolute_acls(acls: AcLs) -> BTreeMap<String, String> {
    let mut absolute = BTreeMap::new();
    for (resource, policy) in acls.acls {
        let path = policy.policy_ref;
        if path.is_empty() {
            tracing::warn!(
                resource,
                "policy reference for resource is empty, falling back to default"
            );
        } else if path.starts_with('/') {
            absolute.insert(resource, path);
        } else {
            absolute.insert(
                resource,
                format!("/{}/{}/{path}", keys::ROOT_GROUP, keys::APPLICATION),
            );
        }
    }
    absolute
}

impl Orderer {
    pub(crate) fn read(
        group: &ConfigGroup,
        msps: &mut MspReader,
        channel: &ChannelCapabilities,
    ) -> Result<Self, SectionError> {
        only_keys(
            group,
            &[
                keys::CONSENSUS_TYPE,
                keys::BATCH_SIZE,
                keys::BATCH_TIMEOUT,
                keys::KAFKA_BROKERS,
                keys::CHANNEL_RESTRICTIONS,
                keys::CAPABILITIES,
                keys::ORDERERS,
            ],
        )?;
        let batch_size: BatchSize = value(group, keys::BATCH_SIZE)?.unwrap_or_default();
        check_batch_size(&batch_size)?;
        let timeout: BatchTimeout = value(group, keys::BATCH_TIMEOUT)?.unwrap_or_default();
        let restrictions: ChannelRestrictions = value(group, keys::CHANNEL_RESTRICTIONS)?.unwrap_or_default();
        let capabilities: Capabilities = value(group, keys::CAPABILITIES)?.unwrap_or_default();
        let mut organizations = BTreeMap::new();
        for (name, group) in &group.groups {
            organizations.insert(name.clone(), orderer_organization(name, group, msps, channel)?);
        }
        Ok(Self {
            organizations,
            consensus_type: value(group, keys::CONSENSUS_TYPE)?.unwrap_or_default(),
            batch_size,
            batch_timeout: batch_timeout(&timeout.timeout)?,
            max_channels: restrictions.max_count,
            capabilities: OrdererCapabilities::new(&capabilities),
        })
    }
}

fn orderer_organization(
    name: &str,
    group: &ConfigGroup,
    msps: &mut MspReader,
    channel: &ChannelCapabilities,
) -> Result<Organization, SectionError> {
    no_groups(group, "OrdererOrg")?;
    only_keys(group, &[keys::MSP, keys::ENDPOINTS])?;
    let endpoints: Option<OrdererAddresses> = value(group, keys::ENDPOINTS)?;
    if endpoints.is_some() && !channel.org_specific_orderer_endpoints() {
        return Err(SectionError::EndpointsWithoutCapability(name.to_owned()));
    }
    let mut organization = msps.organization(name, group)?;
    organization.endpoints = endpoints.unwrap_or_default().addresses;
    Ok(organization)
}

fn check_batch_size(size: &BatchSize) -> Result<(), SectionError> {
    let zero = |what| {
        Err(SectionError::Orderer(format!(
            "batch size {what} to an invalid value: 0"
        )))
    };
    if size.max_message_count == 0 {
        return zero("max message count");
    }
    if size.absolute_max_bytes == 0 {
        return zero("absolute max bytes");
    }
    if size.preferred_max_bytes == 0 {
        return zero("preferred max bytes");
    }
    if size.preferred_max_bytes > size.absolute_max_bytes {
        return Err(SectionError::Orderer(format!(
            "batch size preferred max bytes ({}) greater than the absolute max bytes ({}).",
            size.preferred_max_bytes, size.absolute_max_bytes
        )));
    }
    Ok(())
}

fn batch_timeout(text: &str) -> Result<Duration, SectionError> {
    match go_duration::parse(text) {
        Some(duration) if !duration.is_zero() => Ok(duration),
        Some(_) => Err(SectionError::Orderer(
            "batch timeout to a non-positive value: 0s".into(),
        )),
        None => Err(SectionError::Orderer(format!(
            "batch timeout to a invalid value: time: invalid duration \"{text}\""
        ))),
    }
}

/// Reads the consortiums of a system channel.
pub(crate) fn read_consortiums(
    group: &ConfigGroup,
    msps: &mut MspReader,
) -> Result<BTreeMap<String, Consortium>, SectionError> {
    let mut consortiums = BTreeMap::new();
    for (name, group) in &group.groups {
        only_keys(group, &[keys::CHANNEL_CREATION_POLICY])?;
        let mut organizations = BTreeMap::new();
        for (org, group) in &group.groups {
            no_groups(group, "Org")?;
            only_keys(group, &[keys::MSP])?;
            organizations.insert(org.clone(), msps.organization(org, group)?);
        }
        let consortium = Consortium {
            organizations,
            channel_creation_policy: value(group, keys::CHANNEL_CREATION_POLICY)?.unwrap_or_default(),
        };
        consortiums.insert(name.clone(), consortium);
    }
    Ok(consortiums)
}

/// A value of a group, decoded; `None` when the group does not have it.
pub(crate) fn value<M: Message + Default>(group: &ConfigGroup, key: &str) -> Result<Option<M>, SectionError> {
    let bytes: Option<Bytes> = group.values.get(key).map(|value| value.value.clone());
    bytes
        .map(M::decode)
        .transpose()
        .map_err(SectionError::Undecodable)
}

pub(crate) fn only_keys(group: &ConfigGroup, allowed: &[&str]) -> Result<(), SectionError> {
    match group.values.keys().find(|key| !allowed.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(SectionError::UnexpectedKey(key.clone())),
    }
}

fn no_groups(group: &ConfigGroup, what: &'static str) -> Result<(), SectionError> {
    if group.groups.is_empty() {
        return Ok(());
    }
    Err(SectionError::SubGroups(what))
}
