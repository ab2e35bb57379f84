//! [`Validation`]: says whether what a committed transaction did in one namespace is valid.

#![allow(
    missing_docs,
    clippy::all,
    elided_lifetimes_in_paths,
    non_local_definitions,
    clippy::allow_attributes_without_reason,
    reason = "code that the sabi_trait macro generates"
)]

use crate::error::{Ext, PluginError, Res, Result};
use crate::guard::{Instance, guard};
use crate::shared_bytes::SharedBytes;
use abi_stable::StableAbi;
use abi_stable::erased_types::TD_Opaque;
use abi_stable::sabi_trait;
use abi_stable::std_types::{RArc, RBox, ROption, RSlice, RStr, RString, Tuple2};

/// Whether a transaction is valid; any other number is the plugin's failure.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity(pub u32);

impl Validity {
    /// Valid in this namespace.
    pub const VALID: Self = Self(1);
    /// Invalid; the transaction gets the code `ENDORSEMENT_POLICY_FAILURE`.
    pub const INVALID: Self = Self(2);
}

/// A verdict as it crosses the border.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct Judgement {
    /// The verdict.
    pub validity: Validity,
    /// Why, for the log.
    pub reason: RString,
    /// Room for later.
    pub ext: Ext,
}

/// A signature with what it is over, borrowed for one call.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct SignedBytes<'a> {
    /// The signed message: the concatenation of these.
    pub parts: RSlice<'a, RSlice<'a, u8>>,
    /// The signer, an encoded `msp.SerializedIdentity`.
    pub identity: RSlice<'a, u8>,
    /// The signature.
    pub signature: RSlice<'a, u8>,
}

