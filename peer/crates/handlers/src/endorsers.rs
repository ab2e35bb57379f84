//! [`Endorsers`]: the endorsement plugins, by the name that chaincode definitions spell.

use crate::config::Executor;
use crate::hook::Hook;
use crate::host::fenced;
use crate::instance::{Instance, Origin, PluginInfo};
use crate::loading::Named;
use crate::metrics::PluginStats;
use crate::rejection::bounded;
use crate::request::{ParsedRequest, view};
use abi_stable::erased_types::TD_Opaque;
use abi_stable::std_types::{RArc, ROption, RResult, RSlice, RStr};
use bytes::Bytes;
use plugin_api::{
    Code, EndorsementObject, PluginError, Res, SharedBytes, SigningPeer, SigningPeer_TO, SigningPeerRef,
};
use prost::Message;
use protos::msp::SerializedIdentity;
use protos::peer::ProposalResponsePayload;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// Largest endorser and largest signature that are taken, in bytes: an identity has about one KiB.
const MAX_PART: usize = 65_536;
/// Largest payload that is taken: nothing larger reaches a client.
const MAX_PAYLOAD: usize = protos::MAX_MESSAGE_SIZE;

/// The peer as it endorses one proposal. Errors are texts: the plugin sees them.
pub trait EndorsingPeer: Send + Sync {
    /// The peer's serialized identity.
    fn serialized_identity(&self) -> Bytes;
    /// Signs the concatenation of the parts with the peer's key.
    fn sign(&self, parts: &[&[u8]]) -> Result<Bytes, String>;
    /// The committed value of a key of the proposal's channel.
    fn state(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, String>;
}

/// What a plugin made of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endorsed {
    /// The endorser's serialized identity.
    pub endorser: Bytes,
    /// The signature.
    pub signature: Bytes,
    /// The payload that was endorsed, if it is not the given one.
    pub payload: Option<Bytes>,
}

/// Why there is no endorsement.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EndorseError {
    /// No plugin has this name.
    #[error("plugin with name {0} wasn't found")]
    Unknown(String),
    /// The plugin failed, refused or returned what is no endorsement.
    #[error("{0}")]
    Failed(String),
}

/// The configured endorsement plugins. Cloning counts references.
#[derive(Clone, Default)]
pub struct Endorsers {
    plugins: Arc<Named<EndorsementObject>>,
}

impl fmt::Debug for Endorsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.plugins.keys()).finish()
    }
}

/// One call.
struct Call {
    request: Arc<ParsedRequest>,
    payload: Bytes,
    peer: Arc<dyn EndorsingPeer>,
}

impl Endorsers {
    pub(crate) fn new(plugins: Named<EndorsementObject>) -> Self {
        Self {
            plugins: Arc::new(plugins),
        }
    }

    pub(crate) fn infos(&self) -> impl Iterator<Item = &PluginInfo> {
        self.plugins.values().map(|instance| &instance.info)
    }

    /// The instance that an entry of this name has, if it can go on as that.
    pub(crate) fn kept(&self, name: &str, origin: &Origin) -> Option<Arc<Instance<EndorsementObject>>> {
        let mut instances = self.plugins.values();
        let kept = instances.find(|instance| instance.name == name && instance.goes_on_as(origin));
        kept.cloned()
    }

    pub(crate) fn stats(&self) -> impl Iterator<Item = PluginStats> {
        self.plugins.values().map(|instance| instance.stats())
    }

    /// Whether there is a plugin of this name.
    #[must_use]
    pub fn contains(&self, plugin: &str) -> bool {
        self.plugins.contains_key(plugin)
    }

    /// Endorses on this thread, where blocking is allowed. `None`: the plugin has threads of its own, and
    /// [`Endorsers::endorse`] waits for them.
    pub fn endorse_here(
        &self,
        plugin: &str,
        request: &Arc<ParsedRequest>,
        payload: &Bytes,
        peer: &Arc<dyn EndorsingPeer>,
    ) -> Option<Result<Endorsed, EndorseError>> {
        let instance = match self.instance(plugin) {
            Ok(instance) => instance,
            Err(unknown) => return Some(Err(unknown)),
        };
        if instance.info.executor == Executor::Isolated {
            return None;
        }
        let call = Call::new(request, payload, peer);
        let named = Arc::clone(instance);
        Some(
            instance
                .run_here(Hook::Endorse, move |object| call.make(&named, object))
                .map_err(failed),
        )
    }

    /// Endorses on the plugin's own threads.
    ///
    /// # Errors
    /// When there is no plugin of that name, or it makes no endorsement.
    pub async fn endorse(
        &self,
        plugin: &str,
        request: &Arc<ParsedRequest>,
        payload: &Bytes,
        peer: &Arc<dyn EndorsingPeer>,
    ) -> Result<Endorsed, EndorseError> {
        let instance = self.instance(plugin)?;
        let call = Call::new(request, payload, peer);
        let made = instance.run_blocking(Hook::Endorse, instance.timeout, move |instance| {
            instance
                .call(|object| call.make(instance, object).into_result())
                .and_then(|made| made)
                .into()
        });
        made.await.map_err(failed)
    }

    fn instance(&self, plugin: &str) -> Result<&Arc<Instance<EndorsementObject>>, EndorseError> {
        let instance = self.plugins.get(plugin);
        instance.ok_or_else(|| EndorseError::Unknown(plugin.to_owned()))
    }
}

fn failed(error: PluginError) -> EndorseError {
    EndorseError::Failed(bounded(&error.message))
}

