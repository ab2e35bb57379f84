//! Whether the endorsements of a transaction satisfy the policies of what it writes (Fabric
//! core/common/validation/statebased).

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use ledger::NsRwSet;
use msp::Identity;
use msp::policy::{SignaturePolicy, valid_identities};
use protos::SignedData;
use protos::wire_message;

use crate::definitions::Definition;
use crate::failure::{Failure, Invalid};
use crate::rules::{ChannelRules, CommittedState};
use crate::rwset::{WrittenKey, written_metadata, written_values};

/// How many endorsements are checked in one go.
const CHECKED_AT_ONCE: usize = 1_024;

/// The identities that really endorsed, each once.
pub(crate) struct Endorsers {
    identities: Vec<Arc<Identity>>,
    /// Whether somebody endorsed more than once.
    repeated: bool,
}

impl Endorsers {
    /// Checks the signatures. Until V1_3 only the first endorsement of an identity is looked at, right or wrong;
    /// since then a wrong one does not stand in the way of a right one.
    pub(crate) fn new(mut signed: Vec<SignedData>, rules: &ChannelRules<'_>) -> Result<Self, Invalid> {
        let given = signed.len();
        let identities: HashSet<Bytes> = signed.iter().map(|signed| signed.identity.clone()).collect();
        let repeated = identities.len() < given;
        let first_only = !rules.capabilities.key_level_endorsement;
        let mut seen = HashSet::new();
        signed.retain(|signed| {
            let signature = if first_only {
                Bytes::new()
            } else {
                signed.signature.clone()
            };
            seen.insert((signed.identity.clone(), signature))
        });
        // the number of endorsements is limited by the size of a block alone, as with Fabric
        let mut identities: Vec<Arc<Identity>> = Vec::new();
        for part in signed.chunks(CHECKED_AT_ONCE) {
            let valid = valid_identities(part, rules.msps);
            for identity in valid.map_err(|error| Invalid::policy(error.to_string()))? {
                let same = |known: &Arc<Identity>| {
                    known.msp_id() == identity.msp_id() && known.id() == identity.id()
                };
                if !identities.iter().any(same) {
                    identities.push(identity);
                }
            }
        }
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
        let mut definition_holds = false;
        let mut key_policy_holds = false;
        let keys = written
            .into_iter()
            .flat_map(|set| written_values(set).chain(written_metadata(set)));
        for key in keys {
            let parameter = match &key {
                WrittenKey::Public(key) => state.validation_parameter(namespace, key),
                WrittenKey::Hashed { collection, hash } => {
                    state.validation_parameter_by_hash(namespace, collection, hash)
                }
            };
            let parameter = parameter.map_err(Failure::Unreadable)?;
            match parameter.filter(|parameter| !parameter.is_empty()) {
                Some(parameter) => {
                    self.satisfy_key(&key, parameter)?;
                    key_policy_holds = true;
                }
                None if definition_holds => {}
                None => {
                    self.satisfy_definition(namespace, definition)?;
                    definition_holds = true;
                }
            }
        }
        if !definition_holds && !key_policy_holds {
            self.satisfy_definition(namespace, definition)?;
        }
        Ok(())
    }

    fn satisfy_key(&self, key: &WrittenKey, parameter: Bytes) -> Result<(), Invalid> {
        let policy =
            SignaturePolicy::from_bytes(parameter).map_err(|error| Invalid::policy(wire_message(&error)))?;
        self.satisfy(&policy, &format!("key {key}"))
    }
}
