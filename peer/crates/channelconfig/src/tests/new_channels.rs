//! Creating channels from a system channel.

use prost::Message;
use protos::common::{ConfigUpdate, ConfigUpdateEnvelope, Envelope};
use protos::{UnpackedEnvelope, wire_message};

use super::fixtures::{creation_tx, group, signed, signer, system, update_envelope};
use crate::{Bundle, create_channel, new_channel_config};

/// The update inside configtxgen's transaction.
fn update() -> ConfigUpdate {
    let unpacked = UnpackedEnvelope::try_from(creation_tx()).unwrap();
    let envelope = ConfigUpdateEnvelope::decode(unpacked.data).unwrap();
    ConfigUpdate::decode(envelope.config_update).unwrap()
}

fn signed_tx(update: &ConfigUpdate) -> Envelope {
    update_envelope("mychannel", update, &[&signer("org1", "admin")])
}

fn refusal(change: impl FnOnce(&mut ConfigUpdate)) -> String {
    let mut update = update();
    change(&mut update);
    wire_message(&create_channel(&system(), &signed_tx(&update)).unwrap_err())
}

#[test]
fn configtxgens_transaction_creates_a_channel() {
    let system = system();
    let envelope = create_channel(&system, &signed_tx(&update())).unwrap();
    let config = envelope.config.unwrap();
    assert_eq!(config.sequence, 1);
    let bundle = Bundle::from_config("mychannel", &config).unwrap();
    assert_eq!(bundle.application_org_msp_ids(), ["Org1MSP", "Org2MSP"]);
    assert_eq!(bundle.consortium_name(), "SampleConsortium");
    assert!(bundle.consortiums().is_none());
    let group = group(&bundle);
    let application = &group.groups["Application"];
    assert_eq!(application.version, 1);
    assert_eq!(application.mod_policy, "Admins");
    assert_eq!(application.policies["Admins"].mod_policy, "Admins");
    assert!(!application.policies.contains_key("ChannelCreationPolicy"));
    assert_eq!(
        group.groups["Orderer"],
        system.config().channel_group.as_ref().unwrap().groups["Orderer"]
    );
    bundle
        .evaluate(
            "/Channel/Application/Writers",
            &[signed(&signer("org2", "admin"))],
        )
        .unwrap();
}

#[test]
fn only_an_admin_of_a_member_creates_a_channel() {
    let system = system();
    for (org, name) in [("org1", "user"), ("orderer", "admin")] {
        let tx = update_envelope("mychannel", &update(), &[&signer(org, name)]);
        let text = wire_message(&create_channel(&system, &tx).unwrap_err());
        assert!(
            text.starts_with("error validating channel creation transaction for new channel 'mychannel', could not successfully apply update to template configuration: error validating DeltaSet: policy for [Group]  /Channel/Application not satisfied: implicit policy evaluation failed"),
            "{text}"
        );
    }
    create_channel(&system, &creation_tx()).unwrap_err();
    let by_second = update_envelope("mychannel", &update(), &[&signer("org2", "admin")]);
    create_channel(&system, &by_second).unwrap();
}

#[test]
fn the_template_names_the_creation_policy_for_the_tool_that_wrote_the_transaction() {
    let system = system();
    let template =
        |tx: &Envelope| group(&new_channel_config(&system, tx).unwrap()).groups["Application"].clone();
    let older = template(&signed_tx(&update()));
    assert_eq!(older.mod_policy, "ChannelCreationPolicy");
    let mut newer = update();
    let application = newer
        .write_set
        .as_mut()
        .unwrap()
        .groups
        .get_mut("Application")
        .unwrap();
    application.policies.get_mut("Admins").unwrap().version = 1;
    let newer = template(&signed_tx(&newer));
    assert_eq!(newer.mod_policy, "Admins");
    assert!(newer.policies.contains_key("Admins"));
}

#[test]
fn transactions_that_break_a_rule_are_refused_with_fabrics_text() {
    assert_eq!(
        refusal(|update| update.channel_id = "other".into()),
        "Failing initial channel config creation: mismatched channel IDs: 'other' != 'mychannel'"
    );
    assert_eq!(
        refusal(|update| update.write_set = None),
        "Config update has an empty writeset"
    );
    assert_eq!(
        refusal(|update| drop(update.write_set.as_mut().unwrap().groups.remove("Application"))),
        "Config update has missing application group"
    );
    let application = |update: &mut ConfigUpdate, version| {
        let write_set = update.write_set.as_mut().unwrap();
        write_set.groups.get_mut("Application").unwrap().version = version;
    };
    assert_eq!(
        refusal(|update| application(update, 7)),
        "Config update for channel creation does not set application group version to 1, was 7"
    );
    assert_eq!(
        refusal(|update| drop(update.write_set.as_mut().unwrap().values.remove("Consortium"))),
        "Consortium config value missing"
    );
    assert_eq!(
        refusal(|update| {
            let values = &mut update.write_set.as_mut().unwrap().values;
            let name = protos::common::Consortium { name: "None".into() };
            values.get_mut("Consortium").unwrap().value = name.encode_to_vec().into();
        }),
        "Unknown consortium name: None"
    );
    let members = |update: &mut ConfigUpdate, names: &[&str]| {
        let write_set = update.write_set.as_mut().unwrap();
        let groups = &mut write_set.groups.get_mut("Application").unwrap().groups;
        groups.clear();
        groups.extend(
            names
                .iter()
                .map(|name| ((*name).to_owned(), protos::common::ConfigGroup::default())),
        );
    };
    assert_eq!(
        refusal(|update| members(update, &[])),
        "Proposed configuration has no application group members, but consortium contains members"
    );
    assert_eq!(
        refusal(|update| members(update, &["Org1MSP", "Org9MSP"])),
        "Attempted to include a member which is not in the consortium"
    );
    let text = refusal(|update| {
        // the orderer's section is not the creator's to change
        let read_set = update.read_set.as_mut().unwrap();
        read_set
            .groups
            .insert("Orderer".into(), protos::common::ConfigGroup::default());
        let write_set = update.write_set.as_mut().unwrap();
        let batch = protos::common::ConfigValue {
            version: 1,
            mod_policy: "Admins".into(),
            ..protos::common::ConfigValue::default()
        };
        let mut orderer = protos::common::ConfigGroup::default();
        orderer.values.insert("BatchSize".into(), batch);
        write_set.groups.insert("Orderer".into(), orderer);
    });
    assert!(
        text.contains("policy for [Value]  /Channel/Orderer/BatchSize not satisfied"),
        "{text}"
    );
}
