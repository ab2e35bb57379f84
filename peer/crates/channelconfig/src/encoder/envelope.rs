//! Blocks and envelopes around configurations.

use bytes::Bytes;
use msp::{LocalSigner, SignError};
use prost::Message;
use protos::common::{
    Block, BlockMetadataIndex, ChannelHeader, Config, ConfigEnvelope, ConfigGroup, ConfigSignature,
    ConfigUpdate, ConfigUpdateEnvelope, ConfigValue, Consortium, Envelope, Header, HeaderType, LastConfig,
    Metadata, OrdererBlockMetadata, Payload, SignatureHeader,
};
use protos::{compute_tx_id, new_block, now_timestamp, set_metadata};

use super::group::{EncodeError, add_value_for, anchor_peers, channel_group};
use super::profile::Profile;
use crate::bundle::Bundle;
use crate::keys;
use crate::update::{NoDifference, compute_update};

/// Length of a nonce, as Fabric's.
const NONCE: usize = 24;

/// Why an envelope or block is not made.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeEncodeError {
    /// The profile makes no configuration.
    #[error(transparent)]
    Profile(#[from] EncodeError),
    /// The update would change nothing.
    #[error("could not compute update")]
    NoDifference(#[from] NoDifference),
    /// The channel has no such organisation.
    #[error("no organization {0} in the application section")]
    NoOrganization(String),
    /// The system gives no random bytes.
    #[error("no random bytes for a nonce")]
    Random,
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Block 0 of a channel, with its configuration.
///
/// # Errors
/// When the system gives no random bytes.
pub fn genesis_block(channel: &str, channel_group: ConfigGroup) -> Result<Block, EnvelopeEncodeError> {
    let config = ConfigEnvelope {
        config: Some(Config {
            sequence: 0,
            channel_group: Some(channel_group),
        }),
        last_update: None,
    };
    let nonce = nonce()?;
    let signature_header = SignatureHeader {
        creator: Bytes::new(),
        nonce: nonce.clone(),
    };
    let channel_header = ChannelHeader {
        r#type: HeaderType::Config.into(),
        version: 1,
        timestamp: Some(now_timestamp()),
        channel_id: channel.to_owned(),
        tx_id: compute_tx_id(&nonce, &[]).to_string(),
        ..ChannelHeader::default()
    };
    let payload = payload(&channel_header, &signature_header, config.encode_to_vec().into());
    let envelope = Envelope {
        payload,
        signature: Bytes::new(),
    };
    let mut block = new_block(0, Bytes::new(), vec![envelope.encode_to_vec().into()]);
    let last_config = LastConfig { index: 0 };
    let metadata = |value: Vec<u8>| -> Bytes {
        Metadata {
            value: value.into(),
            signatures: Vec::new(),
        }
        .encode_to_vec()
        .into()
    };
    set_metadata(
        &mut block,
        BlockMetadataIndex::LastConfig,
        metadata(last_config.encode_to_vec()),
    );
    let signatures = OrdererBlockMetadata {
        last_config: Some(last_config),
        ..OrdererBlockMetadata::default()
    };
    set_metadata(
        &mut block,
        BlockMetadataIndex::Signatures,
        metadata(signatures.encode_to_vec()),
    );
    Ok(block)
}

/// The update that asks a system channel for a new channel.
///
/// # Errors
/// When the profile names no consortium or has no application section.
pub fn channel_creation_update(
    channel: &str,
    profile: &Profile,
) -> Result<ConfigUpdate, EnvelopeEncodeError> {
    let refuse = |text| EnvelopeEncodeError::Profile(EncodeError::Profile(text));
    if profile.application.is_none() {
        return Err(refuse("cannot define a new channel with no Application section"));
    }
    let name = profile.consortium.clone();
    let name = name.ok_or_else(|| refuse("cannot define a new channel with no Consortium value"))?;
    let group = channel_group(profile)?;
    let mut template = group.clone();
    if let Some(application) = template.groups.get_mut(keys::APPLICATION) {
        application.values.clear();
        application.policies.clear();
    }
    let mut update = compute_update(channel, &template, &group)?;
    let read = update.read_set.get_or_insert_default();
    read.values
        .insert(keys::CONSORTIUM.into(), ConfigValue::default());
    let written = ConfigValue {
        value: Consortium { name }.encode_to_vec().into(),
        ..ConfigValue::default()
    };
    let write = update.write_set.get_or_insert_default();
    write.values.insert(keys::CONSORTIUM.into(), written);
    Ok(update)
}

/// The update that sets an organisation's anchor peers.
///
/// # Errors
/// When the channel does not have the organisation, or it has these anchor peers already.
pub fn anchor_peers_update(
    bundle: &Bundle,
    organization: &str,
    peers: &[(String, u16)],
) -> Result<ConfigUpdate, EnvelopeEncodeError> {
    let present = bundle.channel_group();
    let mut updated = present.clone();
    let application = updated.groups.get_mut(keys::APPLICATION);
    let group = application.and_then(|application| application.groups.get_mut(organization));
    let group = group.ok_or_else(|| EnvelopeEncodeError::NoOrganization(organization.to_owned()))?;
    add_value_for(group, keys::ANCHOR_PEERS, &anchor_peers(peers), keys::ADMINS);
    Ok(compute_update(bundle.channel().as_str(), present, &updated)?)
}

/// Adds a signature to an update.
///
/// # Errors
/// When the key does not sign.
pub fn sign_config_update(
    envelope: &mut ConfigUpdateEnvelope,
    signer: &LocalSigner,
) -> Result<(), EnvelopeEncodeError> {
    let header = SignatureHeader {
        creator: signer.serialized_identity(),
        nonce: nonce()?,
    };
    let header = header.encode_to_vec();
    let signature = signer.sign(&[&header, &envelope.config_update])?;
    envelope.signatures.push(ConfigSignature {
        signature_header: header.into(),
        signature,
    });
    Ok(())
}

/// An envelope around `data`, signed where there is a signer.
///
/// # Errors
/// When the key does not sign.
pub fn signed_envelope(
    kind: HeaderType,
    channel: &str,
    data: Bytes,
    signer: Option<&LocalSigner>,
) -> Result<Envelope, EnvelopeEncodeError> {
    let channel_header = ChannelHeader {
        r#type: kind.into(),
        timestamp: Some(now_timestamp()),
        channel_id: channel.to_owned(),
        ..ChannelHeader::default()
    };
    let signature_header = match signer {
        None => SignatureHeader::default(),
        Some(signer) => SignatureHeader {
            creator: signer.serialized_identity(),
            nonce: nonce()?,
        },
    };
    let payload = payload(&channel_header, &signature_header, data);
    let signature = match signer {
        None => Bytes::new(),
        Some(signer) => signer.sign(&[&payload])?,
    };
    Ok(Envelope { payload, signature })
}

fn payload(channel_header: &ChannelHeader, signature_header: &SignatureHeader, data: Bytes) -> Bytes {
    let header = Header {
        channel_header: channel_header.encode_to_vec().into(),
        signature_header: signature_header.encode_to_vec().into(),
    };
    let payload = Payload {
        header: Some(header),
        data,
    };
    payload.encode_to_vec().into()
}

fn nonce() -> Result<Bytes, EnvelopeEncodeError> {
    let mut nonce = [0; NONCE];
    aws_lc_rs::rand::fill(&mut nonce).or(Err(EnvelopeEncodeError::Random))?;
    Ok(Bytes::copy_from_slice(&nonce))
}
