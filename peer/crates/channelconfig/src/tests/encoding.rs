//! Configurations made here equal those that configtxgen makes from the same profile.

use prost::Message;
use protos::common::{ConfigUpdate, ConfigUpdateEnvelope};
use protos::{UnpackedEnvelope, block_data_hash, last_config_index};

use super::fixtures::{
    application, application_profile, creation_profile, creation_tx, group, system, system_block,
    system_profile,
};
use crate::{
    Bundle, PolicyRule, Profile, channel_creation_update, channel_group, compute_update, genesis_block,
};

#[test]
fn a_system_channel_equals_configtxgens() {
    assert_eq!(channel_group(&system_profile()).unwrap(), group(&system()));
}

#[test]
fn an_application_channel_equals_configtxgens() {
    assert_eq!(
        channel_group(&application_profile()).unwrap(),
        group(&application())
    );
}

#[test]
fn a_creation_update_equals_configtxgens() {
    let unpacked = UnpackedEnvelope::try_from(creation_tx()).unwrap();
    let envelope = ConfigUpdateEnvelope::decode(unpacked.data).unwrap();
    let expected = ConfigUpdate::decode(envelope.config_update).unwrap();
    assert_eq!(
        channel_creation_update("mychannel", &creation_profile()).unwrap(),
        expected
    );
}

#[test]
fn a_genesis_block_has_the_form_of_configtxgens() {
    let block = genesis_block("appchannel", channel_group(&application_profile()).unwrap()).unwrap();
    let theirs = system_block();
    assert_eq!(block.metadata, theirs.metadata);
    let header = block.header.as_ref().unwrap();
    assert_eq!(header.number, 0);
    assert!(header.previous_hash.is_empty());
    assert_eq!(
        header.data_hash,
        block_data_hash(&block.data.as_ref().unwrap().data).as_slice()
    );
    assert_eq!(last_config_index(&block).unwrap(), 0);
    let bundle = Bundle::from_config_block(&block).unwrap();
    assert_eq!(bundle.application_org_msp_ids(), ["Org1MSP", "Org2MSP"]);

    let unpack = |block: &protos::common::Block| {
        let envelope = block.data.as_ref().unwrap().data[0].clone();
        UnpackedEnvelope::try_from(protos::common::Envelope::decode(envelope).unwrap()).unwrap()
    };
    let (ours, theirs) = (unpack(&block), unpack(&theirs));
    assert_eq!(ours.channel_header.r#type, theirs.channel_header.r#type);
    assert_eq!(ours.channel_header.version, theirs.channel_header.version);
    assert_eq!(
        ours.signature_header.nonce.len(),
        theirs.signature_header.nonce.len()
    );
    assert!(theirs.signature.is_empty() && ours.signature.is_empty());
    let tx_id = protos::compute_tx_id(&ours.signature_header.nonce, &[]);
    assert_eq!(ours.channel_header.tx_id, tx_id.as_str());
    let tx_id = protos::compute_tx_id(&theirs.signature_header.nonce, &[]);
    assert_eq!(theirs.channel_header.tx_id, tx_id.as_str());
}

#[test]
fn a_profile_that_lacks_something_makes_nothing() {
    let mut profile = Profile::default();
    profile.policies.remove("Admins");
    assert_eq!(
        channel_group(&profile).unwrap_err().to_string(),
        "no Admins policy defined"
    );
    for rule in ["MOST Admins", "ANY", "ANY ", "ANY Admins twice"] {
        let mut profile = Profile::default();
        profile
            .policies
            .insert("Admins".into(), PolicyRule::ImplicitMeta(rule.into()));
        assert!(channel_group(&profile).is_err(), "{rule}");
    }
    let mut profile = creation_profile();
    profile.consortium = None;
    assert_eq!(
        channel_creation_update("mychannel", &profile)
            .unwrap_err()
            .to_string(),
        "cannot define a new channel with no Consortium value"
    );
    let same = group(&application());
    assert!(compute_update("appchannel", &same, &same).is_err());
}
