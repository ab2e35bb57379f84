//! Reading configurations into bundles.

use std::time::Duration;

use protos::common::{Capabilities, Capability, ConfigGroup, ConfigValue};
use protos::wire_message;

use super::fixtures::{application, application_block, group, signed, signer, system};
use crate::{Bundle, BundleError, PolicyError};
use prost::Message;

#[test]
fn an_application_channel_has_all_its_parts() {
    let bundle = application();
    assert_eq!(bundle.channel().as_str(), "appchannel");
    assert_eq!(bundle.sequence(), 0);
    assert_eq!(bundle.application_org_msp_ids(), ["Org1MSP", "Org2MSP"]);
    assert_eq!(bundle.hashing_algorithm(), "SHA256");
    let ids: Vec<&str> = bundle.msp_manager().msps().keys().map(AsRef::as_ref).collect();
    assert_eq!(ids, ["OrdererMSP", "Org1MSP", "Org2MSP"]);

    let application = bundle.application().unwrap();
    let peers = &application.organizations["Org1MSP"].anchor_peers;
    assert_eq!((peers[0].host.as_str(), peers[0].port), ("localhost", 7051));
    let capabilities = bundle.application_capabilities();
    assert!(
        capabilities.v1_2_validation()
            && capabilities.v1_3_validation()
            && capabilities.key_level_endorsement()
    );
    assert!(capabilities.forbid_duplicate_txid_in_block() && capabilities.collection_upgrade());
    assert!(!capabilities.lifecycle_v2_0() && !capabilities.purge_pvt_data());

    let orderer = bundle.orderer().unwrap();
    assert_eq!(orderer.consensus_type.r#type, "solo");
    assert_eq!(orderer.batch_timeout, Duration::from_secs(2));
    assert_eq!(orderer.batch_size.max_message_count, 10);
    let endpoints = bundle.orderer_endpoints();
    let (address, organization) = &endpoints[0];
    assert_eq!(address, "localhost:7050");
    assert_eq!(organization.unwrap().msp.tls_root_certs().len(), 1);
    assert_eq!(bundle.tls_root_certs().len(), 3);
    assert!(bundle.consortiums().is_none());
}

#[test]
fn a_system_channel_has_consortiums() {
    let bundle = system();
    let consortium = &bundle.consortiums().unwrap()["SampleConsortium"];
    let names: Vec<&str> = consortium.organizations.keys().map(String::as_str).collect();
    assert_eq!(names, ["Org1MSP", "Org2MSP"]);
    assert!(bundle.application().is_none());
}

#[test]
fn policies_are_found_by_path_and_evaluated() {
    let bundle = application();
    let admin = signed(&signer("org1", "admin"));
    let user = signed(&signer("org1", "user"));
    let peer = signed(&signer("org1", "peer"));
    let orderer = signed(&signer("orderer", "admin"));
    for (path, signature) in [
        ("/Channel/Application/Writers", &user),
        ("/Channel/Application/Readers", &peer),
        ("/Channel/Application/Org1MSP/Admins", &admin),
        ("Application/Org1MSP/Endorsement", &peer),
        ("/Channel/Orderer/BlockValidation", &orderer),
        ("/Channel/Readers", &orderer),
    ] {
        bundle
            .evaluate(path, std::slice::from_ref(signature))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    let refusal = |path: &str, signature| {
        bundle
            .evaluate(path, std::slice::from_ref(signature))
            .unwrap_err()
    };
    assert_eq!(
        refusal("/Channel/Application/Writers", &peer).to_string(),
        "implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires 1 of the 'Writers' sub-policies to be satisfied"
    );
    assert_eq!(
        refusal("/Channel/Application/Admins", &admin).to_string(),
        "implicit policy evaluation failed - 1 sub-policies were satisfied, but this policy requires 2 of the 'Admins' sub-policies to be satisfied"
    );
    assert_eq!(
        refusal("/Channel/Application/Org2MSP/Readers", &admin),
        PolicyError::NotSatisfied
    );
    for (path, relative) in [
        ("/Channel/Application/None", "Application/None"),
        ("/Other/Readers", "/Other/Readers"),
        ("/Channel", "/Channel"),
        ("", ""),
    ] {
        assert_eq!(
            refusal(path, &admin),
            PolicyError::NoSuchPolicy(relative.into()),
            "{path}"
        );
    }
    let both = [admin, signed(&signer("org2", "admin"))];
    bundle.evaluate("/Channel/Application/Admins", &both).unwrap();
}

/// Reads the application channel after a change and says what is wrong with it.
fn refusal(change: impl FnOnce(&mut ConfigGroup)) -> String {
    let bundle = application();
    let mut config = bundle.config().clone();
    let mut changed = group(&bundle);
    change(&mut changed);
    config.channel_group = Some(changed);
    wire_message(&Bundle::from_config("appchannel", &config).unwrap_err())
}

fn capabilities(name: &str) -> ConfigValue {
    let capabilities = Capabilities {
        capabilities: [(name.to_owned(), Capability {})].into(),
    };
    ConfigValue {
        value: capabilities.encode_to_vec().into(),
        ..ConfigValue::default()
    }
}

fn section<'a>(group: &'a mut ConfigGroup, name: &str) -> &'a mut ConfigGroup {
    group.groups.get_mut(name).unwrap()
}

