//! [`Validators`]: the validation plugins, by the name that chaincode definitions spell.

use crate::hook::Hook;
use crate::host::fenced;
use crate::instance::{Instance, Origin, PluginInfo};
use crate::loading::Named;
use crate::metrics::PluginStats;
use crate::rejection::bounded;
use abi_stable::erased_types::TD_Opaque;
use abi_stable::std_types::{RArc, ROption, RResult, RSlice, RStr, RString, Tuple2};
use bytes::Bytes;
use plugin_api::{
    ActionRef, ActionView, ActionView_TO, Code, PluginError, Res, SharedBytes, SignedBytes, ValidationObject,
    Validity,
};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// A signature with what it is over.
#[derive(Clone, Debug)]
pub struct Signed<'a> {
    /// The signed message: the concatenation of these.
    pub parts: Vec<&'a [u8]>,
    /// The signer's serialized identity.
    pub identity: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// One action of a transaction in one namespace, as `plugin_api::ActionView` describes it. The outer errors are the
/// peer's own failures, the inner ones say why something does not hold.
pub trait JudgedAction: Send + Sync {
    /// The channel.
    fn channel_id(&self) -> &str;
    /// The block's number.
    fn block_number(&self) -> u64;
    /// The transaction's place in the block.
    fn tx_position(&self) -> u64;
    /// The transaction's id.
    fn tx_id(&self) -> &str;
    /// The chaincode that was invoked.
    fn chaincode_name(&self) -> &str;
    /// The namespace to judge.
    fn namespace(&self) -> &str;
    /// What the definition says to the plugin.
    fn policy(&self) -> &[u8];
    /// The encoded envelope.
    fn envelope(&self) -> Bytes;
    /// What the creator signed.
    fn signed_payload(&self) -> &[u8];
    /// The creator's serialized identity.
    fn creator(&self) -> &[u8];
    /// The creator's signature.
    fn signature(&self) -> &[u8];
    /// The chaincode proposal payload without transient data.
    fn proposal_payload(&self) -> &[u8];
    /// The encoded proposal response payload.
    fn response_payload(&self) -> &[u8];
    /// The encoded read-write set.
    fn results(&self) -> Bytes;
    /// How many endorsements there are.
    fn endorsements_len(&self) -> usize;
    /// Endorser and signature, if there is an endorsement at `index`.
    fn endorsement(&self, index: usize) -> Option<(&[u8], &[u8])>;
    /// Whether a capability is on.
    fn has_capability(&self, name: &str) -> bool;
    /// The committed value of a key.
    fn state(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, String>;
    /// A committed metadata entry of a key.
    fn state_metadata(&self, namespace: &str, key: &str, entry: &str) -> Result<Option<Bytes>, String>;
    /// A committed metadata entry of a private key.
    fn private_metadata(
        &self,
        namespace: &str,
        collection: &str,
        key_hash: &[u8],
        entry: &str,
    ) -> Result<Option<Bytes>, String>;
    /// Finds out who really signed, and keeps them under a number.
    fn signers(&self, signed: &[Signed<'_>]) -> Result<usize, String>;
    /// Whether kept signers satisfy an encoded policy.
    fn satisfies(&self, signers: usize, policy: &[u8]) -> Result<Result<(), String>, String>;
    /// Whether an identity of the channel signed.
    fn verify(&self, signed: &Signed<'_>) -> Result<Result<(), String>, String>;
    /// Whether an identity is valid and what an encoded principal describes.
    fn satisfies_principal(&self, identity: &[u8], principal: &[u8]) -> Result<Result<(), String>, String>;
}

/// What a plugin says of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Valid.
    Valid,
    /// Invalid, and why.
    Invalid(String),
}

/// The plugin came to no verdict, for this reason. Nobody may guess one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ValidateError(pub String);

/// The configured validation plugins. Cloning counts references.
#[derive(Clone, Default)]
pub struct Validators {
    plugins: Arc<Named<ValidationObject>>,
}

impl fmt::Debug for Validators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.plugins.keys()).finish()
    }
}

impl Validators {
    pub(crate) fn new(plugins: Named<ValidationObject>) -> Self {
        Self {
            plugins: Arc::new(plugins),
        }
    }

    pub(crate) fn infos(&self) -> impl Iterator<Item = &PluginInfo> {
        self.plugins.values().map(|instance| &instance.info)
    }

    /// The instance that an entry of this name has, if it can go on as that.
    pub(crate) fn kept(&self, name: &str, origin: &Origin) -> Option<Arc<Instance<ValidationObject>>> {
        let mut instances = self.plugins.values();
        let kept = instances.find(|instance| instance.name == name && instance.goes_on_as(origin));
        kept.cloned()
    }

    pub(crate) fn stats(&self) -> impl Iterator<Item = PluginStats> {
        self.plugins.values().map(|instance| instance.stats())
    }

    /// The plugin of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Validator> {
        self.plugins.get(name).cloned().map(Validator)
    }
}

/// One validation plugin. Cloning counts a reference.
#[derive(Clone)]
pub struct Validator(Arc<Instance<ValidationObject>>);

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Validator").field(&self.0.name).finish()
    }
}

