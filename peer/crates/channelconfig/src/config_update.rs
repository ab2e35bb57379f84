//! Judging configuration updates: what was read must still hold, what is written must be allowed
//! (Fabric common/configtx).

use bytes::Bytes;
use msp::policy::{PolicyError, valid_identities};
use prost::Message;
use protos::common::{
    Config, ConfigEnvelope, ConfigGroup, ConfigUpdate, ConfigUpdateEnvelope, Envelope, HeaderType,
    SignatureHeader,
};
use protos::{EnvelopeError, SignedData, UnpackedEnvelope};

use crate::bundle::{Bundle, BundleError};
use crate::config_map::{ConfigIdError, ConfigMap, ConfigMapError, Element, validate_config_id};
use crate::validate_new::TransitionError;

/// Most signatures on one update: every organisation's admins, with room.
const MAX_SIGNATURES: usize = 1_024;

/// Why an update is refused. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum ConfigUpdateError {
    /// The envelope does not unpack.
    #[error("error converting envelope to config update")]
    Envelope(#[from] EnvelopeError),
    /// The envelope is of another type.
    #[error("error converting envelope to config update: invalid type {0}, expected CONFIG_UPDATE")]
    Type(i32),
    /// A message inside does not decode.
    #[error("error unmarshalling {message}")]
    Undecodable {
        /// The message's name.
        message: &'static str,
        /// What the decoder said.
        #[source]
        source: prost::DecodeError,
    },
    /// The update is for another channel.
    #[error("ConfigUpdate for channel '{update}' but envelope for channel '{channel}'")]
    Channel {
        /// The update's channel.
        update: String,
        /// The channel it was sent to.
        channel: String,
    },
    /// A set has names that are refused.
    #[error("error mapping {set}")]
    Map {
        /// ReadSet or WriteSet.
        set: &'static str,
        /// Why.
        #[source]
        source: ConfigMapError,
    },
    /// An element of a set is refused.
    #[error("error validating {set}")]
    Element {
        /// ReadSet or DeltaSet.
        set: &'static str,
        /// Why.
        #[source]
        source: ElementError,
    },
    /// The result has a hole.
    #[error("could not turn configMap back to channelGroup")]
    Result(#[source] ConfigMapError),
    /// A configuration that does not follow from the update it names.
    #[error("{0}")]
    Mismatch(String),
    /// The configuration that would result is refused.
    #[error("config update is not compatible")]
    Bundle(#[from] Box<BundleError>),
    /// The configuration that would result may not follow the present one.
    #[error(transparent)]
    Transition(#[from] TransitionError),
}

impl ConfigUpdateError {
    /// Whether the update is agreed on and only its result is refused. Others may know better what to do with it.
    #[must_use]
    pub fn is_of_result(&self) -> bool {
        matches!(self, Self::Bundle(_) | Self::Transition(_))
    }
}

/// Why an element of an update is refused. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum ElementError {
    /// Read, but not there.
    #[error("existing config does not contain element for {0} but was in the read set")]
    NotThere(String),
    /// Read at another version.
    #[error(
        "proposed update requires that key {key} be at version {wanted}, but it is currently at version {present}"
    )]
    ReadVersion {
        /// The element.
        key: String,
        /// The version the update was made for.
        wanted: u64,
        /// The version now.
        present: u64,
    },
    /// Nothing would change.
    #[error("delta set was empty -- update would have no effect")]
    NoEffect,
    /// The new element has no usable mod policy.
    #[error("invalid mod_policy for element {key}: {problem}")]
    ModPolicy {
        /// The element.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// A new element must have version 0.
    #[error("attempted to set key {key} to version {version}, but key does not exist")]
    NewVersion {
        /// The element.
        key: String,
        /// The version in the update.
        version: u64,
    },
    /// A changed element must have the next version.
    #[error("attempt to set key {key} to version {version}, but key is at version {present}")]
    NextVersion {
        /// The element.
        key: String,
        /// The version in the update.
        version: u64,
        /// The version now.
        present: u64,
    },
    /// The present element's mod policy does not exist.
    #[error("unexpected missing policy {policy} for item {key}")]
    NoPolicy {
        /// The policy.
        policy: String,
        /// The element.
        key: String,
    },
    /// The present element's mod policy is not satisfied.
    #[error("policy for {key} not satisfied")]
    NotSatisfied {
        /// The element.
        key: String,
        /// Why.
        #[source]
        source: PolicyError,
    },
    /// A signature on the update does not unpack.
    #[error("a signature of the update has no readable header")]
    Signature(#[source] prost::DecodeError),
    /// More signatures than anybody needs.
    #[error("the update has too many signatures")]
    TooManySignatures,
}

/// Judges an update (an envelope of type CONFIG_UPDATE) against the present configuration and makes the
/// configuration that it leads to, with the next sequence number.
///
/// # Errors
/// When the update is malformed, made for another state, not signed by those who may change what it changes, or
/// leads to a configuration that is refused.
pub fn propose_config_update(
    bundle: &Bundle,
    envelope: &Envelope,
) -> Result<ConfigEnvelope, ConfigUpdateError> {
    let config = resulting_config(bundle, envelope)?;
    check_transition(bundle, &config)?;
    Ok(ConfigEnvelope {
        config: Some(config),
        last_update: Some(envelope.clone()),
    })
}

/// Judges a configuration that was ordered: it must be exactly what its last update leads to. Returns the bundle
/// to use from now on.
///
/// # Errors
/// As [`propose_config_update`], and when the configuration does not follow from its update.
pub fn validate(bundle: &Bundle, envelope: &ConfigEnvelope) -> Result<Bundle, ConfigUpdateError> {
    let mismatch = |text: &str| ConfigUpdateError::Mismatch(text.to_owned());
    let config = envelope
        .config
        .as_ref()
        .ok_or_else(|| mismatch("config envelope has nil config"))?;
    let next = bundle.sequence().saturating_add(1);
    if config.sequence != next {
        return Err(ConfigUpdateError::Mismatch(format!(
            "config currently at sequence {}, cannot validate config at sequence {}",
            bundle.sequence(),
            config.sequence
        )));
    }
    let update = envelope
        .last_update
        .as_ref()
        .ok_or_else(|| mismatch("config envelope has no last update"))?;
    if resulting_config(bundle, update)? != *config {
        return Err(mismatch(
            "ConfigEnvelope LastUpdate did not produce the supplied config result",
        ));
    }
    check_transition(bundle, config)
}

fn check_transition(bundle: &Bundle, config: &Config) -> Result<Bundle, ConfigUpdateError> {
    let next = Bundle::from_config(bundle.channel().as_str(), config).map_err(Box::new)?;
    bundle.validate_new(&next)?;
    Ok(next)
}

fn resulting_config(bundle: &Bundle, envelope: &Envelope) -> Result<Config, ConfigUpdateError> {
    let unpacked = UnpackedEnvelope::try_from(envelope.clone())?;
    if unpacked.channel_header.r#type != i32::from(HeaderType::ConfigUpdate) {
        return Err(ConfigUpdateError::Type(unpacked.channel_header.r#type));
    }
    let envelope: ConfigUpdateEnvelope = decode("ConfigUpdateEnvelope", unpacked.data)?;
    Ok(Config {
        sequence: bundle.sequence().saturating_add(1),
        channel_group: Some(authorize(bundle, &envelope)?),
    })
}

fn authorize(bundle: &Bundle, envelope: &ConfigUpdateEnvelope) -> Result<ConfigGroup, ConfigUpdateError> {
    let update: ConfigUpdate = decode("ConfigUpdate", envelope.config_update.clone())?;
    if update.channel_id != bundle.channel().as_str() {
        return Err(ConfigUpdateError::Channel {
            update: update.channel_id,
            channel: bundle.channel().to_string(),
        });
    }
    let present = ConfigMap::new(bundle.channel_group()).map_err(|source| map_error("config", source))?;
    let read_set = map_set("ReadSet", update.read_set.as_ref())?;
    verify_read_set(&present, &read_set).map_err(|source| element_error("ReadSet", source))?;
    let write_set = map_set("WriteSet", update.write_set.as_ref())?;
    let delta_set = delta_set(&read_set, &write_set);
    let judge = || {
        let identities = valid_identities(&signed_data(envelope)?, bundle.msp_manager());
        let identities = identities.or(Err(ElementError::TooManySignatures))?;
        verify_delta_set(&present, &delta_set, |element, key| {
            let policy = element.mod_policy();
            let groups: &[&str] = if policy.starts_with('/') {
                &[]
            } else {
                &element.groups
            };
            let missing = || ElementError::NoPolicy {
                policy: policy.to_owned(),
                key: key.to_owned(),
            };
            let tree = bundle
                .policies()
                .group(groups)
                .filter(|tree| tree.contains(policy))
                .ok_or_else(missing)?;
            let evaluated = tree.evaluate_identities(policy, &identities);
            evaluated.map_err(|source| ElementError::NotSatisfied {
                key: key.to_owned(),
                source,
            })
        })
    };
    judge().map_err(|source| element_error("DeltaSet", source))?;
    let mut result = present.clone();
    result.0.extend(delta_set);
    result.to_config().map_err(ConfigUpdateError::Result)
}

fn map_set<'a>(
    set: &'static str,
    group: Option<&'a ConfigGroup>,
) -> Result<ConfigMap<'a>, ConfigUpdateError> {
    let map = group.map(ConfigMap::new).transpose();
    Ok(map.map_err(|source| map_error(set, source))?.unwrap_or_default())
}

fn map_error(set: &'static str, source: ConfigMapError) -> ConfigUpdateError {
    ConfigUpdateError::Map { set, source }
}

fn element_error(set: &'static str, source: ElementError) -> ConfigUpdateError {
    ConfigUpdateError::Element { set, source }
}

fn verify_read_set(present: &ConfigMap<'_>, read_set: &ConfigMap<'_>) -> Result<(), ElementError> {
    for (key, read) in &read_set.0 {
        let existing = present
            .0
            .get(key)
            .ok_or_else(|| ElementError::NotThere(key.clone()))?;
        if existing.version() != read.version() {
            return Err(ElementError::ReadVersion {
                key: key.clone(),
                wanted: read.version(),
                present: existing.version(),
            });
        }
    }
    Ok(())
}

/// What the update writes and did not merely read.
fn delta_set<'a>(
    read_set: &ConfigMap<'_>,
    write_set: &ConfigMap<'a>,
) -> std::collections::BTreeMap<String, Element<'a>> {
    let changed = write_set.0.iter().filter(|(key, written)| {
        let read = read_set.0.get(*key);
        read.is_none_or(|read| read.version() != written.version())
    });
    changed
        .map(|(key, element)| (key.clone(), element.clone()))
        .collect()
}

