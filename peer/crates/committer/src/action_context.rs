//! [`ActionContext`]: a transaction in one namespace, and all that a validation plugin may judge it by.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use msp::Identity;
use msp::policy::{CompileError, SignaturePolicy};
use parking_lot::Mutex;
use prost::Message;
use protos::msp::MspPrincipal;
use protos::{sha256, wire_message};

use crate::rules::{ChannelRules, CommittedState, SourceError};
use crate::rwset::WrittenKey;
use crate::transaction::{Action, EndorserTransaction};

/// Most policies of a block that stay compiled; those of definitions come first, and there are few.
const MAX_POLICIES: usize = 1_024;
/// Most sets of signers that a plugin may ask for in one action.
const MAX_SETS: usize = 64;

/// What all transactions of a block are judged by.
pub(crate) struct BlockContext {
    pub(crate) state: Arc<dyn CommittedState>,
    pub(crate) rules: ChannelRules,
    pub(crate) number: u64,
    policies: Mutex<HashMap<Bytes, Compiled>>,
}

type Compiled = Arc<Result<SignaturePolicy, CompileError>>;

impl BlockContext {
    pub(crate) fn new(state: Arc<dyn CommittedState>, rules: ChannelRules, number: u64) -> Self {
        Self {
            state,
            rules,
            number,
            policies: Mutex::default(),
        }
    }

    /// A policy, compiled at most once.
    fn policy(&self, bytes: &[u8]) -> Compiled {
        if let Some(known) = self.policies.lock().get(bytes) {
            return Arc::clone(known);
        }
        let bytes = Bytes::copy_from_slice(bytes);
        let compiled = Arc::new(SignaturePolicy::from_bytes(bytes.clone()));
        let mut policies = self.policies.lock();
        if policies.len() < MAX_POLICIES {
            policies.insert(bytes, Arc::clone(&compiled));
        }
        compiled
    }
}

/// A signature with what it is over.
#[derive(Clone, Copy, Debug)]
pub struct SignedParts<'a> {
    /// The signed message: the concatenation of these.
    pub parts: &'a [&'a [u8]],
    /// The signer, a serialized `msp.SerializedIdentity`.
    pub identity: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// A transaction under judgement, and the signers that were found in it. They are kept where more than one plugin will
/// ask for them.
pub(crate) struct Subject {
    pub(crate) block: Arc<BlockContext>,
    pub(crate) position: usize,
    pub(crate) bytes: Bytes,
    pub(crate) transaction: EndorserTransaction,
    pub(crate) action: Action,
    pub(crate) signers: Option<Mutex<Signers>>,
}

/// The identity behind a signature, none where it is wrong; by the hash of everything that decides that.
pub(crate) type Signers = HashMap<[u8; 32], Option<Arc<Identity>>>;

impl Subject {
    /// The identity that really made a signature.
    fn signer(&self, signed: &SignedParts<'_>) -> Option<Arc<Identity>> {
        let Some(signers) = &self.signers else {
            return self.verified(signed).ok();
        };
        let lengths = [signed.identity.len(), signed.signature.len()].map(|length| length.to_le_bytes());
        let mut whole: Vec<&[u8]> = lengths.iter().map(<[u8; 8]>::as_slice).collect();
        whole.extend([signed.identity, signed.signature]);
        whole.extend(signed.parts);
        let key = sha256(&whole);
        if let Some(known) = signers.lock().get(&key) {
            return known.clone();
        }
        let signer = self.verified(signed).ok();
        signers.lock().insert(key, signer.clone());
        signer
    }

    fn verified(&self, signed: &SignedParts<'_>) -> Result<Arc<Identity>, String> {
        let refused = |what: &str, error: &(dyn std::error::Error + 'static)| {
            let error = wire_message(error);
            tracing::warn!(error, "{what} in signature set");
            error
        };
        let identity = self.block.rules.msps.deserialize(signed.identity);
        let identity = identity.map_err(|error| refused("invalid identity", &error))?;
        identity
            .verify_parts(signed.parts, signed.signature)
            .map_err(|error| refused("invalid signature", &error))?;
        Ok(identity)
    }

