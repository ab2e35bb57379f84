//! What an endorsement says, and the signature under it.

use bytes::Bytes;
use chaincode::ExecuteOutcome;
use msp::LocalSigner;
use prost::Message;
use protos::UnpackedProposal;
use protos::peer::{ChaincodeAction, ChaincodeId, Endorsement, ProposalResponsePayload};

use crate::simulate::SimulateError;

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

/// Signs a payload together with the endorser's identity.
pub(crate) fn endorse(signer: &LocalSigner, payload: &Bytes) -> Result<Endorsement, SimulateError> {
    let endorser = signer.serialized_identity();
    let signature = signer.sign(&[payload, &endorser]).map_err(SimulateError::Sign)?;
    Ok(Endorsement { endorser, signature })
}
