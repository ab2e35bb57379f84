//! Creating a channel from a system channel: the template that a creation transaction is judged against
//! (Fabric orderer msgprocessor, `DefaultTemplator`).

use prost::Message;
use protos::common::{
    Config, ConfigEnvelope, ConfigGroup, ConfigPolicy, ConfigUpdate, ConfigUpdateEnvelope, ConfigValue,
    Consortium as ConsortiumName, Envelope,
};
use protos::{EnvelopeError, UnpackedEnvelope};

use crate::bundle::{Bundle, BundleError};
use crate::config_update::{ConfigUpdateError, propose_config_update};
use crate::keys;

/// Why a channel is not created. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum NewChannelError {
    /// The envelope does not unpack.
    #[error("Failing initial channel config creation because of payload unmarshaling error")]
    Envelope(#[from] EnvelopeError),
    /// A message inside does not decode.
    #[error("Failing initial channel config creation because of config update unmarshaling error")]
    Undecodable(#[from] prost::DecodeError),
    /// Header and update name different channels.
    #[error("Failing initial channel config creation: mismatched channel IDs: '{update}' != '{header}'")]
    Channel {
        /// The update's channel.
        update: String,
        /// The header's channel.
        header: String,
    },
    /// The update breaks a rule.
    #[error("{0}")]
    Rule(&'static str),
    /// The application group must be at version 1.
    #[error("Config update for channel creation does not set application group version to 1, was {0}")]
    ApplicationVersion(u64),
    /// No such consortium.
    #[error("Unknown consortium name: {0}")]
    UnknownConsortium(String),
    /// The template that results is refused.
    #[error(transparent)]
    Bundle(#[from] Box<BundleError>),
    /// The update cannot be applied to the template.
    #[error(
        "error validating channel creation transaction for new channel '{channel}', could not successfully apply update to template configuration"
    )]
    Update {
        /// The channel.
        channel: String,
        /// Why.
        #[source]
        source: ConfigUpdateError,
    },
}

/// Judges a channel creation transaction against a system channel and makes the first configuration of the new
/// channel, for an envelope of type CONFIG in its block 0.
///
/// # Errors
/// When the transaction is malformed or its signers may not create the channel.
pub fn create_channel(system: &Bundle, envelope: &Envelope) -> Result<ConfigEnvelope, NewChannelError> {
    let template = new_channel_config(system, envelope)?;
    propose_config_update(&template, envelope).map_err(|source| NewChannelError::Update {
        channel: template.channel().to_string(),
        source,
    })
}

/// Makes the template that the creation transaction of a new channel is judged against.
///
/// # Errors
/// When the transaction names no consortium of the system channel, or members that are not the consortium's.
pub fn new_channel_config(system: &Bundle, envelope: &Envelope) -> Result<Bundle, NewChannelError> {
    let unpacked = UnpackedEnvelope::try_from(envelope.clone())?;
    let update = ConfigUpdateEnvelope::decode(unpacked.data)?;
    let update = ConfigUpdate::decode(update.config_update)?;
    if update.channel_id != unpacked.channel_header.channel_id {
        return Err(NewChannelError::Channel {
            update: update.channel_id,
            header: unpacked.channel_header.channel_id,
        });
    }
    let write_set = update.write_set.as_ref();
    let write_set = write_set.ok_or(NewChannelError::Rule("Config update has an empty writeset"))?;
    let consortium = write_set.values.get(keys::CONSORTIUM);
    let application = application_group(system, write_set)?;
    let group = channel_group(system, application, consortium)?;
    let config = Config {
        sequence: 0,
        channel_group: Some(group),
    };
    Ok(Bundle::from_config(&update.channel_id, &config).map_err(Box::new)?)
}

/// The application group of the template: the members asked for, and who may create the channel.
fn application_group(system: &Bundle, write_set: &ConfigGroup) -> Result<ConfigGroup, NewChannelError> {
    let requested = write_set.groups.get(keys::APPLICATION);
    let requested = requested.ok_or(NewChannelError::Rule(
        "Config update has missing application group",
    ))?;
    if requested.version != 1 {
        return Err(NewChannelError::ApplicationVersion(requested.version));
    }
    let name = write_set.values.get(keys::CONSORTIUM);
    let name = name.ok_or(NewChannelError::Rule("Consortium config value missing"))?;
    let name = ConsortiumName::decode(name.value.clone())?.name;
    let consortiums = system.consortiums().ok_or(NewChannelError::Rule(
        "The ordering system channel does not appear to support creating channels",
    ))?;
    let consortium = consortiums
        .get(&name)
        .ok_or_else(|| NewChannelError::UnknownConsortium(name.clone()))?;
    let policy_name = creation_policy_name(system, requested);
    let mut group = ConfigGroup {
        mod_policy: policy_name.to_owned(),
        ..ConfigGroup::default()
    };
    let policy = ConfigPolicy {
        version: 0,
        policy: Some(consortium.channel_creation_policy.clone()),
        mod_policy: policy_name.to_owned(),
    };
    group.policies.insert(policy_name.to_owned(), policy);
    let members = system
        .channel_group()
        .groups
        .get(keys::CONSORTIUMS)
        .and_then(|consortiums| consortiums.groups.get(&name))
        .map(|consortium| &consortium.groups);
    let Some(members) = members.filter(|members| !members.is_empty()) else {
        return Ok(group);
    };
    if requested.groups.is_empty() {
        return Err(NewChannelError::Rule(
            "Proposed configuration has no application group members, but consortium contains members",
        ));
    }
    for organization in requested.groups.keys() {
        let member = members.get(organization);
        let member = member.ok_or(NewChannelError::Rule(
            "Attempted to include a member which is not in the consortium",
        ))?;
        group.groups.insert(organization.clone(), member.clone());
    }
    Ok(group)
}

/// Transactions of older tools write the application's `Admins` at version 0, so it must not exist yet; with the
/// capability, newer ones find the creation policy under that name.
fn creation_policy_name(system: &Bundle, requested: &ConfigGroup) -> &'static str {
    let as_admins = system
        .orderer()
        .is_some_and(|orderer| orderer.capabilities.use_channel_creation_policy_as_admins());
    let older_tool = requested
        .policies
        .get(keys::ADMINS)
        .is_some_and(|admins| admins.version == 0);
    if as_admins && !requested.policies.is_empty() && !older_tool {
        return keys::ADMINS;
    }
    keys::CHANNEL_CREATION_POLICY
}