    /// The identities that really signed, each once.
    fn identities(&self, signed: &[SignedParts<'_>]) -> Vec<Arc<Identity>> {
        let mut seen = HashSet::new();
        let mut identities = Vec::with_capacity(signed.len());
        for signed in signed {
            let Some(identity) = self.signer(signed) else {
                continue;
            };
            if seen.insert((Arc::clone(identity.msp_id()), identity.id().to_owned())) {
                identities.push(identity);
            }
        }
        identities
    }
}

/// A transaction in one namespace. Cloning counts a reference.
#[derive(Clone)]
pub struct ActionContext {
    inner: Arc<Inner>,
}

struct Inner {
    subject: Arc<Subject>,
    namespace: String,
    policy: Bytes,
    sets: Mutex<Vec<Arc<[Arc<Identity>]>>>,
    asked: Mutex<Asked>,
}

/// What a plugin asked the ledger.
#[derive(Default)]
pub(crate) struct Asked {
    /// Keys whose metadata the verdict rests on, by namespace.
    pub(crate) metadata: Vec<(String, WrittenKey)>,
    /// The ledger's first failure: no verdict holds after it.
    pub(crate) failure: Option<SourceError>,
}

impl ActionContext {
    pub(crate) fn new(subject: Arc<Subject>, namespace: String, policy: Bytes) -> Self {
        Self {
            inner: Arc::new(Inner {
                subject,
                namespace,
                policy,
                sets: Mutex::default(),
                asked: Mutex::default(),
            }),
        }
    }

    /// What was asked since the last call of this.
    pub(crate) fn asked(&self) -> Asked {
        std::mem::take(&mut self.inner.asked.lock())
    }

    fn subject(&self) -> &Subject {
        &self.inner.subject
    }

    /// The channel.
    #[must_use]
    pub fn channel_id(&self) -> &str {
        self.subject().block.rules.channel.as_str()
    }

    /// The block's number.
    #[must_use]
    pub fn block_number(&self) -> u64 {
        self.subject().block.number
    }

    /// The transaction's place in its block.
    #[must_use]
    pub fn tx_position(&self) -> u64 {
        u64::try_from(self.subject().position).unwrap_or(u64::MAX)
    }

    /// The transaction's id.
    #[must_use]
    pub fn tx_id(&self) -> &str {
        &self.subject().transaction.envelope.channel_header.tx_id
    }

    /// The chaincode that was invoked.
    #[must_use]
    pub fn chaincode_name(&self) -> &str {
        &self.subject().action.chaincode
    }

    /// The namespace to judge.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.inner.namespace
    }

    /// What the definition of the namespace's chaincode says to its plugin.
    #[must_use]
    pub fn policy(&self) -> &[u8] {
        &self.inner.policy
    }

    /// The whole transaction.
    #[must_use]
    pub fn envelope(&self) -> Bytes {
        self.subject().bytes.clone()
    }

    /// What the creator signed.
    #[must_use]
    pub fn signed_payload(&self) -> &[u8] {
        &self.subject().transaction.envelope.payload_bytes
    }

    /// The creator's serialized identity.
    #[must_use]
    pub fn creator(&self) -> &[u8] {
        &self.subject().transaction.envelope.signature_header.creator
    }