/// One action of a transaction in one of the namespaces that it writes (or invokes), and what a verdict may depend on:
/// the state before the block, the channel's configuration. Implemented by the peer. Everything in here is the same on
/// every peer, so that verdicts are. An error of a method is the peer's own failure: hand it on.
#[sabi_trait]
pub trait ActionView: Send + Sync + Clone {
    /// The channel.
    fn channel_id(&self) -> RStr<'_>;
    /// The block's number.
    fn block_number(&self) -> u64;
    /// The transaction's place in the block, from 0.
    fn tx_position(&self) -> u64;
    /// The transaction's id.
    fn tx_id(&self) -> RStr<'_>;
    /// The chaincode that the proposal addressed.
    fn chaincode_name(&self) -> RStr<'_>;
    /// The namespace to judge; others have plugins of their own.
    fn namespace(&self) -> RStr<'_>;
    /// What the definition of the namespace's chaincode says to its plugin: to the default, an encoded
    /// `SignaturePolicyEnvelope`.
    fn policy(&self) -> RSlice<'_, u8>;
    /// The whole transaction, an encoded `common.Envelope`. Its headers, ids and hashes are in order.
    fn envelope(&self) -> SharedBytes;
    /// `Envelope.payload`, which the creator signed.
    fn signed_payload(&self) -> RSlice<'_, u8>;
    /// The creator, an encoded `msp.SerializedIdentity`.
    fn creator(&self) -> RSlice<'_, u8>;
    /// `Envelope.signature`, the creator's; it is right.
    fn signature(&self) -> RSlice<'_, u8>;
    /// `ChaincodeActionPayload.chaincode_proposal_payload`: what was proposed, without transient data.
    fn proposal_payload(&self) -> RSlice<'_, u8>;
    /// The encoded `ProposalResponsePayload` that was endorsed.
    fn response_payload(&self) -> RSlice<'_, u8>;
    /// `ChaincodeAction.results`, an encoded `rwset.TxReadWriteSet` in which no namespace comes twice.
    fn results(&self) -> SharedBytes;
    /// How many endorsements there are.
    fn endorsements_len(&self) -> usize;
    /// Endorser and signature of the endorsement at `index`; both empty past the end.
    fn endorsement(&self, index: usize) -> Tuple2<RSlice<'_, u8>, RSlice<'_, u8>>;
    /// Whether the channel's application capabilities switch something on, by Fabric's names:
    /// `ForbidDuplicateTXIdInBlock`, `PrivateChannelData`, `V1_1Validation`, `V1_2Validation`, `V1_3Validation`,
    /// `KeyLevelEndorsement`, `V2_0Validation`, `LifecycleV20`. False for names that the peer does not know.
    fn has_capability(&self, name: RStr<'_>) -> bool;
    /// The value of a key before this block.
    fn state(&self, namespace: RStr<'_>, key: RStr<'_>) -> Res<ROption<SharedBytes>>;
    /// One metadata entry of a key before this block, such as `VALIDATION_PARAMETER`. A verdict "valid" that asked for a
    /// key's metadata does not count if an earlier transaction of the block sets it: the transaction is invalid then.
    fn state_metadata(
        &self,
        namespace: RStr<'_>,
        key: RStr<'_>,
        entry: RStr<'_>,
    ) -> Res<ROption<SharedBytes>>;
    /// The same of a key of a private collection, by the key's hash.
    fn private_metadata(
        &self,
        namespace: RStr<'_>,
        collection: RStr<'_>,
        key_hash: RSlice<'_, u8>,
        entry: RStr<'_>,
    ) -> Res<ROption<SharedBytes>>;
    /// Finds out who really signed, and keeps them for [`ActionView::satisfies`] under the number that it returns. Wrong
    /// signatures and repeated signers do not count. At most 64 sets for one action.
    fn signers(&self, signed: RSlice<'_, SignedBytes<'_>>) -> Res<usize>;
    /// Whether a set of signers satisfies an encoded `SignaturePolicyEnvelope`; why not, if it does not.
    fn satisfies(&self, signers: usize, policy: RSlice<'_, u8>) -> Res<ROption<RString>>;
    /// Whether an identity of the channel signed; why not, if it did not.
    fn verify(&self, signed: SignedBytes<'_>) -> Res<ROption<RString>>;
    /// Whether a serialized identity is valid and what an encoded `MSPPrincipal` describes; why not, if it is not.
    #[sabi(last_prefix_field)]
    fn satisfies_principal(
        &self,
        identity: RSlice<'_, u8>,
        principal: RSlice<'_, u8>,
    ) -> Res<ROption<RString>>;
}

/// An action as plugins get it, for one call; cloning counts a reference.
pub type ActionRef = ActionView_TO<'static, RArc<()>>;

/// The border's side of validation plugins. Authors write [`Validation`] instead.
#[sabi_trait]
pub trait ValidationPlugin: Send + Sync {
    /// Judges one action in one namespace.
    #[sabi(last_prefix_field)]
    fn validate(&self, action: &ActionRef) -> Res<Judgement>;
}

/// A validation plugin as the peer holds it.
pub type ValidationObject = ValidationPlugin_TO<'static, RBox<()>>;

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Valid.
    Valid,
    /// Invalid, and why, for the log. The transaction stays in the block with the code `ENDORSEMENT_POLICY_FAILURE`.
    Invalid(String),
}

/// A signature with what it is over.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a> {
    /// The signed message: the concatenation of these two.
    pub message: [&'a [u8]; 2],
    /// The signer, an encoded `msp.SerializedIdentity`.
    pub identity: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

/// Those who really signed, known to the peer for one action.
#[derive(Debug)]
pub struct Signers(usize);

/// [`ActionView`] in ordinary types, for the methods that need it; the others are reached through `view`.
#[derive(Clone, Copy)]
pub struct Action<'a> {
    /// The peer's object.
    pub view: &'a ActionRef,
}

impl<'a> Action<'a> {
    /// The namespace to judge.
    pub fn namespace(&self) -> &'a str {
        self.view.namespace().as_str()
    }

    /// The chaincode that the proposal addressed.
    pub fn chaincode_name(&self) -> &'a str {
        self.view.chaincode_name().as_str()
    }