/// The channel group of the template: the system channel's own, with the new application group.
fn channel_group(
    system: &Bundle,
    application: ConfigGroup,
    consortium: Option<&ConfigValue>,
) -> Result<ConfigGroup, NewChannelError> {
    let own = system.channel_group();
    let mut group = ConfigGroup {
        values: own.values.clone(),
        policies: own.policies.clone(),
        ..ConfigGroup::default()
    };
    let orderer = own.groups.get(keys::ORDERER);
    let orderer = orderer.ok_or(NewChannelError::Rule(
        "The ordering system channel has no orderer group",
    ))?;
    group.groups.insert(keys::ORDERER.to_owned(), orderer.clone());
    group.groups.insert(keys::APPLICATION.to_owned(), application);
    let name = ConsortiumName::decode(consortium.map(|value| value.value.clone()).unwrap_or_default())?;
    let value = ConfigValue {
        version: 0,
        value: name.encode_to_vec().into(),
        mod_policy: keys::ADMINS.to_owned(),
    };
    group.values.insert(keys::CONSORTIUM.to_owned(), value);
    let predictable = system
        .orderer()
        .is_some_and(|orderer| orderer.capabilities.predictable_channel_template());
    if predictable {
        group.mod_policy.clone_from(&own.mod_policy);
        zero_versions(&mut group);
    }
    Ok(group)
}

fn zero_versions(group: &mut ConfigGroup) {
    group.version = 0;
    group.values.values_mut().for_each(|value| value.version = 0);
    group.policies.values_mut().for_each(|policy| policy.version = 0);
    group.groups.values_mut().for_each(zero_versions);
}
