//! [`Endorsement`]: puts the peer's word under what a chaincode came to.

#![allow(
    missing_docs,
    clippy::all,
    elided_lifetimes_in_paths,
    non_local_definitions,
    clippy::allow_attributes_without_reason,
    reason = "code that the sabi_trait macro generates"
)]

use crate::error::{Ext, Res, Result};
use crate::guard::{Instance, guard};
use crate::request::Request;
use crate::shared_bytes::SharedBytes;
use abi_stable::StableAbi;
use abi_stable::erased_types::TD_Opaque;
use abi_stable::sabi_trait;
use abi_stable::std_types::{RArc, RBox, ROption, RSlice, RStr};

/// What an endorsement plugin made: the two fields of `protos.Endorsement`, and the payload if it is another one.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct Endorsed {
    /// Who endorses: an encoded `msp.SerializedIdentity`. At most 64 KiB.
    pub endorser: SharedBytes,
    /// What the default verifies over payload and endorser. At most 64 KiB, not empty.
    pub signature: SharedBytes,
    /// The `ProposalResponsePayload` that the client gets instead of the given one. It has to answer the same
    /// proposal. None: the given one.
    pub payload: ROption<SharedBytes>,
    /// Room for later.
    pub ext: Ext,
}

impl Endorsed {
    /// An endorsement of the payload as it was given.
    pub fn new(endorser: SharedBytes, signature: SharedBytes) -> Self {
        Self {
            endorser,
            signature,
            payload: ROption::RNone,
            ext: Ext::new(),
        }
    }

    /// The same, of another payload.
    pub fn with_payload(self, payload: SharedBytes) -> Self {
        Self {
            payload: ROption::RSome(payload),
            ..self
        }
    }
}

/// The peer as it endorses: its identity, its key, the committed state of the proposal's channel.
#[sabi_trait]
pub trait SigningPeer: Send + Sync + Clone {
    /// The peer's identity as an encoded `msp.SerializedIdentity`.
    fn serialized_identity(&self) -> SharedBytes;
    /// Signs the concatenation of the parts with the peer's key: ECDSA over SHA-256, DER, low S.
    fn sign(&self, parts: RSlice<'_, RSlice<'_, u8>>) -> Res<SharedBytes>;
    /// The committed value of a key, none where there is none. An error without a channel.
    #[sabi(last_prefix_field)]
    fn state(&self, namespace: RStr<'_>, key: RStr<'_>) -> Res<ROption<SharedBytes>>;
}

/// The endorsing peer as plugins get it, for one call; cloning counts a reference.
pub type SigningPeerRef = SigningPeer_TO<'static, RArc<()>>;

impl SigningPeer_TO<'static, RArc<()>> {
    /// [`SigningPeer::sign`] in ordinary types.
    pub fn sign_parts(&self, parts: &[&[u8]]) -> Result<SharedBytes> {
        let parts: Vec<RSlice<'_, u8>> = parts.iter().map(|part| RSlice::from_slice(part)).collect();
        self.sign(RSlice::from_slice(&parts)).into_result()
    }
}

/// The border's side of endorsement plugins. Authors write [`Endorsement`] instead.
#[sabi_trait]
pub trait EndorsementPlugin: Send + Sync {
    /// Endorses one payload.
    #[sabi(last_prefix_field)]
    fn endorse(&self, request: &Request, payload: &SharedBytes, peer: &SigningPeerRef) -> Res<Endorsed>;
}

/// An endorsement plugin as the peer holds it.
pub type EndorsementObject = EndorsementPlugin_TO<'static, RBox<()>>;

/// Endorses what a chaincode came to, as Fabric's `Plugin.Endorse`. A chaincode's definition names the plugin that
/// endorses its proposals: the key below `peer.handlers.endorsers`.
///
/// Called with proposals whose chaincode answered with a status below 400, on a thread that may block.
pub trait Endorsement: Send + Sync + 'static {
    /// Endorses `payload`, an encoded `protos.ProposalResponsePayload` whose proposal `request` is. An error fails the
    /// proposal with its text.
    fn endorse(&self, request: &Request, payload: &SharedBytes, peer: &SigningPeerRef) -> Result<Endorsed>;
}

struct EndorsementAdapter<T>(Instance<T>);

/// Puts an author's endorsement plugin behind the border.
pub fn endorsement_object<T: Endorsement>(endorsement: T) -> EndorsementObject {
    EndorsementPlugin_TO::from_value(EndorsementAdapter(Instance::new(endorsement)), TD_Opaque)
}

impl<T: Endorsement> EndorsementPlugin for EndorsementAdapter<T> {
    fn endorse(&self, request: &Request, payload: &SharedBytes, peer: &SigningPeerRef) -> Res<Endorsed> {
        guard(|| self.0.get().endorse(request, payload, peer))
    }
}
