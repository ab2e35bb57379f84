//! The groups of a configuration, from its profile.

use msp::Msp;
use msp::policy::{PolicyTextError, accept_all, from_string};
use prost::Message;
use protos::common::implicit_meta_policy::Rule;
use protos::common::policy::PolicyType;
use protos::common::{
    BlockDataHashingStructure, Capability, ConfigGroup, ConfigPolicy, ConfigValue, Consortium,
    HashingAlgorithm, ImplicitMetaPolicy, OrdererAddresses, Policy,
};
use protos::orderer::{BatchSize, BatchTimeout, ChannelRestrictions, ConsensusType};
use protos::peer::{AcLs, AnchorPeer, AnchorPeers, ApiResource};

use super::profile::{
    ApplicationProfile, ConsortiumProfile, OrdererProfile, OrganizationProfile, Policies, PolicyRule, Profile,
};
use crate::go_duration;
use crate::keys;

/// Why a profile makes no configuration. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A policy that every group needs.
    #[error("no {0} policy defined")]
    NoPolicy(&'static str),
    /// A signature policy does not parse.
    #[error("invalid signature policy rule '{rule}'")]
    Signature {
        /// The rule.
        rule: String,
        /// Why.
        #[source]
        source: PolicyTextError,
    },
    /// An implicit policy does not parse.
    #[error("invalid implicit meta policy rule '{0}'")]
    Implicit(String),
    /// The profile lacks a section that the task needs.
    #[error("{0}")]
    Profile(&'static str),
}

/// Makes the channel group of a profile.
///
/// # Errors
/// When a policy is missing or does not parse.
pub fn channel_group(profile: &Profile) -> Result<ConfigGroup, EncodeError> {
    let mut group = new_group(&profile.policies)?;
    let hash = HashingAlgorithm {
        name: keys::SHA256.into(),
    };
    add_value(&mut group, keys::HASHING_ALGORITHM, &hash);
    let structure = BlockDataHashingStructure { width: u32::MAX };
    add_value(&mut group, keys::BLOCK_DATA_HASHING_STRUCTURE, &structure);
    if let Some(orderer) = &profile.orderer {
        if !orderer.addresses.is_empty() {
            let addresses = OrdererAddresses {
                addresses: orderer.addresses.clone(),
            };
            add_value_for(
                &mut group,
                keys::ORDERER_ADDRESSES,
                &addresses,
                keys::ORDERER_ADMINS,
            );
        }
        group.groups.insert(keys::ORDERER.into(), orderer_group(orderer)?);
    }
    if let Some(name) = &profile.consortium {
        let consortium = Consortium { name: name.clone() };
        add_value(&mut group, keys::CONSORTIUM, &consortium);
    }
    add_capabilities(&mut group, &profile.capabilities);
    if let Some(application) = &profile.application {
        group
            .groups
            .insert(keys::APPLICATION.into(), application_group(application)?);
    }
    if !profile.consortiums.is_empty() {
        group
            .groups
            .insert(keys::CONSORTIUMS.into(), consortiums_group(profile)?);
    }
    Ok(group)
}

fn orderer_group(orderer: &OrdererProfile) -> Result<ConfigGroup, EncodeError> {
    if !orderer.policies.contains_key(keys::BLOCK_VALIDATION) {
        return Err(EncodeError::NoPolicy(keys::BLOCK_VALIDATION));
    }
    let mut group = new_group(&orderer.policies)?;
    let size = BatchSize {
        max_message_count: orderer.batch.max_message_count,
        absolute_max_bytes: orderer.batch.absolute_max_bytes,
        preferred_max_bytes: orderer.batch.preferred_max_bytes,
    };
    add_value(&mut group, keys::BATCH_SIZE, &size);
    let timeout = BatchTimeout {
        timeout: go_duration::format(orderer.batch.timeout),
    };
    add_value(&mut group, keys::BATCH_TIMEOUT, &timeout);
    let restrictions = ChannelRestrictions {
        max_count: orderer.max_channels,
    };
    add_value(&mut group, keys::CHANNEL_RESTRICTIONS, &restrictions);
    add_capabilities(&mut group, &orderer.capabilities);
    let consensus = ConsensusType {
        r#type: orderer.consensus_type.clone(),
        ..ConsensusType::default()
    };
    add_value(&mut group, keys::CONSENSUS_TYPE, &consensus);
    for organization in &orderer.organizations {
        let mut org_group = organization_group(organization)?;
        if !organization.orderer_endpoints.is_empty() {
            let endpoints = OrdererAddresses {
                addresses: organization.orderer_endpoints.clone(),
            };
            add_value(&mut org_group, keys::ENDPOINTS, &endpoints);
        }
        group.groups.insert(organization.name.clone(), org_group);
    }
    Ok(group)
}

fn application_group(application: &ApplicationProfile) -> Result<ConfigGroup, EncodeError> {
    let mut group = new_group(&application.policies)?;
    if !application.acls.is_empty() {
        let acls = application.acls.iter().map(|(resource, policy)| {
            let policy_ref = policy.clone();
            (resource.clone(), ApiResource { policy_ref })
        });
        let acls = AcLs { acls: acls.collect() };
        add_value(&mut group, keys::ACLS, &acls);
    }
    add_capabilities(&mut group, &application.capabilities);
    for organization in &application.organizations {
        let mut org_group = organization_group(organization)?;
        if !organization.anchor_peers.is_empty() {
            add_value(
                &mut org_group,
                keys::ANCHOR_PEERS,
                &anchor_peers(&organization.anchor_peers),
            );
        }
        group.groups.insert(organization.name.clone(), org_group);
    }
    Ok(group)
}

/// The message that lists anchor peers.
pub(super) fn anchor_peers(peers: &[(String, u16)]) -> AnchorPeers {
    let peers = peers.iter().map(|(host, port)| AnchorPeer {
        host: host.clone(),
        port: i32::from(*port),
    });
    AnchorPeers {
        anchor_peers: peers.collect(),
    }
}

fn consortiums_group(profile: &Profile) -> Result<ConfigGroup, EncodeError> {
    let mut group = ConfigGroup {
        mod_policy: keys::ORDERER_ADMINS.into(),
        ..ConfigGroup::default()
    };
    // nothing refers to this policy except the channel's implicit Admins, which it leaves to the orderer's
    let admins = ConfigPolicy {
        version: 0,
        policy: Some(policy(PolicyType::Signature, &accept_all())),
        mod_policy: keys::ORDERER_ADMINS.into(),
    };
    group.policies.insert(keys::ADMINS.into(), admins);
    for (name, consortium) in &profile.consortiums {
        group.groups.insert(name.clone(), consortium_group(consortium)?);
    }
    Ok(group)
}

fn consortium_group(consortium: &ConsortiumProfile) -> Result<ConfigGroup, EncodeError> {
    let mut group = ConfigGroup {
        mod_policy: keys::ORDERER_ADMINS.into(),
        ..ConfigGroup::default()
    };
    for organization in &consortium.organizations {
        group
            .groups
            .insert(organization.name.clone(), organization_group(organization)?);
    }
    let any_admins = ImplicitMetaPolicy {
        sub_policy: keys::ADMINS.into(),
        rule: Rule::Any.into(),
    };
    let creation = policy(PolicyType::ImplicitMeta, &any_admins);
    add_value_for(
        &mut group,
        keys::CHANNEL_CREATION_POLICY,
        &creation,
        keys::ORDERER_ADMINS,
    );
    Ok(group)
}

fn organization_group(organization: &OrganizationProfile) -> Result<ConfigGroup, EncodeError> {
    let mut group = new_group(&organization.policies)?;
    add_value(&mut group, keys::MSP, &Msp::wrap_config(&organization.msp));
    Ok(group)
}

/// A group with its policies, changed by its admins.
fn new_group(policies: &Policies) -> Result<ConfigGroup, EncodeError> {
    for required in [keys::ADMINS, keys::READERS, keys::WRITERS] {
        if !policies.contains_key(required) {
            return Err(EncodeError::NoPolicy(required));
        }
    }
    let mut group = ConfigGroup {
        mod_policy: keys::ADMINS.into(),
        ..ConfigGroup::default()
    };
    for (name, rule) in policies {
        let config_policy = ConfigPolicy {
            version: 0,
            policy: Some(encode_policy(rule)?),
            mod_policy: keys::ADMINS.into(),
        };
        group.policies.insert(name.clone(), config_policy);
    }
    Ok(group)
}

fn encode_policy(rule: &PolicyRule) -> Result<Policy, EncodeError> {
    match rule {
        PolicyRule::Signature(rule) => {
            let parsed = from_string(rule).map_err(|source| EncodeError::Signature {
                rule: rule.clone(),
                source,
            })?;
            Ok(policy(PolicyType::Signature, &parsed))
        }
        PolicyRule::ImplicitMeta(rule) => {
            let refuse = || EncodeError::Implicit(rule.clone());
            let (kind, sub_policy) = rule.split_once(' ').ok_or_else(refuse)?;
            let kind = Rule::from_str_name(kind).ok_or_else(refuse)?;
            if sub_policy.is_empty() || sub_policy.contains(' ') {
                return Err(refuse());
            }
            let parsed = ImplicitMetaPolicy {
                sub_policy: sub_policy.to_owned(),
                rule: kind.into(),
            };
            Ok(policy(PolicyType::ImplicitMeta, &parsed))
        }
    }
}

fn policy(kind: PolicyType, content: &impl Message) -> Policy {
    Policy {
        r#type: kind.into(),
        value: content.encode_to_vec().into(),
    }
}

fn add_capabilities(group: &mut ConfigGroup, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let entries = sorted.into_iter().map(|name| CapabilityEntry {
        name,
        capability: Some(Capability {}),
    });
    let capabilities = ExplicitCapabilities {
        entries: entries.collect(),
    };
    add_value(group, keys::CAPABILITIES, &capabilities);
}

/// `common.Capabilities` as Go encodes it: each entry with its empty value, which prost leaves out of maps. The
/// bytes matter because updates compare them.
#[derive(Clone, PartialEq, Message)]
struct ExplicitCapabilities {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<CapabilityEntry>,
}

/// An entry of the map.
#[derive(Clone, PartialEq, Message)]
struct CapabilityEntry {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    capability: Option<Capability>,
}

fn add_value(group: &mut ConfigGroup, key: &str, value: &impl Message) {
    add_value_for(group, key, value, keys::ADMINS);
}

pub(super) fn add_value_for(group: &mut ConfigGroup, key: &str, value: &impl Message, mod_policy: &str) {
    let value = ConfigValue {
        version: 0,
        value: value.encode_to_vec().into(),
        mod_policy: mod_policy.to_owned(),
    };
    group.values.insert(key.to_owned(), value);
}