impl Validator {
    /// Judges an action. Blocks until there is a verdict or, with threads of the plugin's own, its deadline has passed.
    ///
    /// # Errors
    /// When the plugin fails, panics or is late.
    pub fn validate(&self, action: Arc<dyn JudgedAction>) -> Result<Verdict, ValidateError> {
        let instance = Arc::clone(&self.0);
        let judged = self.0.run_here(Hook::Validate, move |object| {
            let action: ActionRef = ActionView_TO::from_ptr(RArc::new(ActionHost(action)), TD_Opaque);
            let judgement = object.validate(&action).into_result();
            let verdict = judgement.and_then(|judgement| match judgement.validity {
                Validity::VALID => Ok(Verdict::Valid),
                Validity::INVALID => Ok(Verdict::Invalid(bounded(&judgement.reason))),
                Validity(_) => Err(instance.failure("returned what is no verdict")),
            });
            verdict.into()
        });
        judged.map_err(|error| ValidateError(bounded(&error.message)))
    }
}

/// A panic in here would cross the border and end the process.
#[derive(Clone)]
struct ActionHost(Arc<dyn JudgedAction>);

fn broken<T>() -> Res<T> {
    RResult::RErr(PluginError::new(Code::INTERNAL, "the peer failed"))
}

fn failure(text: String) -> PluginError {
    PluginError::new(Code::INTERNAL, text)
}

fn value(read: Result<Option<Bytes>, String>) -> Res<ROption<SharedBytes>> {
    read.map(|value| value.map(SharedBytes::from_owner).into())
        .map_err(failure)
        .into()
}

fn refusal(answer: Result<Result<(), String>, String>) -> Res<ROption<RString>> {
    answer
        .map(|held| held.err().map(RString::from).into())
        .map_err(failure)
        .into()
}

fn signed<'a>(bytes: &SignedBytes<'a>) -> Signed<'a> {
    Signed {
        parts: bytes
            .parts
            .as_slice()
            .iter()
            .map(|part| part.as_slice())
            .collect(),
        identity: bytes.identity.as_slice(),
        signature: bytes.signature.as_slice(),
    }
}

impl ActionView for ActionHost {
    fn channel_id(&self) -> RStr<'_> {
        self.0.channel_id().into()
    }

    fn block_number(&self) -> u64 {
        self.0.block_number()
    }

    fn tx_position(&self) -> u64 {
        self.0.tx_position()
    }

    fn tx_id(&self) -> RStr<'_> {
        self.0.tx_id().into()
    }

    fn chaincode_name(&self) -> RStr<'_> {
        self.0.chaincode_name().into()
    }

    fn namespace(&self) -> RStr<'_> {
        self.0.namespace().into()
    }

    fn policy(&self) -> RSlice<'_, u8> {
        self.0.policy().into()
    }

    fn envelope(&self) -> SharedBytes {
        SharedBytes::from_owner(self.0.envelope())
    }

    fn signed_payload(&self) -> RSlice<'_, u8> {
        self.0.signed_payload().into()
    }

    fn creator(&self) -> RSlice<'_, u8> {
        self.0.creator().into()
    }

    fn signature(&self) -> RSlice<'_, u8> {
        self.0.signature().into()
    }

    fn proposal_payload(&self) -> RSlice<'_, u8> {
        self.0.proposal_payload().into()
    }

    fn response_payload(&self) -> RSlice<'_, u8> {
        self.0.response_payload().into()
    }

    fn results(&self) -> SharedBytes {
        SharedBytes::from_owner(self.0.results())
    }

    fn endorsements_len(&self) -> usize {
        self.0.endorsements_len()
    }

    fn endorsement(&self, index: usize) -> Tuple2<RSlice<'_, u8>, RSlice<'_, u8>> {
        let (endorser, signature) = self.0.endorsement(index).unwrap_or_default();
        Tuple2(endorser.into(), signature.into())
    }

    fn has_capability(&self, name: RStr<'_>) -> bool {
        self.0.has_capability(name.as_str())
    }

    fn state(&self, namespace: RStr<'_>, key: RStr<'_>) -> Res<ROption<SharedBytes>> {
        fenced(broken, || value(self.0.state(namespace.as_str(), key.as_str())))
    }

    fn state_metadata(
        &self,
        namespace: RStr<'_>,
        key: RStr<'_>,
        entry: RStr<'_>,
    ) -> Res<ROption<SharedBytes>> {
        fenced(broken, || {
            value(
                self.0
                    .state_metadata(namespace.as_str(), key.as_str(), entry.as_str()),
            )
        })
    }

    fn private_metadata(
        &self,
        namespace: RStr<'_>,
        collection: RStr<'_>,
        key_hash: RSlice<'_, u8>,
        entry: RStr<'_>,
    ) -> Res<ROption<SharedBytes>> {
        fenced(broken, || {
            value(self.0.private_metadata(
                namespace.as_str(),
                collection.as_str(),
                key_hash.as_slice(),
                entry.as_str(),
            ))
        })
    }

    fn signers(&self, signatures: RSlice<'_, SignedBytes<'_>>) -> Res<usize> {
        fenced(broken, || {
            let signatures: Vec<Signed<'_>> = signatures.iter().map(signed).collect();
            self.0.signers(&signatures).map_err(failure).into()
        })
    }

    fn satisfies(&self, signers: usize, policy: RSlice<'_, u8>) -> Res<ROption<RString>> {
        fenced(broken, || refusal(self.0.satisfies(signers, policy.as_slice())))
    }

    fn verify(&self, signature: SignedBytes<'_>) -> Res<ROption<RString>> {
        fenced(broken, || refusal(self.0.verify(&signed(&signature))))
    }

    fn satisfies_principal(
        &self,
        identity: RSlice<'_, u8>,
        principal: RSlice<'_, u8>,
    ) -> Res<ROption<RString>> {
        fenced(broken, || {
            refusal(
                self.0
                    .satisfies_principal(identity.as_slice(), principal.as_slice()),
            )
        })
    }
}
