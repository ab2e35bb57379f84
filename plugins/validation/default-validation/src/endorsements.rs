//! Whether the endorsements of a transaction satisfy the policies of what it writes (Fabric
//! core/common/validation/statebased).

use crate::refusal::Refusal;
use crate::written::{WrittenKey, namespaces};
use plugin_api::{SharedBytes, Signature, Signers, ValidationAction};
use std::collections::HashSet;

/// The metadata entry that holds a key's endorsement policy.
const VALIDATION_PARAMETER: &str = "VALIDATION_PARAMETER";

/// Checks the policy of every key that is written where the channel has such policies, else the chaincode's.
pub(crate) fn check(action: &ValidationAction<'_>) -> Result<(), Refusal> {
    let key_level = action.has_capability("KeyLevelEndorsement");
    let endorsers = Endorsers::new(action, key_level)?;
    if key_level {
        endorsers.satisfy_keys()
    } else {
        endorsers.satisfy_definition()
    }
}

/// Who endorsed.
struct Endorsers<'a> {
    action: &'a ValidationAction<'a>,
    signers: Signers,
    /// Whether somebody endorsed more than once.
    repeated: bool,
}

impl<'a> Endorsers<'a> {
    /// Until V1_3 only the first endorsement of an identity is looked at, right or wrong; since then a wrong one does not
    /// stand in the way of a right one.
    fn new(action: &'a ValidationAction<'a>, key_level: bool) -> Result<Self, Refusal> {
        let mut endorsements = action.endorsements();
        let identities: HashSet<&[u8]> = endorsements.iter().map(|signed| signed.identity).collect();
        let repeated = identities.len() < endorsements.len();
        if repeated {
            let mut seen = HashSet::new();
            endorsements.retain(|endorsement| seen.insert(counted(endorsement, key_level)));
        }
        Ok(Self {
            signers: action.signers(&endorsements)?,
            action,
            repeated,
        })
    }

    fn satisfy(&self, policy: &[u8], what: impl Fn() -> String) -> Result<(), Refusal> {
        let satisfied = self.action.satisfies(&self.signers, policy)?;
        satisfied.map_err(|reason| {
            let hint = if self.repeated {
                ", might be caused by duplicated identities"
            } else {
                ""
            };
            Refusal::Invalid(format!("validation of {} failed{hint}: {reason}", what()))
        })
    }

    fn satisfy_definition(&self) -> Result<(), Refusal> {
        self.satisfy(self.action.policy(), || {
            format!("endorsement policy for chaincode {}", self.action.namespace())
        })
    }

    /// Each key's own policy where it has one, else the chaincode's. The chaincode's counts also when nothing is written.
    fn satisfy_keys(&self) -> Result<(), Refusal> {
        let namespace = self.action.namespace();
        let written = namespaces(self.action)?
            .into_iter()
            .find(|set| set.namespace == namespace);
        let keys = written.map(|set| set.written_keys()).transpose()?;
        let (mut definition_holds, mut key_policy_holds) = (false, false);
        for key in keys.unwrap_or_default() {
            match self.key_policy(&key)?.filter(|policy| !policy.is_empty()) {
                Some(policy) => {
                    self.satisfy(&policy, || format!("key {key}"))?;
                    key_policy_holds = true;
                }
                None if definition_holds => {}
                None => {
                    self.satisfy_definition()?;
                    definition_holds = true;
                }
            }
        }
        if !definition_holds && !key_policy_holds {
            self.satisfy_definition()?;
        }
        Ok(())
    }

    fn key_policy(&self, key: &WrittenKey) -> Result<Option<SharedBytes>, Refusal> {
        let namespace = self.action.namespace();
        Ok(match key {
            WrittenKey::Public(key) => self.action.state_metadata(namespace, key, VALIDATION_PARAMETER)?,
            WrittenKey::Hashed { collection, hash } => {
                self.action
                    .private_metadata(namespace, collection, hash, VALIDATION_PARAMETER)?
            }
        })
    }
}

/// By what endorsements count as repeated.
fn counted<'a>(endorsement: &Signature<'a>, key_level: bool) -> (&'a [u8], &'a [u8]) {
    let signature = if key_level { endorsement.signature } else { &[] };
    (endorsement.identity, signature)
}