#[test]
fn unknown_capabilities_are_named() {
    let text = refusal(|group| {
        section(group, "Application")
            .values
            .insert("Capabilities".into(), capabilities("V9_9"));
        section(group, "Application").values.remove("ACLs");
    });
    assert_eq!(
        text,
        "incompatible: Application capability V9_9 is required but not supported"
    );
    let text = refusal(|group| {
        group.values.get_mut("Capabilities").unwrap().value = {
            let capabilities = Capabilities {
                capabilities: [
                    ("V2_0".to_owned(), Capability {}),
                    ("V3_0".to_owned(), Capability {}),
                ]
                .into(),
            };
            capabilities.encode_to_vec().into()
        };
    });
    assert_eq!(
        text,
        "incompatible: Channel capability V3_0 is required but not supported"
    );
}

#[test]
fn what_breaks_a_rule_is_refused_with_fabrics_text() {
    let prefix = "initializing channelconfig failed: ";
    let text = refusal(|group| drop(section(group, "Application").values.remove("Capabilities")));
    assert_eq!(
        text,
        format!(
            "{prefix}could not create channel Application sub-group config: ACLs may not be specified without the required capability"
        )
    );
    let text = refusal(|group| drop(group.values.insert("Bogus".into(), ConfigValue::default())));
    assert_eq!(
        text,
        format!("{prefix}failed to deserialize values: Unexpected key Bogus")
    );
    let text = refusal(|group| drop(group.groups.insert("Bogus".into(), ConfigGroup::default())));
    assert_eq!(text, format!("{prefix}Disallowed channel group: Bogus"));
    let text = refusal(|group| drop(section(group, "Orderer").values.remove("Capabilities")));
    assert_eq!(
        text,
        "cannot enable channel capabilities without orderer support first"
    );
    let text = refusal(|group| drop(section(group, "Orderer").values.remove("BatchSize")));
    assert!(
        text.ends_with("batch size max message count to an invalid value: 0"),
        "{text}"
    );
    let text = refusal(|group| {
        let org1 = section(section(group, "Application"), "Org1MSP").clone();
        section(section(group, "Application"), "Org1MSP")
            .groups
            .insert("Sub".into(), org1);
    });
    assert!(
        text.ends_with("ApplicationOrg config does not allow sub-groups"),
        "{text}"
    );
    let text = refusal(|group| {
        section(section(group, "Application"), "Org1MSP")
            .values
            .remove("MSP");
    });
    assert!(
        text.ends_with("setting up the MSP manager failed: expected at least one CA certificate"),
        "{text}"
    );
    let text = refusal(|group| {
        let policy = section(group, "Application").policies.get_mut("Readers").unwrap();
        policy.policy.as_mut().unwrap().r#type = 9;
    });
    assert_eq!(
        text,
        "initializing policymanager failed: policy Readers at path Channel/Application has unknown policy type: 9"
    );
}

#[test]
fn two_versions_of_one_msp_are_refused() {
    let text = refusal(|group| {
        let org1 = section(section(group, "Application"), "Org1MSP").clone();
        let copy = {
            let mut copy = org1;
            let value = copy.values.get_mut("MSP").unwrap();
            let mut wrapped = protos::msp::MspConfig::decode(value.value.clone()).unwrap();
            let mut config = protos::msp::FabricMspConfig::decode(wrapped.config).unwrap();
            config.tls_root_certs.clear();
            wrapped.config = config.encode_to_vec().into();
            value.value = wrapped.encode_to_vec().into();
            copy
        };
        section(group, "Application").groups.insert("Copy".into(), copy);
    });
    assert!(
        text.ends_with("Attempted to define two different versions of MSP: Org1MSP"),
        "{text}"
    );
}

#[test]
fn a_block_without_a_configuration_is_refused() {
    let mut block = application_block();
    block.data.as_mut().unwrap().data.clear();
    assert!(matches!(
        Bundle::from_config_block(&block),
        Err(BundleError::NoConfig(_))
    ));
    let mut block = application_block();
    block.data.as_mut().unwrap().data[0] = vec![0xff].into();
    assert!(Bundle::from_config_block(&block).is_err());
    let bundle = application();
    let error = Bundle::from_config("Upper", bundle.config()).unwrap_err();
    assert_eq!(
        wire_message(&error),
        "initializing configtx manager failed: bad channel ID: 'Upper' contains illegal characters"
    );
}
