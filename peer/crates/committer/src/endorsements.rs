//! Whether the endorsements of a transaction satisfy the policies of what it writes (Fabric
//! core/common/validation/statebased).

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use ledger::NsRwSet;
use msp::policy::{SignaturePolicy, valid_identities};
use msp::Identity;
use protos::SignedData;
use protos::wire_message;

use crate::definitions::Definition;
use crate::failure::{Failure, Invalid};
use crate::rules::{ChannelRules, CommittedState};
use crate::rwset::{sets_private_policies, writes_private_data};

/// The identities that really endorsed, each once.
pub(crate) struct Endorsers {
    identities: Vec<Arc<Identity>>,
    /// Whether somebody endorsed more than once.
    repeated: bool,
}

impl Endorsers {
    /// Checks the signatures. Until V1_3 only the first endorsement of an identity is looked at, right or wrong;
    /// since then a wrong one does not stand in the way of a right one.
    pub(crate) fn new(
        mut signed: Vec<SignedData>,
        rules: &ChannelRules<'_>,
    ) -> Result<Self, Invalid> {
        let given = signed.len();
        let identities: HashSet<Bytes> = signed.iter().map(|signed| signed.identity.clone()).collect();
        let repeated = identities.len() < given;
        let first_only = !rules.capabilities.key_level_endorsement;
        let mut seen = HashSet::new();
        signed.retain(|signed| {
            let signature = if first_only { Bytes::new() } else { signed.signature.clone() };
            seen.insert((signed.identity.clone(), signature))
        });
        let identities =
            valid_identities(&signed, rules.msps).map_err(|error| Invalid::policy(error.to_string()))?;
        Ok(Self { identities, repeated })
    }

    fn satisfy(&self, policy: &SignaturePolicy, what: &str) -> Result<(), Invalid> {
        policy.evaluate_identities(&self.identities).map_err(|error| {
            let hint = if self.repeated {
                ", might be caused by duplicated identities"
            } else {
                ""
            };
            Invalid::policy(format!(
                "validation of {what} failed{hint}: {}",
                wire_message(&error)
            ))
        })
    }

    /// Checks the chaincode's policy.
    pub(crate) fn satisfy_definition(&self, name: &str, definition: &Definition) -> Result<(), Invalid> {
        match &definition.policy {
            Ok(policy) => self.satisfy(policy, &format!("endorsement policy for chaincode {name}")),
            Err(error) => Err(Invalid::policy(wire_message(error))),
        }
    }

    /// Checks the policy of every key that is written: its own where it has one, else the chaincode's.
    /// The chaincode's counts also when nothing is written.
    pub(crate) fn satisfy_keys(
        &self,
        namespace: &str,
        definition: &Definition,
        written: Option<&NsRwSet>,
        state: &dyn CommittedState,
    ) -> Result<(), Failure> {
        if written.is_some_and(sets_private_policies) {
            // they could not be enforced later, because metadata of private data is not kept
            return Err(
                Invalid::policy("endorsement policies of private data keys are not supported").into(),
            );
        }
        let mut definition_holds = false;
        let mut key_policy_holds = false;
        for key in written.into_iter().flat_map(written_keys) {
            let parameter = state
                .validation_parameter(namespace, key)
                .map_err(Failure::Unreadable)?
                .filter(|parameter| !parameter.is_empty());
            match parameter {
                Some(parameter) => {
                    self.satisfy_key(key, parameter)?;
                    key_policy_holds = true;
                }
                None if definition_holds => {}
                None => {
                    self.satisfy_definition(namespace, definition)?;
                    definition_holds = true;
                }
            }
        }
        // keys of private data have no metadata here: the chaincode's policy holds for them
        let private = written.is_some_and(writes_private_data);
        if !definition_holds && (private || !key_policy_holds) {
            self.satisfy_definition(namespace, definition)?;
        }
        Ok(())
    }

    fn satisfy_key(&self, key: &str, parameter: Bytes) -> Result<(), Invalid> {
        let policy =
            SignaturePolicy::from_bytes(parameter).map_err(|error| Invalid::policy(wire_message(&error)))?;
        self.satisfy(&policy, &format!("key {key}"))
    }
}

/// The keys whose policies count, in order: those with a new value, then those with new metadata.
pub(crate) fn written_keys(namespace: &NsRwSet) -> impl Iterator<Item = &str> {
    let values = namespace.kv.writes.iter().map(|write| write.key.as_str());
    let metadata = namespace
        .kv
        .metadata_writes
        .iter()
        .map(|write| write.key.as_str());
    values.chain(metadata)
}
