//! An endorser transaction, decoded once, its parts bound to each other.

use bytes::Bytes;
use ledger::TxRwSet;
use prost::Message;
use protos::common::SignatureHeader;
use protos::peer::{
    ChaincodeAction, ChaincodeActionPayload, ChaincodeEvent, ChaincodeHeaderExtension, Endorsement,
    ProposalResponsePayload, Transaction, TxValidationCode as Code,
};
use protos::{UnpackedEnvelope, compute_tx_id, decode_as_go, proposal_hash_at_commit};

use crate::failure::Invalid;
use crate::rwset::parse;

/// An endorser transaction whose proposal, response and endorsements belong together. Whether the endorsements
/// suffice is not known yet.
pub(crate) struct EndorserTransaction {
    pub(crate) envelope: UnpackedEnvelope,
    /// The proposal's payload without transient data.
    pub(crate) proposal_payload: Bytes,
    /// The bytes that were endorsed.
    pub(crate) response_payload: Bytes,
    pub(crate) endorsements: Vec<Endorsement>,
    /// The extension of the response payload.
    action_bytes: Bytes,
}

impl EndorserTransaction {
    /// Checks the transaction id and that the response answers exactly this proposal.
    pub(crate) fn new(envelope: UnpackedEnvelope) -> Result<Self, Invalid> {
        let header = &envelope.signature_header;
        let expected = compute_tx_id(&header.nonce, &header.creator);
        if envelope.channel_header.tx_id != expected.as_str() {
            let reason = format!(
                "invalid txid. got [{}], expected [{expected}]",
                envelope.channel_header.tx_id
            );
            return Err(Invalid::new(Code::BadProposalTxid, reason));
        }
        Self::bind(envelope).map_err(|reason| Invalid::new(Code::InvalidEndorserTransaction, reason))
    }

    fn bind(envelope: UnpackedEnvelope) -> Result<Self, String> {
        let transaction: Transaction = decode("Transaction", envelope.data.clone())?;
        let count = transaction.actions.len();
        let [action] = <[_; 1]>::try_from(transaction.actions).or(Err(format!(
            "only one action per transaction is supported, tx contains {count}"
        )))?;
        let header: SignatureHeader = decode("SignatureHeader", action.header.clone())?;
        if header.nonce.is_empty() || header.creator.is_empty() {
            return Err("invalid nonce or creator specified in the header".into());
        }
        let payload: ChaincodeActionPayload = decode("ChaincodeActionPayload", action.payload)?;
        let endorsed = payload.action.ok_or("nil action")?;
        let response: ProposalResponsePayload = decode(
            "ProposalResponsePayload",
            endorsed.proposal_response_payload.clone(),
        )?;
        let hash = proposal_hash_at_commit(
            &envelope.header.channel_header,
            &action.header,
            &payload.chaincode_proposal_payload,
        );
        if response.proposal_hash != hash.as_slice() {
            return Err("proposal hash does not match".into());
        }
        Ok(Self {
            envelope,
            proposal_payload: payload.chaincode_proposal_payload,
            response_payload: endorsed.proposal_response_payload,
            endorsements: endorsed.endorsements,
            action_bytes: response.extension,
        })
    }

    /// Decodes what the chaincode did and checks that it is the chaincode that the header names.
    pub(crate) fn action(&self, lifecycle_v20: bool) -> Result<Action, Invalid> {
        let extension: ChaincodeHeaderExtension = self.decode_part(
            self.envelope.channel_header.extension.clone(),
            Code::BadHeaderExtension,
        )?;
        if self.action_bytes.is_empty() {
            let reason = "response payload is missing extension";
            return Err(Invalid::new(Code::BadResponsePayload, reason));
        }
        let action: ChaincodeAction =
            self.decode_part(self.action_bytes.clone(), Code::BadResponsePayload)?;
        let rwset = parse(action.results.clone())?;
        let other = |reason: &str| Invalid::new(Code::InvalidOtherReason, reason);
        let named = extension
            .chaincode_id
            .ok_or_else(|| other("nil ChaincodeId in header extension"))?;
        let executed = action
            .chaincode_id
            .ok_or_else(|| other("nil ChaincodeId in ChaincodeAction"))?;
        let code = if lifecycle_v20 {
            Code::InvalidChaincode
        } else {
            Code::InvalidOtherReason
        };
        if named.name.is_empty() {
            return Err(Invalid::new(code, "invalid chaincode ID"));
        }
        if named.name != executed.name {
            let reason = format!("inconsistent ccid info ({}/{})", named.name, executed.name);
            return Err(Invalid::new(code, reason));
        }
        if executed.version.is_empty() {
            return Err(Invalid::new(code, "invalid chaincode version"));
        }
        Ok(Action {
            chaincode: executed.name,
            version: executed.version,
            event: action.events,
            results: action.results,
            rwset,
        })
    }

    fn decode_part<M: Message + Default>(&self, bytes: Bytes, code: Code) -> Result<M, Invalid> {
        decode_as_go::<M>(bytes).map_err(|error| Invalid::new(code, error.to_string()))
    }
}

/// What a chaincode did.
pub(crate) struct Action {
    pub(crate) chaincode: String,
    pub(crate) version: String,
    event: Bytes,
    /// The encoded read-write set.
    pub(crate) results: Bytes,
    pub(crate) rwset: TxRwSet,
}

impl Action {
    /// Checks that an event is the chaincode's own.
    pub(crate) fn check_event(&self) -> Result<(), Invalid> {
        if self.event.is_empty() {
            return Ok(());
        }
        let bad = |reason: String| Invalid::new(Code::InvalidOtherReason, reason);
        let event = decode_as_go::<ChaincodeEvent>(self.event.clone())
            .map_err(|error| bad(format!("invalid chaincode event: {error}")))?;
        if event.chaincode_id == self.chaincode {
            return Ok(());
        }
        Err(bad(
            "chaincode event chaincode id does not match chaincode action chaincode id".into(),
        ))
    }
}

fn decode<M: Message + Default>(message: &str, bytes: Bytes) -> Result<M, String> {
    decode_as_go::<M>(bytes).map_err(|error| format!("error unmarshalling {message}: {error}"))
}
