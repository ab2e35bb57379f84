//! Whether a proposal is well-formed and its creator's (Fabric core/endorser/msgvalidation.go).

use std::sync::Arc;

use msp::{Identity, MspManager};
use protos::common::HeaderType;
use protos::{TxId, UnpackedProposal, clamped, compute_tx_id, wire_message};

/// Why a proposal is not valid. The texts are Fabric 2.5's; who knows more is only told in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidateError {
    /// Proposals are of type ENDORSER_TRANSACTION, or CONFIG from old tools.
    #[error("invalid header type {0}")]
    HeaderType(String),
    /// Epochs were never used.
    #[error("epoch is non-zero")]
    Epoch,
    /// No nonce.
    #[error("nonce is empty")]
    Nonce,
    /// No creator.
    #[error("creator is empty")]
    Creator,
    /// The transaction id is not made of nonce and creator.
    #[error("incorrectly computed txid '{}' -- expected '{expected}'", clamped(got.as_str()))]
    TxId {
        /// What the client says.
        got: TxId,
        /// What it should have said.
        expected: TxId,
    },
    /// No proposal.
    #[error("empty proposal bytes")]
    NoProposal,
    /// No signature.
    #[error("empty signature bytes")]
    NoSignature,
    /// The creator is no identity that the channel knows.
    #[error("access denied: channel [{}] creator org unknown, creator is malformed", clamped(.0))]
    UnknownCreator(String),
    /// The creator is not valid, or did not sign.
    #[error("access denied: channel [{}] creator org [{}]", clamped(.channel), clamped(.msp_id))]
    Denied {
        /// The channel.
        channel: String,
        /// The creator's MSP.
        msp_id: String,
    },
}

/// Checks a proposal and returns its creator, whose signature has been verified.
pub(crate) fn validate(
    proposal: &UnpackedProposal,
    msps: &MspManager,
) -> Result<Arc<Identity>, ValidateError> {
    check_headers(proposal)?;
    check_creator(proposal, msps)
}

fn check_headers(proposal: &UnpackedProposal) -> Result<(), ValidateError> {
    let header_type = proposal.channel_header.r#type;
    match HeaderType::try_from(header_type) {
        Ok(HeaderType::EndorserTransaction | HeaderType::Config) => {}
        Ok(other) => return Err(ValidateError::HeaderType(other.as_str_name().to_owned())),
        Err(unknown) => return Err(ValidateError::HeaderType(unknown.0.to_string())),
    }
    if proposal.channel_header.epoch != 0 {
        return Err(ValidateError::Epoch);
    }
    let header = &proposal.signature_header;
    if header.nonce.is_empty() {
        return Err(ValidateError::Nonce);
    }
    if header.creator.is_empty() {
        return Err(ValidateError::Creator);
    }
    let expected = compute_tx_id(&header.nonce, &header.creator);
    if proposal.tx_id != expected {
        return Err(ValidateError::TxId {
            got: proposal.tx_id.clone(),
            expected,
        });
    }
    if proposal.signed.proposal_bytes.is_empty() {
        return Err(ValidateError::NoProposal);
    }
    if proposal.signed.signature.is_empty() {
        return Err(ValidateError::NoSignature);
    }
    Ok(())
}

fn check_creator(proposal: &UnpackedProposal, msps: &MspManager) -> Result<Arc<Identity>, ValidateError> {
    let channel = || proposal.channel.to_string();
    let creator = msps
        .deserialize(&proposal.signature_header.creator)
        .map_err(|error| {
            tracing::warn!(
                error = &*clamped(&wire_message(&error)),
                "access denied: creator is not an identity"
            );
            ValidateError::UnknownCreator(channel())
        })?;
    let denied = |reason: String| {
        tracing::warn!(error = &*clamped(&reason), "access denied");
        ValidateError::Denied {
            channel: channel(),
            msp_id: creator.msp_id().to_string(),
        }
    };
    creator
        .validate()
        .map_err(|error| denied(wire_message(&*error)))?;
    creator
        .verify(&proposal.signed.proposal_bytes, &proposal.signed.signature)
        .map_err(|error| denied(wire_message(&error)))?;
    Ok(creator)
}