impl Call {
    fn new(request: &Arc<ParsedRequest>, payload: &Bytes, peer: &Arc<dyn EndorsingPeer>) -> Self {
        Self {
            request: Arc::clone(request),
            payload: payload.clone(),
            peer: Arc::clone(peer),
        }
    }

    fn make(self, instance: &Instance<EndorsementObject>, object: &EndorsementObject) -> Res<Endorsed> {
        let payload = SharedBytes::from_owner(self.payload.clone());
        let host: SigningPeerRef = SigningPeer_TO::from_ptr(RArc::new(PeerHost(self.peer)), TD_Opaque);
        let made = object.endorse(&view(&self.request), &payload, &host);
        let made = made.into_result().and_then(|made| {
            let made = Endorsed {
                endorser: own(made.endorser, MAX_PART),
                signature: own(made.signature, MAX_PART),
                payload: made
                    .payload
                    .into_option()
                    .map(|payload| own(payload, MAX_PAYLOAD)),
            };
            match fault(&self.payload, &made) {
                None => Ok(made),
                Some(fault) => Err(instance.failure(fault)),
            }
        });
        made.into()
    }
}

/// A copy: the plugin's own bytes would be freed by code of the plugin, on whichever thread has them last. What is too
/// large is not copied, and refused in here.
fn own(bytes: SharedBytes, limit: usize) -> Bytes {
    if bytes.len() > limit {
        return Bytes::from_owner(bytes);
    }
    Bytes::copy_from_slice(&bytes)
}

/// What is wrong with an endorsement: nobody could use it, and the client must not find that out at the commit.
fn fault(given: &Bytes, made: &Endorsed) -> Option<&'static str> {
    if made.signature.is_empty() || made.signature.len() > MAX_PART {
        return Some("returned a signature that is empty or too large");
    }
    let identity = |endorser: &Bytes| {
        SerializedIdentity::decode(endorser.clone()).is_ok_and(|identity| !identity.mspid.is_empty())
    };
    if made.endorser.len() > MAX_PART || !identity(&made.endorser) {
        return Some("returned an endorser that is no identity");
    }
    let payload = made.payload.as_ref()?;
    if payload.len() > MAX_PAYLOAD {
        return Some("returned a payload that is too large");
    }
    let hash = |payload: &Bytes| {
        ProposalResponsePayload::decode(payload.clone())
            .ok()
            .map(|payload| payload.proposal_hash)
    };
    match hash(payload) {
        None => Some("returned a payload that is no ProposalResponsePayload"),
        answered if answered != hash(given) => Some("returned a payload that answers another proposal"),
        Some(_) => None,
    }
}

/// A panic in here would cross the border and end the process.
#[derive(Clone)]
struct PeerHost(Arc<dyn EndorsingPeer>);

fn broken<T>() -> Res<T> {
    RResult::RErr(PluginError::new(Code::INTERNAL, "the peer failed"))
}

fn answered<T>(answer: Result<T, String>) -> Res<T> {
    answer
        .map_err(|text| PluginError::new(Code::INTERNAL, text))
        .into()
}

impl SigningPeer for PeerHost {
    fn serialized_identity(&self) -> SharedBytes {
        fenced(SharedBytes::empty, || {
            SharedBytes::from_owner(self.0.serialized_identity())
        })
    }

    fn sign(&self, parts: RSlice<'_, RSlice<'_, u8>>) -> Res<SharedBytes> {
        fenced(broken, || {
            let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_slice()).collect();
            answered(self.0.sign(&parts).map(SharedBytes::from_owner))
        })
    }

    fn state(&self, namespace: RStr<'_>, key: RStr<'_>) -> Res<ROption<SharedBytes>> {
        fenced(broken, || {
            let value = self.0.state(namespace.as_str(), key.as_str());
            answered(value.map(|value| value.map(SharedBytes::from_owner).into()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(hash: &'static [u8], extension: &'static [u8]) -> Bytes {
        let payload = ProposalResponsePayload {
            proposal_hash: hash.into(),
            extension: extension.into(),
        };
        payload.encode_to_vec().into()
    }

    #[test]
    fn what_is_no_endorsement_is_refused() {
        let given = payload(b"hash", b"action");
        let identity = SerializedIdentity {
            mspid: "Org1MSP".into(),
            id_bytes: "certificate".into(),
        };
        let good = Endorsed {
            endorser: identity.encode_to_vec().into(),
            signature: "signature".into(),
            payload: None,
        };
        let with_payload = |payload: Bytes| Endorsed {
            payload: Some(payload),
            ..good.clone()
        };
        let with_signature = |signature: Vec<u8>| Endorsed {
            signature: signature.into(),
            ..good.clone()
        };
        let with_endorser = |endorser: Vec<u8>| Endorsed {
            endorser: endorser.into(),
            ..good.clone()
        };
        assert_eq!(fault(&given, &good), None);
        assert_eq!(fault(&given, &with_payload(payload(b"hash", b"other"))), None);
        for (bad, expected) in [
            (with_signature(Vec::new()), "signature"),
            (with_signature(vec![0; MAX_PART + 1]), "signature"),
            (with_endorser(Vec::new()), "endorser"),
            (with_endorser(b"\xff".to_vec()), "endorser"),
            (with_endorser(vec![0x12; MAX_PART + 2]), "endorser"),
            (
                with_payload(Bytes::from_static(b"\xff")),
                "no ProposalResponsePayload",
            ),
            (with_payload(Bytes::new()), "another proposal"),
            (with_payload(payload(b"hush", b"action")), "another proposal"),
        ] {
            let fault = fault(&given, &bad).unwrap();
            assert!(fault.contains(expected), "{fault}");
        }
    }
}
