//! Compiling and evaluating signature policies (Fabric common/cauthdsl).

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use protos::common::signature_policy::Type;
use protos::common::{SignaturePolicy as Rule, SignaturePolicyEnvelope};
use protos::msp::MspPrincipal;
use protos::{SignedData, decode_as_go, wire_message};

use crate::identity::Identity;
use crate::msp_manager::MspManager;

/// Deepest nesting of a policy's rules; hand-written policies have three levels.
const MAX_DEPTH: usize = 32;

/// Most rules in one policy: an organisation each, with room.
const MAX_RULES: usize = 2_048;

/// Most signatures looked at in one evaluation: every entry may cost one check of a signature.
const MAX_SIGNATURES: usize = 4_096;

/// Why a policy does not compile. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The bytes are no policy.
    #[error("Error unmarshalling to SignaturePolicy")]
    Undecodable(#[source] prost::DecodeError),
    /// A version nobody here knows.
    #[error("This evaluator only understands messages of version 0, but version was {0}")]
    Version(i32),
    /// A rule is absent.
    #[error("Empty policy element")]
    Empty,
    /// A rule without content.
    #[error("Unknown type: <nil>:<nil>")]
    UnknownType,
    /// A rule points at a principal that is not there.
    #[error("identity index out of range, requested {index}, but identities length is {length}")]
    Index {
        /// The principal asked for.
        index: i32,
        /// How many there are.
        length: usize,
    },
    /// More rules or levels than any honest policy has.
    #[error("policy is too large")]
    TooLarge,
}

/// Why a policy is not satisfied. The texts are Fabric's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The signatures do not suffice.
    #[error("signature set did not satisfy policy")]
    NotSatisfied,
    /// Too few of the policies below an implicit policy are satisfied.
    #[error(
        "implicit policy evaluation failed - {satisfied} sub-policies were satisfied, but this policy requires {required} of the '{sub_policy}' sub-policies to be satisfied"
    )]
    ImplicitMeta {
        /// How many were satisfied.
        satisfied: usize,
        /// How many had to be.
        required: usize,
        /// The name of the policies below.
        sub_policy: String,
    },
    /// No policy of that name.
    #[error("no such policy: '{0}'")]
    NoSuchPolicy(String),
    /// More signatures than anybody needs.
    #[error("signature set is too large")]
    TooManySignatures,
}

/// A rule that needs no further checks.
#[derive(Clone, Debug)]
enum Compiled {
    SignedBy(usize),
    NOutOf(i32, Vec<Compiled>),
}

/// A compiled signature policy.
#[derive(Clone, Debug)]
pub struct SignaturePolicy {
    rule: Compiled,
    envelope: SignaturePolicyEnvelope,
}

impl SignaturePolicy {
    /// Decodes and compiles.
    ///
    /// # Errors
    /// When the bytes are no policy or it breaks a rule.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, CompileError> {
        Self::compile(decode_as_go(bytes).map_err(CompileError::Undecodable)?)
    }

    /// Compiles.
    ///
    /// # Errors
    /// When the policy's version is unknown, a rule is empty or points nowhere, or it is too large.
    pub fn compile(envelope: SignaturePolicyEnvelope) -> Result<Self, CompileError> {
        if envelope.version != 0 {
            return Err(CompileError::Version(envelope.version));
        }
        let rule = envelope.rule.as_ref().ok_or(CompileError::Empty)?;
        let mut budget = MAX_RULES;
        let rule = compile(rule, envelope.identities.len(), MAX_DEPTH, &mut budget)?;
        Ok(Self { rule, envelope })
    }

    /// What the policy was compiled from.
    #[must_use]
    pub fn envelope(&self) -> &SignaturePolicyEnvelope {
        &self.envelope
    }

    /// Evaluates signatures: those that are wrong or repeat a signer do not count.
    ///
    /// # Errors
    /// When the rest does not satisfy the policy.
    pub fn evaluate(&self, signatures: &[SignedData], msps: &MspManager) -> Result<(), PolicyError> {
        self.evaluate_identities(&valid_identities(signatures, msps)?)
    }

    /// Evaluates identities whose signatures were checked before.
    ///
    /// # Errors
    /// When they do not satisfy the policy.
    pub fn evaluate_identities(&self, identities: &[Arc<Identity>]) -> Result<(), PolicyError> {
        let mut used = vec![false; identities.len()];
        if holds(&self.rule, &self.envelope.identities, identities, &mut used) {
            return Ok(());
        }
        Err(PolicyError::NotSatisfied)
    }
}

fn compile(
    rule: &Rule,
    principals: usize,
    depth: usize,
    budget: &mut usize,
) -> Result<Compiled, CompileError> {
    *budget = budget.checked_sub(1).ok_or(CompileError::TooLarge)?;
    let depth = depth.checked_sub(1).ok_or(CompileError::TooLarge)?;
    match rule.r#type.as_ref().ok_or(CompileError::UnknownType)? {
        Type::NOutOf(gate) => {
            let rules = gate
                .rules
                .iter()
                .map(|rule| compile(rule, principals, depth, budget));
            Ok(Compiled::NOutOf(gate.n, rules.collect::<Result<_, _>>()?))
        }
        Type::SignedBy(index) => {
            let place = usize::try_from(*index).ok().filter(|place| *place < principals);
            place.map(Compiled::SignedBy).ok_or(CompileError::Index {
                index: *index,
                length: principals,
            })
        }
    }
}

/// Evaluates every sub-rule, also once enough hold: each marks the signatures that it used up.
fn holds(
    rule: &Compiled,
    principals: &[MspPrincipal],
    identities: &[Arc<Identity>],
    used: &mut Vec<bool>,
) -> bool {
    match rule {
        Compiled::NOutOf(n, rules) => {
            let mut satisfied = 0;
            for rule in rules {
                let mut attempt = used.clone();
                if holds(rule, principals, identities, &mut attempt) {
                    satisfied += 1;
                    *used = attempt;
                }
            }
            satisfied >= *n
        }
        Compiled::SignedBy(index) => {
            let Some(principal) = principals.get(*index) else {
                return false;
            };
            let fits = |(identity, used): &(&Arc<Identity>, &mut bool)| {
                !**used && identity.satisfies_principal(principal).is_ok()
            };
            match identities.iter().zip(used.iter_mut()).find(fits) {
                Some((_, used)) => {
                    *used = true;
                    true
                }
                None => false,
            }
        }
    }
}

/// The identities that really signed, each once: undecodable ones and wrong signatures are dropped.
///
/// # Errors
/// When there are more signatures than one evaluation looks at.
pub fn valid_identities(
    signatures: &[SignedData],
    msps: &MspManager,
) -> Result<Vec<Arc<Identity>>, PolicyError> {
    if signatures.len() > MAX_SIGNATURES {
        return Err(PolicyError::TooManySignatures);
    }
    let mut seen = HashSet::new();
    let mut identities = Vec::with_capacity(signatures.len());
    for signed in signatures {
        let identity = match msps.deserialize(&signed.identity) {
            Ok(identity) => identity,
            Err(error) => {
                tracing::warn!(error = wire_message(&error), "invalid identity in signature set");
                continue;
            }
        };
        let key = (Arc::clone(identity.msp_id()), identity.id().to_owned());
        if seen.contains(&key) {
            tracing::debug!("dropping a repeated identity from signature set");
            continue;
        }
        if let Err(error) = identity.verify(&signed.data, &signed.signature) {
            tracing::warn!(error = wire_message(&error), "invalid signature in signature set");
            continue;
        }
        seen.insert(key);
        identities.push(identity);
    }
    Ok(identities)
}
