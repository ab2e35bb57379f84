//! Private data collections in the JSON form of Fabric's CLI (`--collections-config`).

use msp::policy::PolicyTextError;
use prost::Message;
use protos::common::{
    ApplicationPolicy, CollectionConfig, CollectionConfigPackage, CollectionPolicyConfig,
    StaticCollectionConfig, application_policy, collection_config, collection_policy_config,
};
use serde::Deserialize;

/// Why a collection file is refused.
#[derive(Debug, thiserror::Error)]
pub enum CollectionsError {
    /// The file is not a list of collections.
    #[error("could not parse the collection configuration")]
    Json(#[from] serde_json::Error),
    /// A policy does not parse.
    #[error("invalid policy {text}")]
    Policy {
        /// The policy.
        text: String,
        /// What is wrong with it.
        #[source]
        source: PolicyTextError,
    },
    /// A collection names its endorsement policy in both ways.
    #[error("collection {0}: cannot specify both signaturePolicy and channelConfigPolicy")]
    TwoPolicies(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Collection {
    name: String,
    policy: String,
    required_peer_count: i32,
    max_peer_count: i32,
    block_to_live: u64,
    member_only_read: bool,
    member_only_write: bool,
    endorsement_policy: EndorsementPolicy,
}

impl Default for Collection {
    fn default() -> Self {
        Self {
            name: String::new(),
            policy: String::new(),
            required_peer_count: 0,
            max_peer_count: 1,
            block_to_live: 0,
            member_only_read: false,
            member_only_write: false,
            endorsement_policy: EndorsementPolicy::default(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EndorsementPolicy {
    channel_config_policy: String,
    signature_policy: String,
}

/// The bytes that LSCC takes for a file's content.
///
/// # Errors
/// When the content is no list of collections or a policy does not parse.
pub fn collection_package(json: &[u8]) -> Result<Vec<u8>, CollectionsError> {
    let collections: Vec<Collection> = serde_json::from_slice(json)?;
    let config: Result<Vec<_>, _> = collections.into_iter().map(config).collect();
    Ok(CollectionConfigPackage { config: config? }.encode_to_vec())
}

fn config(collection: Collection) -> Result<CollectionConfig, CollectionsError> {
    let members = collection_policy_config::Payload::SignaturePolicy(policy(&collection.policy)?);
    let fixed = StaticCollectionConfig {
        endorsement_policy: endorsement_policy(&collection)?,
        name: collection.name,
        member_orgs_policy: Some(CollectionPolicyConfig {
            payload: Some(members),
        }),
        required_peer_count: collection.required_peer_count,
        maximum_peer_count: collection.max_peer_count,
        block_to_live: collection.block_to_live,
        member_only_read: collection.member_only_read,
        member_only_write: collection.member_only_write,
    };
    Ok(CollectionConfig {
        payload: Some(collection_config::Payload::StaticCollectionConfig(fixed)),
    })
}

fn endorsement_policy(collection: &Collection) -> Result<Option<ApplicationPolicy>, CollectionsError> {
    let stated = &collection.endorsement_policy;
    let kind = match (
        stated.signature_policy.as_str(),
        stated.channel_config_policy.as_str(),
    ) {
        ("", "") => return Ok(None),
        (text, "") => application_policy::Type::SignaturePolicy(policy(text)?),
        ("", name) => application_policy::Type::ChannelConfigPolicyReference(name.to_owned()),
        _ => return Err(CollectionsError::TwoPolicies(collection.name.clone())),
    };
    Ok(Some(ApplicationPolicy { r#type: Some(kind) }))
}

fn policy(text: &str) -> Result<protos::common::SignaturePolicyEnvelope, CollectionsError> {
    msp::policy::from_string(text).map_err(|source| CollectionsError::Policy {
        text: text.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_fabrics_form_becomes_a_package() {
        let json = br#"[{"name":"c1","policy":"OR('Org1MSP.member')","requiredPeerCount":2,"maxPeerCount":3,
            "blockToLive":9,"memberOnlyRead":true,"endorsementPolicy":{"signaturePolicy":"OR('Org1MSP.peer')"}},
            {"name":"c2","policy":"OR('Org2MSP.member')"}]"#;
        let package = CollectionConfigPackage::decode(collection_package(json).unwrap().as_slice()).unwrap();
        let fixed: Vec<_> = package
            .config
            .into_iter()
            .map(|config| {
                let collection_config::Payload::StaticCollectionConfig(fixed) = config.payload.unwrap();
                fixed
            })
            .collect();
        assert_eq!((fixed[0].name.as_str(), fixed[0].required_peer_count), ("c1", 2));
        assert_eq!((fixed[0].block_to_live, fixed[0].member_only_read), (9, true));
        assert!(fixed[0].endorsement_policy.is_some());
        assert_eq!(
            (fixed[1].required_peer_count, fixed[1].maximum_peer_count),
            (0, 1),
            "Fabric's defaults"
        );
        assert!(fixed[1].endorsement_policy.is_none() && fixed[1].member_orgs_policy.is_some());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert!(matches!(
            collection_package(b"{}"),
            Err(CollectionsError::Json(_))
        ));
        let bad = br#"[{"name":"c","policy":"OR("}]"#;
        assert!(matches!(
            collection_package(bad),
            Err(CollectionsError::Policy { .. })
        ));
        let both = br#"[{"name":"c","policy":"OR('A.member')",
            "endorsementPolicy":{"signaturePolicy":"OR('A.peer')","channelConfigPolicy":"x"}}]"#;
        assert!(matches!(collection_package(both), Err(CollectionsError::TwoPolicies(name)) if name == "c"));
    }
}
