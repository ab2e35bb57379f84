//! Judging configuration updates (Fabric common/configtx).

use prost::Message;
use protos::common::{ConfigGroup, ConfigUpdate, ConfigValue, Envelope, HeaderType};
use protos::orderer::BatchSize;
use protos::wire_message;

use super::fixtures::{application, group, signer, update_envelope};
use crate::{Bundle, anchor_peers_update, compute_update, propose_config_update, signed_envelope, validate};

const CHANNEL: &str = "appchannel";

/// The update from the application channel to a changed one.
fn update_to(change: impl FnOnce(&mut ConfigGroup)) -> ConfigUpdate {
    let present = group(&application());
    let mut changed = present.clone();
    change(&mut changed);
    compute_update(CHANNEL, &present, &changed).unwrap()
}

fn section<'a>(group: &'a mut ConfigGroup, name: &str) -> &'a mut ConfigGroup {
    group.groups.get_mut(name).unwrap()
}

fn without_org2(group: &mut ConfigGroup) {
    section(group, "Application").groups.remove("Org2MSP");
}

fn by_both_admins(update: &ConfigUpdate) -> Envelope {
    update_envelope(
        CHANNEL,
        update,
        &[&signer("org1", "admin"), &signer("org2", "admin")],
    )
}

fn refusal(envelope: &Envelope) -> String {
    wire_message(&propose_config_update(&application(), envelope).unwrap_err())
}

#[test]
fn a_majority_changes_the_members_and_the_result_is_validated() {
    let bundle = application();
    let envelope = by_both_admins(&update_to(without_org2));
    let proposed = propose_config_update(&bundle, &envelope).unwrap();
    let config = proposed.config.as_ref().unwrap();
    assert_eq!(config.sequence, 1);
    assert_eq!(proposed.last_update.as_ref(), Some(&envelope));
    let next = validate(&bundle, &proposed).unwrap();
    assert_eq!(next.application_org_msp_ids(), ["Org1MSP"]);
    let application = &group(&next).groups["Application"];
    assert_eq!(application.version, 1);
    assert_eq!(
        application.groups["Org1MSP"],
        group(&bundle).groups["Application"].groups["Org1MSP"]
    );

    assert_eq!(
        wire_message(&validate(&next, &proposed).unwrap_err()),
        "config currently at sequence 1, cannot validate config at sequence 1"
    );
    let mut forged = proposed.clone();
    let forged_group = forged.config.as_mut().unwrap().channel_group.as_mut().unwrap();
    section(forged_group, "Application").version = 9;
    assert_eq!(
        wire_message(&validate(&bundle, &forged).unwrap_err()),
        "ConfigEnvelope LastUpdate did not produce the supplied config result"
    );
    let mut empty = proposed;
    empty.last_update = None;
    validate(&bundle, &empty).unwrap_err();
}

#[test]
fn one_admin_is_no_majority_and_signing_twice_does_not_help() {
    let update = update_to(without_org2);
    let admin = signer("org1", "admin");
    let user = signer("org1", "user");
    for signers in [vec![&admin], vec![&admin, &admin], vec![&admin, &user], vec![]] {
        let text = refusal(&update_envelope(CHANNEL, &update, &signers));
        assert!(
            text.starts_with("error validating DeltaSet: policy for [Group]  /Channel/Application not satisfied: implicit policy evaluation failed - "),
            "{text}"
        );
    }
}

#[test]
fn an_organisation_changes_its_own_anchor_peers() {
    let bundle = application();
    let peers = [("peer0".to_owned(), 7051), ("peer1".to_owned(), 8051)];
    let update = anchor_peers_update(&bundle, "Org2MSP", &peers).unwrap();
    let envelope = update_envelope(CHANNEL, &update, &[&signer("org2", "admin")]);
    let proposed = propose_config_update(&bundle, &envelope).unwrap();
    let next = validate(&bundle, &proposed).unwrap();
    let anchor_peers = &next.application().unwrap().organizations["Org2MSP"].anchor_peers;
    assert_eq!(anchor_peers.len(), 2);
    assert!(anchor_peers_update(&next, "Org2MSP", &peers).is_err());
    assert!(anchor_peers_update(&next, "Org9MSP", &peers).is_err());
    let foreign = update_envelope(CHANNEL, &update, &[&signer("org1", "admin")]);
    assert!(refusal(&foreign).contains("policy for [Group]  /Channel/Application/Org2MSP not satisfied"));
}

#[test]
fn an_update_made_for_another_state_is_refused() {
    let update = update_to(without_org2);
    let bundle = application();
    let first = propose_config_update(&bundle, &by_both_admins(&update)).unwrap();
    let next = validate(&bundle, &first).unwrap();
    let text = wire_message(&propose_config_update(&next, &by_both_admins(&update)).unwrap_err());
    assert_eq!(
        text,
        "error validating ReadSet: proposed update requires that key [Group]  /Channel/Application be at version 0, but it is currently at version 1"
    );
    let mut unknown = update_to(without_org2);
    unknown
        .read_set
        .as_mut()
        .unwrap()
        .values
        .insert("Bogus".into(), ConfigValue::default());
    assert_eq!(
        refusal(&by_both_admins(&unknown)),
        "error validating ReadSet: existing config does not contain element for [Value]  /Channel/Bogus but was in the read set"
    );
}

