//! What an endorsement says, and what endorsement plugins get to put their word under it.

use std::sync::Arc;

use bytes::Bytes;
use chaincode::ExecuteOutcome;
use channel::Channels;
use msp::SignError;
use prost::Message;
use protos::peer::{ChaincodeAction, ChaincodeId, ProposalResponsePayload};
use protos::{ChannelId, UnpackedProposal, wire_message};

/// The bytes that endorsers sign: the same on every peer that came to the same results.
pub(crate) fn response_payload(
    proposal: &UnpackedProposal,
    version: &str,
    outcome: &ExecuteOutcome,
    results: Bytes,
) -> Bytes {
    let action = ChaincodeAction {
        results,
        events: outcome
            .event
            .as_ref()
            .map(Message::encode_to_vec)
            .unwrap_or_default()
            .into(),
        response: Some(outcome.response.clone()),
        chaincode_id: Some(ChaincodeId {
            name: proposal.chaincode.clone(),
            version: version.to_owned(),
            ..Default::default()
        }),
    };
    let payload = ProposalResponsePayload {
        proposal_hash: Bytes::copy_from_slice(&proposal.proposal_hash),
        extension: action.encode_to_vec().into(),
    };
    payload.encode_to_vec().into()
}

/// The peer as it endorses one proposal: its identity, its key, the committed state of the proposal's channel. Cloning
/// counts references.
#[derive(Clone)]
pub struct EndorsingPeer {
    channels: Arc<Channels>,
    channel: ChannelId,
}

impl EndorsingPeer {
    pub(crate) fn new(channels: &Arc<Channels>, channel: &ChannelId) -> Self {
        Self {
            channels: Arc::clone(channels),
            channel: channel.clone(),
        }
    }

    /// The peer's serialized identity.
    #[must_use]
    pub fn serialized_identity(&self) -> Bytes {
        self.channels.local_msp().serialized_identity()
    }

    /// Signs the concatenation of the parts with the peer's key.
    ///
    /// # Errors
    /// When the library refuses to sign.
    pub fn sign(&self, parts: &[&[u8]]) -> Result<Bytes, SignError> {
        self.channels.local_msp().signer().sign(parts)
    }

    /// The committed value of a key. Reads the ledger.
    ///
    /// # Errors
    /// Why it cannot be read, in words: the plugin sees them.
    pub fn state(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, String> {
        let channel = self.channels.get(&self.channel);
        let channel = channel.ok_or_else(|| format!("channel '{}' not found", self.channel))?;
        let executor = channel.ledger().new_query_executor();
        executor
            .get_state(namespace, key)
            .map_err(|error| wire_message(&error))
    }
}

impl std::fmt::Debug for EndorsingPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndorsingPeer")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
