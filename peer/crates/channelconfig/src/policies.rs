//! The policies of a channel, in the tree of its groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use msp::policy::{CompileError, PolicyError, SignaturePolicy, valid_identities};
use msp::{Identity, MspManager};
use prost::Message;
use protos::SignedData;
use protos::common::implicit_meta_policy::Rule;
use protos::common::policy::PolicyType;
use protos::common::{ConfigGroup, ImplicitMetaPolicy, SignaturePolicyEnvelope};

use crate::keys::ROOT_GROUP;

/// Why the policies of a configuration do not compile. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum PolicyTreeError {
    /// A policy without content.
    #[error("policy {name} at path {path} was nil")]
    Nil {
        /// The policy.
        name: String,
        /// Its group.
        path: String,
    },
    /// A signature policy breaks a rule.
    #[error("policy {name} at path {path} did not compile")]
    Signature {
        /// The policy.
        name: String,
        /// Its group.
        path: String,
        /// Which rule.
        #[source]
        source: CompileError,
    },
    /// An implicit policy is malformed.
    #[error("implicit policy {name} at path {path} did not compile: {problem}")]
    Implicit {
        /// The policy.
        name: String,
        /// Its group.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// A kind of policy nobody here knows.
    #[error("policy {name} at path {path} has unknown policy type: {kind}")]
    UnknownType {
        /// The policy.
        name: String,
        /// Its group.
        path: String,
        /// The number of the kind.
        kind: i32,
    },
}

#[derive(Clone, Debug)]
enum Policy {
    Signature(Box<SignaturePolicy>),
    /// So many of the direct sub-groups' policies of one name.
    ImplicitMeta {
        required: usize,
        sub_policy: String,
    },
}

/// One group's policies, with those of the groups below.
#[derive(Clone, Debug)]
pub struct PolicyTree {
    /// The group's path without a leading slash.
    path: String,
    policies: BTreeMap<String, Policy>,
    groups: BTreeMap<String, PolicyTree>,
}

impl PolicyTree {
    /// Compiles the policies of a channel group.
    ///
    /// # Errors
    /// When one does not compile.
    pub fn new(channel_group: &ConfigGroup) -> Result<Self, PolicyTreeError> {
        Self::of_group(ROOT_GROUP.to_owned(), channel_group)
    }

    fn of_group(path: String, group: &ConfigGroup) -> Result<Self, PolicyTreeError> {
        let mut groups = BTreeMap::new();
        for (name, sub_group) in &group.groups {
            let sub_tree = Self::of_group(format!("{path}/{name}"), sub_group)?;
            groups.insert(name.clone(), sub_tree);
        }
        let mut policies = BTreeMap::new();
        for (name, config_policy) in &group.policies {
            let Some(policy) = &config_policy.policy else {
                return Err(PolicyTreeError::Nil {
                    name: name.clone(),
                    path,
                });
            };
            let compiled = compile(&path, name, policy.r#type, policy.value.clone(), groups.len())?;
            policies.insert(name.clone(), compiled);
        }
        Ok(Self {
            path,
            policies,
            groups,
        })
    }

    /// The tree of a group below this one.
    #[must_use]
    pub fn group(&self, path: &[&str]) -> Option<&Self> {
        let mut tree = self;
        for name in path {
            tree = tree.groups.get(*name)?;
        }
        Some(tree)
    }

    /// Whether a policy of that name exists; names are relative to this group, or absolute.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Evaluates a policy over signatures, each of which is checked once.
    ///
    /// # Errors
    /// When there is no such policy or it is not satisfied.
    pub fn evaluate(
        &self,
        name: &str,
        signatures: &[SignedData],
        msps: &MspManager,
    ) -> Result<(), PolicyError> {
        self.evaluate_identities(name, &valid_identities(signatures, msps)?)
    }

    /// Evaluates a policy over identities whose signatures were checked before.
    ///
    /// # Errors
    /// When there is no such policy or it is not satisfied.
    pub fn evaluate_identities(&self, name: &str, identities: &[Arc<Identity>]) -> Result<(), PolicyError> {
        let Some((tree, policy)) = self.find(name) else {
            let relative = self.relative(name).unwrap_or(name);
            return Err(PolicyError::NoSuchPolicy(relative.to_owned()));
        };
        tree.holds(policy, identities)
    }

    /// A signature policy as it was configured; `None` for other kinds.
    #[must_use]
    pub fn signature_policy(&self, name: &str) -> Option<&SignaturePolicyEnvelope> {
        match self.find(name)?.1 {
            Policy::Signature(policy) => Some(policy.envelope()),
            Policy::ImplicitMeta { .. } => None,
        }
    }

    fn holds(&self, policy: &Policy, identities: &[Arc<Identity>]) -> Result<(), PolicyError> {
        let (required, sub_policy) = match policy {
            Policy::Signature(policy) => return policy.evaluate_identities(identities),
            Policy::ImplicitMeta { required, sub_policy } => (*required, sub_policy),
        };
        let groups = self.groups.values();
        let satisfied = groups
            .filter(|group| group.evaluate_identities(sub_policy, identities).is_ok())
            .take(required)
            .count();
        if satisfied >= required {
            return Ok(());
        }
        Err(PolicyError::ImplicitMeta {
            satisfied,
            required,
            sub_policy: sub_policy.clone(),
        })
    }

    /// A policy with the group that it belongs to.
    fn find(&self, name: &str) -> Option<(&Self, &Policy)> {
        let mut parts: Vec<&str> = self.relative(name)?.split('/').collect();
        let last = parts.pop()?;
        let tree = self.group(&parts)?;
        Some((tree, tree.policies.get(last)?))
    }

    /// A name as seen from this group: absolute names lose the group's own path.
    fn relative<'a>(&self, name: &'a str) -> Option<&'a str> {
        match name.strip_prefix('/') {
            None => Some(name),
            Some(absolute) => absolute.strip_prefix(self.path.as_str())?.strip_prefix('/'),
        }
    }
}

fn compile(
    path: &str,
    name: &str,
    kind: i32,
    value: Bytes,
    groups: usize,
) -> Result<Policy, PolicyTreeError> {
    let at = || (name.to_owned(), path.to_owned());
    match PolicyType::try_from(kind) {
        Ok(PolicyType::Signature) => {
            let compiled = SignaturePolicy::from_bytes(value).map_err(|source| {
                let (name, path) = at();
                PolicyTreeError::Signature { name, path, source }
            })?;
            Ok(Policy::Signature(Box::new(compiled)))
        }
        Ok(PolicyType::ImplicitMeta) => implicit_meta(value, groups).map_err(|problem| {
            let (name, path) = at();
            PolicyTreeError::Implicit { name, path, problem }
        }),
        Ok(PolicyType::Unknown | PolicyType::Msp) | Err(_) => {
            let (name, path) = at();
            Err(PolicyTreeError::UnknownType { name, path, kind })
        }
    }
}

fn implicit_meta(value: Bytes, groups: usize) -> Result<Policy, String> {
    let definition = ImplicitMetaPolicy::decode(value)
        .map_err(|error| format!("Error unmarshalling to ImplicitMetaPolicy: {error}"))?;
    let required = match Rule::try_from(definition.rule) {
        // without any sub-group nothing is required
        Ok(_) if groups == 0 => 0,
        Ok(Rule::Any) => 1,
        Ok(Rule::All) => groups,
        Ok(Rule::Majority) => groups / 2 + 1,
        Err(_) => return Err(format!("unknown rule {}", definition.rule)),
    };
    Ok(Policy::ImplicitMeta {
        required,
        sub_policy: definition.sub_policy,
    })
}