#[test]
fn versions_must_follow_and_every_change_needs_a_mod_policy() {
    let written = |value: ConfigValue| {
        let mut update = update_to(without_org2);
        let write_set = update.write_set.as_mut().unwrap();
        write_set.values.insert("OrdererAddresses".into(), value);
        refusal(&by_both_admins(&update))
    };
    let value = |version, mod_policy: &str| ConfigValue {
        version,
        mod_policy: mod_policy.into(),
        ..ConfigValue::default()
    };
    assert_eq!(
        written(value(3, "Admins")),
        "error validating DeltaSet: attempted to set key [Value]  /Channel/OrdererAddresses to version 3, but key does not exist"
    );
    assert_eq!(
        written(value(0, "")),
        "error validating DeltaSet: invalid mod_policy for element [Value]  /Channel/OrdererAddresses: mod_policy not set"
    );
    assert_eq!(
        written(value(0, "a/b c")),
        "error validating DeltaSet: invalid mod_policy for element [Value]  /Channel/OrdererAddresses: path element at 1 is invalid: config ID 'b c' contains illegal characters"
    );
    let mut skipped = update_to(without_org2);
    section(skipped.write_set.as_mut().unwrap(), "Application").version = 5;
    assert_eq!(
        refusal(&by_both_admins(&skipped)),
        "error validating DeltaSet: attempt to set key [Group]  /Channel/Application to version 5, but key is at version 0"
    );
    let same = ConfigUpdate {
        channel_id: CHANNEL.into(),
        read_set: Some(ConfigGroup::default()),
        write_set: Some(ConfigGroup::default()),
        ..ConfigUpdate::default()
    };
    assert_eq!(
        refusal(&by_both_admins(&same)),
        "error validating DeltaSet: delta set was empty -- update would have no effect"
    );
}

#[test]
fn envelopes_of_other_kinds_and_channels_are_refused() {
    let mut update = update_to(without_org2);
    update.channel_id = "other".into();
    assert_eq!(
        refusal(&by_both_admins(&update)),
        "ConfigUpdate for channel 'other' but envelope for channel 'appchannel'"
    );
    let other = signed_envelope(HeaderType::Message, CHANNEL, bytes::Bytes::new(), None).unwrap();
    assert!(refusal(&other).contains("invalid type 0"));
    let garbage = Envelope {
        payload: vec![0xff].into(),
        signature: bytes::Bytes::new(),
    };
    refusal(&garbage);
    for data in [vec![0xff], vec![0x0a, 0x01, 0xff]] {
        let envelope = signed_envelope(HeaderType::ConfigUpdate, CHANNEL, data.into(), None).unwrap();
        refusal(&envelope);
    }
}

#[test]
fn a_result_that_is_no_valid_configuration_is_refused() {
    let orderer = signer("orderer", "admin");
    let change = |size: BatchSize| {
        let update = update_to(|group| {
            let value = section(group, "Orderer").values.get_mut("BatchSize").unwrap();
            value.value = size.encode_to_vec().into();
        });
        update_envelope(CHANNEL, &update, &[&orderer])
    };
    let size = |max_message_count| BatchSize {
        max_message_count,
        absolute_max_bytes: 100,
        preferred_max_bytes: 50,
    };
    let bundle = application();
    let proposed = propose_config_update(&bundle, &change(size(7))).unwrap();
    let next = validate(&bundle, &proposed).unwrap();
    assert_eq!(next.orderer().unwrap().batch_size.max_message_count, 7);
    let text = refusal(&change(size(0)));
    assert!(
        text.starts_with("config update is not compatible: initializing channelconfig failed: could not create channel Orderer sub-group config: "),
        "{text}"
    );
}

#[test]
fn an_msp_id_never_changes() {
    let bundle = application();
    let mut config = bundle.config().clone();
    let mut changed = group(&bundle);
    let application = section(&mut changed, "Application");
    let org1 = application.groups["Org1MSP"].clone();
    application.groups.insert("Org2MSP".into(), org1);
    config.channel_group = Some(changed);
    let next = Bundle::from_config(CHANNEL, &config).unwrap();
    assert_eq!(
        bundle.validate_new(&next).unwrap_err().to_string(),
        "application org Org2MSP attempted to change MSP ID from Org2MSP to Org1MSP"
    );
    let mut gone = group(&bundle);
    gone.groups.remove("Application");
    config.channel_group = Some(gone);
    let next = Bundle::from_config(CHANNEL, &config).unwrap();
    assert_eq!(
        bundle.validate_new(&next).unwrap_err().to_string(),
        "current config has application section, but new config does not"
    );
}
