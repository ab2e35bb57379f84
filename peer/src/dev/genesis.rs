//! The system channel of a development network, and the transaction that creates a channel.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use channelconfig::{
    ApplicationProfile, BatchProfile, ConsortiumProfile, OrdererProfile, OrganizationProfile, Profile,
    channel_creation_update, channel_group, genesis_block, sign_config_update, signed_envelope,
};
use msp::LocalSigner;
use prost::Message;
use protos::common::{Block, ConfigUpdateEnvelope, Envelope, HeaderType};

use super::identities::{Identities, ORDERER_MSP, ORG_MSP, ORG_NAME};

/// The channel that channels are created through.
const SYSTEM_CHANNEL: &str = "system-channel";
const CONSORTIUM: &str = "DevConsortium";
const ORDERER_ORG: &str = "OrdererOrg";
/// Somebody waits at a terminal for every block.
const BATCH_TIMEOUT: Duration = Duration::from_millis(100);

/// The genesis block of the system channel. Blocks.
///
/// # Errors
/// When an MSP folder is damaged.
pub fn system_genesis(identities: &Identities, orderer_address: &str) -> Result<Block> {
    let profile = system_profile(identities, orderer_address)?;
    let group = channel_group(&profile).context("could not make the system channel's configuration")?;
    Ok(genesis_block(SYSTEM_CHANNEL, group)?)
}

fn system_profile(identities: &Identities, orderer_address: &str) -> Result<Profile> {
    let folder = identities.orderer_org_msp();
    let msp = msp::folder_config(&folder, ORDERER_MSP).context("the orderer's MSP is unusable")?;
    let addresses = vec![orderer_address.to_owned()];
    let orderer = OrdererProfile {
        organizations: vec![OrganizationProfile::orderer(ORDERER_ORG, msp, addresses.clone())],
        addresses,
        batch: BatchProfile {
            timeout: BATCH_TIMEOUT,
            ..BatchProfile::default()
        },
        ..OrdererProfile::default()
    };
    let consortium = ConsortiumProfile {
        organizations: vec![organization(identities)?],
    };
    Ok(Profile {
        orderer: Some(orderer),
        consortiums: BTreeMap::from([(CONSORTIUM.to_owned(), consortium)]),
        ..Profile::default()
    })
}

fn organization(identities: &Identities) -> Result<OrganizationProfile> {
    let msp =
        msp::folder_config(&identities.org_msp(), ORG_MSP).context("the organisation's MSP is unusable")?;
    Ok(OrganizationProfile::new(ORG_NAME, msp))
}

/// The transaction that creates a channel, signed by the organisation's admin. Blocks.
///
/// # Errors
/// When an MSP folder is damaged or the key does not sign.
pub fn channel_creation(identities: &Identities, channel: &str, admin: &LocalSigner) -> Result<Envelope> {
    let application = ApplicationProfile {
        organizations: vec![organization(identities)?],
        ..ApplicationProfile::default()
    };
    let profile = Profile {
        consortium: Some(CONSORTIUM.to_owned()),
        application: Some(application),
        ..Profile::default()
    };
    let update = channel_creation_update(channel, &profile)?;
    let mut envelope = ConfigUpdateEnvelope {
        config_update: update.encode_to_vec().into(),
        ..Default::default()
    };
    sign_config_update(&mut envelope, admin)?;
    let data = envelope.encode_to_vec().into();
    Ok(signed_envelope(
        HeaderType::ConfigUpdate,
        channel,
        data,
        Some(admin),
    )?)
}

#[cfg(test)]
mod tests {
    use channelconfig::Bundle;
    use protos::UnpackedEnvelope;
    use protos::common::ConfigUpdate;

    use super::super::identities::ADMIN;
    use super::*;

    #[test]
    fn the_genesis_block_names_the_orderer_and_the_consortium() {
        let folder = tempfile::tempdir().unwrap();
        let identities = Identities::ensure(folder.path().join("crypto-config")).unwrap();
        let block = system_genesis(&identities, "127.0.0.1:4711").unwrap();
        let bundle = Bundle::from_config_block(&block).unwrap();
        assert_eq!(bundle.channel().as_str(), SYSTEM_CHANNEL);
        let endpoints = bundle.orderer_endpoints();
        assert_eq!(endpoints.len(), 1);
        assert_eq!(endpoints[0].0, "127.0.0.1:4711");
    }

    #[test]
    fn the_creation_transaction_is_signed_by_the_admin() {
        let folder = tempfile::tempdir().unwrap();
        let identities = Identities::ensure(folder.path().join("crypto-config")).unwrap();
        let admin = identities.load_user(ADMIN).unwrap();
        let envelope = channel_creation(&identities, "mychannel", admin.signer()).unwrap();
        let unpacked = UnpackedEnvelope::try_from(envelope).unwrap();
        assert_eq!(unpacked.channel_header.channel_id, "mychannel");
        assert_eq!(
            unpacked.channel_header.r#type,
            i32::from(HeaderType::ConfigUpdate)
        );
        let update = ConfigUpdateEnvelope::decode(unpacked.data).unwrap();
        assert_eq!(update.signatures.len(), 1);
        assert_eq!(
            ConfigUpdate::decode(update.config_update).unwrap().channel_id,
            "mychannel"
        );
    }
}