    /// The creator's signature; it is right.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.subject().transaction.envelope.signature
    }

    /// The chaincode proposal payload without transient data.
    #[must_use]
    pub fn proposal_payload(&self) -> &[u8] {
        &self.subject().transaction.proposal_payload
    }

    /// The bytes that were endorsed.
    #[must_use]
    pub fn response_payload(&self) -> &[u8] {
        &self.subject().transaction.response_payload
    }

    /// The encoded read-write set.
    #[must_use]
    pub fn results(&self) -> Bytes {
        self.subject().action.results.clone()
    }

    /// How many endorsements there are.
    #[must_use]
    pub fn endorsements_len(&self) -> usize {
        self.subject().transaction.endorsements.len()
    }

    /// Endorser and signature of an endorsement.
    #[must_use]
    pub fn endorsement(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let endorsement = self.subject().transaction.endorsements.get(index)?;
        Some((&endorsement.endorser, &endorsement.signature))
    }

    /// Whether the channel has a capability; false for unknown ones. The names are Fabric's.
    #[must_use]
    pub fn has_capability(&self, name: &str) -> bool {
        self.subject().block.rules.capabilities.has(name)
    }

    /// The committed value of a key.
    ///
    /// # Errors
    /// When the ledger cannot be read; the verdict does not count any more then.
    pub fn state(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, String> {
        self.read(self.subject().block.state.state(namespace, key))
    }

    /// A committed metadata entry of a key. What an earlier transaction of the block sets makes this one invalid.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn state_metadata(&self, namespace: &str, key: &str, entry: &str) -> Result<Option<Bytes>, String> {
        self.ask(namespace, WrittenKey::Public(key.to_owned()));
        self.read(self.subject().block.state.state_metadata(namespace, key, entry))
    }

    /// A committed metadata entry of a key of a private collection.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn private_metadata(
        &self,
        namespace: &str,
        collection: &str,
        key_hash: &[u8],
        entry: &str,
    ) -> Result<Option<Bytes>, String> {
        let key = WrittenKey::Hashed {
            collection: collection.to_owned(),
            hash: Bytes::copy_from_slice(key_hash),
        };
        self.ask(namespace, key);
        let state = &self.subject().block.state;
        self.read(state.private_metadata(namespace, collection, key_hash, entry))
    }

    /// Finds out who really signed, and keeps them for [`ActionContext::satisfies`] under the number that it returns.
    /// Wrong signatures and repeated signers do not count.
    ///
    /// # Errors
    /// When there are too many sets of signers.
    pub fn signers(&self, signed: &[SignedParts<'_>]) -> Result<usize, String> {
        let identities = self.subject().identities(signed).into();
        let mut sets = self.inner.sets.lock();
        if sets.len() >= MAX_SETS {
            return Err(format!("more than {MAX_SETS} sets of signers for one action"));
        }
        sets.push(identities);
        Ok(sets.len() - 1)
    }

    /// Whether signers satisfy an encoded `SignaturePolicyEnvelope`; the inner error says why not.
    ///
    /// # Errors
    /// When there are no signers of this number.
    pub fn satisfies(&self, signers: usize, policy: &[u8]) -> Result<Result<(), String>, String> {
        let identities = self.inner.sets.lock().get(signers).cloned();
        let identities = identities.ok_or("no such set of signers")?;
        let policy = self.subject().block.policy(policy);
        Ok(match &*policy {
            Ok(policy) => policy
                .evaluate_identities(&identities)
                .map_err(|error| wire_message(&error)),
            Err(error) => Err(wire_message(error)),
        })
    }

    /// Whether an identity of the channel signed.
    ///
    /// # Errors
    /// Why it did not.
    pub fn verify(&self, signed: &SignedParts<'_>) -> Result<(), String> {
        self.subject().verified(signed).map(drop)
    }

    /// Whether an identity is valid and what an encoded `MSPPrincipal` describes.
    ///
    /// # Errors
    /// Why it is not.
    pub fn satisfies_principal(&self, identity: &[u8], principal: &[u8]) -> Result<(), String> {
        let principal = MspPrincipal::decode(principal).map_err(|error| error.to_string())?;
        let identity = self.subject().block.rules.msps.deserialize(identity);
        let identity = identity.map_err(|error| wire_message(&error))?;
        identity.validate().map_err(|error| wire_message(&*error))?;
        identity
            .satisfies_principal(&principal)
            .map_err(|error| wire_message(&*error))
    }

    fn ask(&self, namespace: &str, key: WrittenKey) {
        self.inner.asked.lock().metadata.push((namespace.to_owned(), key));
    }

    fn read(&self, read: Result<Option<Bytes>, SourceError>) -> Result<Option<Bytes>, String> {
        read.map_err(|source| {
            let text = format!("could not read the ledger: {}", wire_message(&*source));
            self.inner.asked.lock().failure.get_or_insert(source);
            text
        })
    }
}

impl std::fmt::Debug for ActionContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ActionContext")
            .field("tx_id", &self.tx_id())
            .field("namespace", &self.namespace())
            .finish_non_exhaustive()
    }
}