    /// The policy of the chaincode's definition.
    pub fn policy(&self) -> &'a [u8] {
        self.view.policy().as_slice()
    }

    /// Whether a capability of the channel is on.
    pub fn has_capability(&self, name: &str) -> bool {
        self.view.has_capability(name.into())
    }

    /// The endorsements, each over the response payload and its endorser.
    pub fn endorsements(&self) -> Vec<Signature<'a>> {
        let payload = self.view.response_payload().as_slice();
        let signed = |index| {
            let Tuple2(endorser, signature) = self.view.endorsement(index);
            Signature {
                message: [payload, endorser.as_slice()],
                identity: endorser.as_slice(),
                signature: signature.as_slice(),
            }
        };
        (0..self.view.endorsements_len()).map(signed).collect()
    }

    /// The creator's signature over the transaction.
    pub fn creator_signature(&self) -> Signature<'a> {
        Signature {
            message: [self.view.signed_payload().as_slice(), &[]],
            identity: self.view.creator().as_slice(),
            signature: self.view.signature().as_slice(),
        }
    }

    /// The value of a key before this block.
    pub fn state(&self, namespace: &str, key: &str) -> Result<Option<SharedBytes>> {
        let value = self.view.state(namespace.into(), key.into()).into_result()?;
        Ok(value.into_option())
    }

    /// A metadata entry of a key before this block.
    pub fn state_metadata(&self, namespace: &str, key: &str, entry: &str) -> Result<Option<SharedBytes>> {
        let value = self
            .view
            .state_metadata(namespace.into(), key.into(), entry.into());
        Ok(value.into_result()?.into_option())
    }

    /// A metadata entry of a private key, by the key's hash.
    pub fn private_metadata(
        &self,
        namespace: &str,
        collection: &str,
        key_hash: &[u8],
        entry: &str,
    ) -> Result<Option<SharedBytes>> {
        let (namespace, collection) = (namespace.into(), collection.into());
        let value = self
            .view
            .private_metadata(namespace, collection, key_hash.into(), entry.into());
        Ok(value.into_result()?.into_option())
    }

    /// Finds out who really signed; the peer keeps them for this action.
    pub fn signers(&self, signatures: &[Signature<'_>]) -> Result<Signers> {
        let messages: Vec<[RSlice<'_, u8>; 2]> = signatures
            .iter()
            .map(|signature| signature.message.map(RSlice::from_slice))
            .collect();
        let signed: Vec<SignedBytes<'_>> = signatures
            .iter()
            .zip(&messages)
            .map(|(signature, parts)| SignedBytes {
                parts: RSlice::from_slice(parts),
                identity: signature.identity.into(),
                signature: signature.signature.into(),
            })
            .collect();
        self.view
            .signers(RSlice::from_slice(&signed))
            .into_result()
            .map(Signers)
    }

    /// Whether signers satisfy a policy; the inner error says why not.
    pub fn satisfies(&self, signers: &Signers, policy: &[u8]) -> Result<std::result::Result<(), String>> {
        let refused = self.view.satisfies(signers.0, policy.into());
        Ok(match refused.into_result()?.into_option() {
            None => Ok(()),
            Some(reason) => Err(reason.into_string()),
        })
    }

    /// The two in one: for a policy that is the only one.
    pub fn evaluate(
        &self,
        policy: &[u8],
        signatures: &[Signature<'_>],
    ) -> Result<std::result::Result<(), String>> {
        self.satisfies(&self.signers(signatures)?, policy)
    }
}

/// Judges what transactions did, as Fabric's `Plugin.Validate`. A chaincode's definition names the plugin that judges
/// its namespace: the key below `peer.handlers.validators`.
///
/// Every peer of a channel must come to the same verdict: it may depend on nothing but the action. Called for the
/// transactions of a block in parallel, once for each namespace, on threads that may block.
pub trait Validation: Send + Sync + 'static {
    /// Judges `action`.
    ///
    /// # Errors
    /// When there can be no verdict (Fabric's `ExecutionFailureError`): the peer then stops committing to the channel
    /// until it is started again, since to guess would fork it. A panic and a passed deadline count as such.
    fn validate(&self, action: &Action<'_>) -> Result<Verdict>;
}

struct ValidationAdapter<T>(Instance<T>);

/// Puts an author's validation plugin behind the border.
pub fn validation_object<T: Validation>(validation: T) -> ValidationObject {
    ValidationPlugin_TO::from_value(ValidationAdapter(Instance::new(validation)), TD_Opaque)
}

impl<T: Validation> ValidationPlugin for ValidationAdapter<T> {
    fn validate(&self, action: &ActionRef) -> Res<Judgement> {
        guard(|| {
            let verdict = self.0.get().validate(&Action { view: action })?;
            Ok::<_, PluginError>(match verdict {
                Verdict::Valid => Judgement {
                    validity: Validity::VALID,
                    reason: RString::new(),
                    ext: Ext::new(),
                },
                Verdict::Invalid(reason) => Judgement {
                    validity: Validity::INVALID,
                    reason: reason.into(),
                    ext: Ext::new(),
                },
            })
        })
    }
}
