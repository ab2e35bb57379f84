//! The fixtures, and ways to sign for their identities.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use msp::{Certificate, LocalSigner, folder_config};
use prost::Message;
use protos::SignedData;
use protos::common::{Block, ConfigGroup, ConfigUpdate, ConfigUpdateEnvelope, Envelope, HeaderType};
use protos::msp::FabricMspConfig;

use crate::{
    ApplicationProfile, BatchProfile, Bundle, ConsortiumProfile, OrdererProfile, OrganizationProfile,
    Profile, sign_config_update, signed_envelope,
};

/// The system channel with a consortium of Org1MSP and Org2MSP.
pub(super) fn system_block() -> Block {
    Block::decode(include_bytes!("../../tests/fixtures/system.block").as_slice()).unwrap()
}

/// An application channel made without a system channel.
pub(super) fn application_block() -> Block {
    Block::decode(include_bytes!("../../tests/fixtures/appchannel.block").as_slice()).unwrap()
}

/// The transaction that creates `mychannel`, not yet signed.
pub(super) fn creation_tx() -> Envelope {
    Envelope::decode(include_bytes!("../../tests/fixtures/mychannel.tx").as_slice()).unwrap()
}

pub(super) fn system() -> Bundle {
    Bundle::from_config_block(&system_block()).unwrap()
}

pub(super) fn application() -> Bundle {
    Bundle::from_config_block(&application_block()).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The signer of an identity, such as `signer("org1", "admin")`.
pub(super) fn signer(org: &str, name: &str) -> LocalSigner {
    let read = |file: &str| std::fs::read(folder().join(org).join(name).join(file)).unwrap();
    let certificate = Certificate::from_pem(&read("cert.pem")).unwrap();
    let msp_id = match org {
        "org1" => "Org1MSP",
        "org2" => "Org2MSP",
        _ => "OrdererMSP",
    };
    LocalSigner::new(msp_id, &certificate, &read("key.pem")).unwrap()
}

pub(super) fn msp_config(org: &str, msp_id: &str) -> FabricMspConfig {
    folder_config(&folder().join(org).join("msp"), msp_id).unwrap()
}

pub(super) fn signed(signer: &LocalSigner) -> SignedData {
    SignedData {
        data: Bytes::from_static(b"proposal"),
        identity: signer.serialized_identity(),
        signature: signer.sign(&[b"proposal"]).unwrap(),
    }
}

/// An update signed by `admins` in an envelope.
pub(super) fn update_envelope(channel: &str, update: &ConfigUpdate, admins: &[&LocalSigner]) -> Envelope {
    let mut envelope = ConfigUpdateEnvelope {
        config_update: update.encode_to_vec().into(),
        signatures: Vec::new(),
    };
    for admin in admins {
        sign_config_update(&mut envelope, admin).unwrap();
    }
    let data = envelope.encode_to_vec().into();
    signed_envelope(HeaderType::ConfigUpdate, channel, data, admins.first().copied()).unwrap()
}

pub(super) fn group(bundle: &Bundle) -> ConfigGroup {
    bundle.config().channel_group.clone().unwrap()
}

/// The organisations of the fixtures' configtx.yaml.
pub(super) fn organizations() -> Vec<OrganizationProfile> {
    let mut org1 = OrganizationProfile::new("Org1MSP", msp_config("org1", "Org1MSP"));
    org1.anchor_peers = vec![("localhost".into(), 7051)];
    vec![
        org1,
        OrganizationProfile::new("Org2MSP", msp_config("org2", "Org2MSP")),
    ]
}

pub(super) fn orderer_profile() -> OrdererProfile {
    let endpoints = vec!["localhost:7050".to_owned()];
    OrdererProfile {
        organizations: vec![OrganizationProfile::orderer(
            "OrdererOrg",
            msp_config("orderer", "OrdererMSP"),
            endpoints,
        )],
        batch: BatchProfile {
            max_message_count: 10,
            absolute_max_bytes: 99 * 1024 * 1024,
            preferred_max_bytes: 512 * 1024,
            ..BatchProfile::default()
        },
        ..OrdererProfile::default()
    }
}

/// The profile `System` of the fixtures' configtx.yaml.
pub(super) fn system_profile() -> Profile {
    let consortium = ConsortiumProfile {
        organizations: organizations(),
    };
    Profile {
        orderer: Some(orderer_profile()),
        consortiums: [("SampleConsortium".to_owned(), consortium)].into(),
        ..Profile::default()
    }
}

/// The profile `AppGenesis`.
pub(super) fn application_profile() -> Profile {
    let acls = [
        ("qscc/GetChainInfo", "Writers"),
        ("event/Block", "/Channel/Application/Admins"),
    ];
    Profile {
        orderer: Some(orderer_profile()),
        application: Some(ApplicationProfile {
            organizations: organizations(),
            acls: acls
                .map(|(resource, policy)| (resource.to_owned(), policy.to_owned()))
                .into(),
            ..ApplicationProfile::default()
        }),
        ..Profile::default()
    }
}

/// The profile `Channel`.
pub(super) fn creation_profile() -> Profile {
    Profile {
        consortium: Some("SampleConsortium".into()),
        application: Some(ApplicationProfile {
            organizations: organizations(),
            ..ApplicationProfile::default()
        }),
        ..Profile::default()
    }
}
