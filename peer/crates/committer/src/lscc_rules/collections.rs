//! The collections that a deployment or upgrade defines.

use std::collections::BTreeMap;

use bytes::Bytes;
use protos::common::signature_policy::Type;
use protos::common::{
    CollectionConfigPackage, SignaturePolicy, StaticCollectionConfig, collection_config,
    collection_policy_config,
};
use protos::decode_as_go;
use protos::kvrwset::KvWrite;

use super::{Deployment, refuse};
use crate::definitions::collection_key;
use crate::failure::{Failure, Invalid};
use crate::namespaces::Scope;

/// Deepest nesting of a member policy; deeper ones do not decode either.
const MAX_DEPTH: usize = 32;

type Collections = BTreeMap<String, StaticCollectionConfig>;

impl Deployment {
    /// Checks the second write: the collections exactly as they were asked for.
    pub(super) fn check_collections(&self, scope: &Scope<'_>, writes: &[KvWrite]) -> Result<(), Failure> {
        if writes.len() > 2 {
            return refuse("LSCC can only issue one or two putState upon deploy");
        }
        let key = collection_key(&self.id.name);
        let written = writes.get(1);
        if let Some(write) = written.filter(|write| write.key != key) {
            return refuse(format!(
                "invalid key for the collection of chaincode {}; expected '{key}', received '{}'",
                self.name_and_version(),
                write.key
            ));
        }
        let asked = self.collections.clone().unwrap_or_default();
        if written.map(|write| write.value.clone()).unwrap_or_default() != asked {
            return refuse(format!(
                "collection configuration arguments supplied for chaincode {} do not match the configuration in the lscc writeset",
                self.name_and_version()
            ));
        }
        let stored = scope.definitions.stored_collections(&self.id.name)?;
        if !self.upgrade && stored.is_some() {
            return refuse(format!(
                "collection data should not exist for chaincode {}",
                self.name_and_version()
            ));
        }
        if self.collections.is_none() || !scope.rules.capabilities.v1_2_validation {
            return Ok(());
        }
        let new = self.decode(asked)?;
        match stored.filter(|_| self.upgrade) {
            Some(stored) => Ok(check_kept(&new, &self.decode(stored)?)?),
            None => Ok(()),
        }
    }

    fn name_and_version(&self) -> String {
        format!("{}:{}", self.id.name, self.id.version)
    }

    fn decode(&self, bytes: Bytes) -> Result<Collections, Invalid> {
        let undecodable = format!(
            "invalid collection configuration supplied for chaincode {}",
            self.name_and_version()
        );
        let package = decode_as_go::<CollectionConfigPackage>(bytes).or(Err(Invalid::policy(undecodable)))?;
        let mut collections = Collections::new();
        for collection in package.config {
            let Some(collection_config::Payload::StaticCollectionConfig(collection)) = collection.payload
            else {
                return Err(Invalid::policy("unknown collection configuration type"));
            };
            check_collection(&collection)?;
            let name = collection.name.clone();
            if collections.insert(name.clone(), collection).is_some() {
                let reason = format!("collection-name: {name} -- found duplicate collection configuration");
                return Err(Invalid::policy(reason));
            }
        }
        Ok(collections)
    }
}

fn check_collection(collection: &StaticCollectionConfig) -> Result<(), Invalid> {
    let name = &collection.name;
    let refuse = |reason: &str| Err(Invalid::policy(format!("collection-name: {name} -- {reason}")));
    if name.is_empty() {
        return Err(Invalid::policy("empty collection-name is not allowed"));
    }
    if !name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    {
        return Err(Invalid::policy(format!("collection-name: {name} not allowed")));
    }
    if collection.maximum_peer_count < collection.required_peer_count {
        return refuse("maximum peer count cannot be less than the required peer count");
    }
    if collection.required_peer_count < 0 {
        return refuse("requiredPeerCount cannot be less than zero");
    }
    let policy = collection
        .member_orgs_policy
        .as_ref()
        .and_then(|policy| policy.payload.as_ref());
    let Some(collection_policy_config::Payload::SignaturePolicy(policy)) = policy else {
        return refuse("no member org policy");
    };
    if !policy
        .rule
        .as_ref()
        .is_some_and(|rule| is_disjunction(rule, MAX_DEPTH))
    {
        return refuse("error in member org policy: signature policy is not an OR concatenation");
    }
    Ok(())
}

/// Whether any single principal satisfies the rule.
fn is_disjunction(rule: &SignaturePolicy, depth: usize) -> bool {
    let Some(Type::NOutOf(gate)) = &rule.r#type else {
        return true;
    };
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    gate.n == 1 && gate.rules.iter().all(|rule| is_disjunction(rule, depth))
}

/// An upgrade keeps every collection and how long its data lives.
fn check_kept(new: &Collections, old: &Collections) -> Result<(), Invalid> {
    for (name, old) in old {
        let Some(new) = new.get(name) else {
            return Err(Invalid::policy(format!(
                "the following existing collections are missing in the new collection configuration package: [{name}]"
            )));
        };
        if new.block_to_live != old.block_to_live {
            return Err(Invalid::policy(format!(
                "the BlockToLive in the following existing collections must not be modified: [{name}]"
            )));
        }
    }
    Ok(())
}
