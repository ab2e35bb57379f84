//! A proposal, decoded once. Everything after the unpacking takes this type.

use bytes::Bytes;
use prost::{DecodeError, Message};

use crate::common::{ChannelHeader, Header, SignatureHeader};
use crate::ids::{ChannelId, TxId};
use crate::peer::{
    ChaincodeHeaderExtension, ChaincodeInput, ChaincodeInvocationSpec, ChaincodeProposalPayload, Proposal,
    SignedProposal,
};
use crate::proposal::proposal_hash;

/// A signed proposal whose every nesting level decoded (Fabric core/endorser/msgvalidation.go).
/// Decoded is all it is: nothing has been validated.
#[derive(Clone, Debug)]
pub struct UnpackedProposal {
    /// What the client sent.
    pub signed: SignedProposal,
    /// The channel header.
    pub channel_header: ChannelHeader,
    /// The signature header: creator and nonce.
    pub signature_header: SignatureHeader,
    /// The channel, from the channel header.
    pub channel: ChannelId,
    /// The transaction id the client claims, from the channel header.
    pub tx_id: TxId,
    /// The chaincode to run, from the header extension.
    pub chaincode: String,
    /// The input from the proposal's payload.
    pub input: ChaincodeInput,
    /// The hash that the endorsement carries.
    pub proposal_hash: [u8; 32],
}

/// Why a proposal does not unpack. The texts are Fabric 2.5's.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// A nesting level is not the message it should be.
    #[error("error unmarshalling {message}")]
    Undecodable {
        /// The message's name.
        message: &'static str,
        /// What the decoder said.
        #[source]
        source: DecodeError,
    },
    /// A required part is absent.
    #[error("{0}")]
    Missing(&'static str),
}

impl TryFrom<SignedProposal> for UnpackedProposal {
    type Error = UnpackError;

    fn try_from(signed: SignedProposal) -> Result<Self, UnpackError> {
        let proposal: Proposal = decode("Proposal", signed.proposal_bytes.clone())?;
        let header: Header = decode("Header", proposal.header)?;
        let channel_header: ChannelHeader = decode("ChannelHeader", header.channel_header.clone())?;
        let signature_header: SignatureHeader = decode("SignatureHeader", header.signature_header.clone())?;
        let chaincode = chaincode_name(channel_header.extension.clone())?;
        let payload: ChaincodeProposalPayload = decode("ChaincodeProposalPayload", proposal.payload)?;
        let invocation: ChaincodeInvocationSpec = decode("ChaincodeInvocationSpec", payload.input.clone())?;
        let spec = invocation.chaincode_spec.ok_or(UnpackError::Missing(
            "chaincode invocation spec did not contain chaincode spec",
        ))?;
        let input = spec
            .input
            .ok_or(UnpackError::Missing("chaincode input did not contain any input"))?;
        Ok(Self {
            proposal_hash: proposal_hash(&header.channel_header, &header.signature_header, &payload.input),
            channel: channel_header.channel_id.as_str().into(),
            tx_id: channel_header.tx_id.as_str().into(),
            signed,
            channel_header,
            signature_header,
            chaincode,
            input,
        })
    }
}

fn chaincode_name(extension: Bytes) -> Result<String, UnpackError> {
    let extension: ChaincodeHeaderExtension = decode("ChaincodeHeaderExtension", extension)?;
    let id = extension.chaincode_id.ok_or(UnpackError::Missing(
        "ChaincodeHeaderExtension.ChaincodeId is nil",
    ))?;
    if id.name.is_empty() {
        return Err(UnpackError::Missing(
            "ChaincodeHeaderExtension.ChaincodeId.Name is empty",
        ));
    }
    Ok(id.name)
}

fn decode<M: Message + Default>(message: &'static str, bytes: Bytes) -> Result<M, UnpackError> {
    M::decode(bytes).map_err(|source| UnpackError::Undecodable { message, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire_message;

    #[test]
    fn the_levels_are_checked_in_fabrics_order() {
        let text = |proposal: Proposal| {
            let signed = SignedProposal {
                proposal_bytes: proposal.encode_to_vec().into(),
                ..Default::default()
            };
            wire_message(&UnpackedProposal::try_from(signed).unwrap_err())
        };
        let garbage = Bytes::from_static(&[0xff]);
        let header = |extension: Bytes| -> Bytes {
            let channel_header = ChannelHeader {
                extension,
                ..Default::default()
            };
            Header {
                channel_header: channel_header.encode_to_vec().into(),
                ..Default::default()
            }
            .encode_to_vec()
            .into()
        };
        let named = |name: &str| -> Bytes {
            let chaincode_id = crate::peer::ChaincodeId {
                name: name.into(),
                ..Default::default()
            };
            ChaincodeHeaderExtension {
                chaincode_id: Some(chaincode_id),
                ..Default::default()
            }
            .encode_to_vec()
            .into()
        };
        assert!(
            text(Proposal {
                header: garbage.clone(),
                ..Default::default()
            })
            .starts_with("error unmarshalling Header: ")
        );
        assert_eq!(
            text(Proposal::default()),
            "ChaincodeHeaderExtension.ChaincodeId is nil"
        );
        let nameless = Proposal {
            header: header(named("")),
            payload: garbage,
            ..Default::default()
        };
        assert_eq!(
            text(nameless),
            "ChaincodeHeaderExtension.ChaincodeId.Name is empty"
        );
        let empty = Proposal {
            header: header(named("mycc")),
            ..Default::default()
        };
        assert_eq!(
            text(empty),
            "chaincode invocation spec did not contain chaincode spec"
        );
    }
}