fn verify_delta_set(
    present: &ConfigMap<'_>,
    delta_set: &std::collections::BTreeMap<String, Element<'_>>,
    may_change: impl Fn(&Element<'_>, &str) -> Result<(), ElementError>,
) -> Result<(), ElementError> {
    if delta_set.is_empty() {
        return Err(ElementError::NoEffect);
    }
    for (key, element) in delta_set {
        validate_mod_policy(element.mod_policy()).map_err(|problem| ElementError::ModPolicy {
            key: key.clone(),
            problem,
        })?;
        let version = element.version();
        match present.0.get(key) {
            None if version != 0 => {
                return Err(ElementError::NewVersion {
                    key: key.clone(),
                    version,
                });
            }
            None => {}
            Some(existing) if existing.version().checked_add(1) != Some(version) => {
                return Err(ElementError::NextVersion {
                    key: key.clone(),
                    version,
                    present: existing.version(),
                });
            }
            Some(existing) => may_change(existing, key)?,
        }
    }
    Ok(())
}

fn validate_mod_policy(policy: &str) -> Result<(), String> {
    if policy.is_empty() {
        return Err("mod_policy not set".into());
    }
    let names = policy.strip_prefix('/').unwrap_or(policy).split('/');
    for (index, name) in names.enumerate() {
        let refuse = |error: ConfigIdError| format!("path element at {index} is invalid: {error}");
        validate_config_id(name).map_err(refuse)?;
    }
    Ok(())
}

/// The signatures on an update: each over its own header and the update.
fn signed_data(envelope: &ConfigUpdateEnvelope) -> Result<Vec<SignedData>, ElementError> {
    if envelope.signatures.len() > MAX_SIGNATURES {
        return Err(ElementError::TooManySignatures);
    }
    let signatures = envelope.signatures.iter().map(|signature| {
        let header =
            SignatureHeader::decode(signature.signature_header.clone()).map_err(ElementError::Signature)?;
        let data = [
            signature.signature_header.as_ref(),
            envelope.config_update.as_ref(),
        ]
        .concat();
        Ok(SignedData {
            data: data.into(),
            identity: header.creator,
            signature: signature.signature.clone(),
        })
    });
    signatures.collect()
}

pub(crate) fn decode<M: Message + Default>(
    message: &'static str,
    bytes: Bytes,
) -> Result<M, ConfigUpdateError> {
    M::decode(bytes).map_err(|source| ConfigUpdateError::Undecodable { message, source })
}
