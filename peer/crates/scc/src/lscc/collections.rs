//! Collections of private data, as far as a definition carries them.

use bytes::Bytes;
use channelconfig::Bundle;
use msp::policy::SignaturePolicy;
use prost::Message;
use protos::common::{
    CollectionConfig, CollectionConfigPackage, collection_config, collection_policy_config,
};
use protos::{ChaincodeId, wire_message};

use super::error::LsccError;

const SUFFIX: &str = "~collection";

/// The key of a chaincode's collections.
pub(super) fn key(name: &str) -> String {
    format!("{name}{SUFFIX}")
}

/// Whether a key is one of those.
pub(super) fn is_key(key: &str) -> bool {
    key.contains(SUFFIX)
}

/// Checks that every collection has a member policy that can be evaluated.
pub(super) fn check(collections: &Bytes, id: &ChaincodeId, bundle: &Bundle) -> Result<(), LsccError> {
    let undecodable = format!("invalid collection configuration supplied for chaincode {id}");
    let package =
        CollectionConfigPackage::decode(collections.clone()).or(Err(LsccError::Refused(undecodable)))?;
    tracing::debug!(channel = %bundle.channel(), collections = package.config.len(), "collections defined");
    for collection in package.config {
        check_member_policy(collection).map_err(|reason| {
            LsccError::Refused(format!("collection member policy check failed: {reason}"))
        })?;
    }
    Ok(())
}

fn check_member_policy(collection: CollectionConfig) -> Result<(), String> {
    let Some(collection_config::Payload::StaticCollectionConfig(collection)) = collection.payload else {
        return Err("collection configuration is empty".into());
    };
    let policy = collection
        .member_orgs_policy
        .ok_or("collection member policy is not set")?
        .payload;
    let collection_policy_config::Payload::SignaturePolicy(policy) =
        policy.ok_or("collection member org policy is empty")?;
    SignaturePolicy::compile(policy).map(drop).map_err(|error| {
        format!(
            "invalid member org policy for collection '{}': {}",
            collection.name,
            wire_message(&error)
        )
    })
}
