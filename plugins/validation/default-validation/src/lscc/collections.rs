//! The collections that a deployment or upgrade defines.

use super::{Deployment, NAMESPACE};
use crate::messages::{
    CollectionConfigPackage, KvWrite, SignaturePolicy, StaticCollectionConfig, signature_policy,
};
use crate::refusal::Refusal;
use bytes::Bytes;
use plugin_api::ValidationAction;
use plugin_api::protobuf::decode_as_go;
use std::collections::BTreeMap;

/// Deepest nesting of a member policy; deeper ones do not decode either.
const MAX_DEPTH: usize = 32;

type Collections = BTreeMap<String, StaticCollectionConfig>;

impl Deployment {
    /// Checks the second write: the collections exactly as they were asked for.
    pub(super) fn check_collections(
        &self,
        action: &ValidationAction<'_>,
        writes: &[KvWrite],
    ) -> Result<(), Refusal> {
        if writes.len() > 2 {
            return Err("LSCC can only issue one or two putState upon deploy".into());
        }
        let key = format!("{}~collection", self.id.name);
        let written = writes.get(1);
        if let Some(write) = written.filter(|write| write.key != key) {
            return Err(format!(
                "invalid key for the collection of chaincode {}; expected '{key}', received '{}'",
                self.name_and_version(),
                write.key
            )
            .into());
        }
        let asked = self.collections.clone().unwrap_or_default();
        if written.map(|write| write.value.clone()).unwrap_or_default() != asked {
            return Err(format!(
                "collection configuration arguments supplied for chaincode {} do not match the configuration in the lscc writeset",
                self.name_and_version()
            )
            .into());
        }
        let stored = action.state(NAMESPACE, &key)?.map(Bytes::from_owner);
        if !self.upgrade && stored.is_some() {
            return Err(format!(
                "collection data should not exist for chaincode {}",
                self.name_and_version()
            )
            .into());
        }
        if self.collections.is_none() || !action.has_capability("V1_2Validation") {
            return Ok(());
        }
        let new = self.decode(asked)?;
        match stored.filter(|_| self.upgrade) {
            Some(stored) => check_kept(&new, &self.decode(stored)?),
            None => Ok(()),
        }
    }

    fn name_and_version(&self) -> String {
        format!("{}:{}", self.id.name, self.id.version)
    }

    fn decode(&self, bytes: Bytes) -> Result<Collections, Refusal> {
        let package = decode_as_go::<CollectionConfigPackage>(bytes).map_err(|error| {
            format!(
                "invalid collection configuration supplied for chaincode {}: {error}",
                self.name_and_version()
            )
        })?;
        let mut collections = Collections::new();
        for collection in package.config {
            let collection = collection
                .static_collection
                .ok_or("unknown collection configuration type")?;
            check_collection(&collection)?;
            let name = collection.name.clone();
            if collections.insert(name.clone(), collection).is_some() {
                return Err(
                    format!("collection-name: {name} -- found duplicate collection configuration").into(),
                );
            }
        }
        Ok(collections)
    }
}

fn check_collection(collection: &StaticCollectionConfig) -> Result<(), Refusal> {
    let name = &collection.name;
    let refuse = |reason: &str| Err(format!("collection-name: {name} -- {reason}").into());
    if name.is_empty() {
        return Err("empty collection-name is not allowed".into());
    }
    if !name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    {
        return Err(format!("collection-name: {name} not allowed").into());
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
        .and_then(|policy| policy.signature_policy.as_ref());
    let Some(policy) = policy else {
        return refuse("no member org policy");
    };
    let rule = policy.rule.as_ref();
    if !rule.is_some_and(|rule| is_disjunction(rule, MAX_DEPTH)) {
        return refuse("error in member org policy: signature policy is not an OR concatenation");
    }
    Ok(())
}

/// Whether any single principal satisfies the rule.
fn is_disjunction(rule: &SignaturePolicy, depth: usize) -> bool {
    let Some(signature_policy::Kind::NOutOf(gate)) = &rule.kind else {
        return true;
    };
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    gate.n == 1 && gate.rules.iter().all(|rule| is_disjunction(rule, depth))
}

/// An upgrade keeps every collection and how long its data lives.
fn check_kept(new: &Collections, old: &Collections) -> Result<(), Refusal> {
    for (name, old) in old {
        let Some(new) = new.get(name) else {
            return Err(format!(
                "the following existing collections are missing in the new collection configuration package: [{name}]"
            )
            .into());
        };
        if new.block_to_live != old.block_to_live {
            return Err(format!(
                "the BlockToLive in the following existing collections must not be modified: [{name}]"
            )
            .into());
        }
    }
    Ok(())
}
