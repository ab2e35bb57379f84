//! Proposals and transactions as a client makes them (Fabric protoutil/proputils.go, txutils.go).

use std::collections::BTreeMap;

use bytes::Bytes;
use msp::LocalSigner;
use prost::Message;
use protos::common::{ChannelHeader, Envelope, Header, HeaderType, Payload, SignatureHeader};
use protos::peer::{
    ChaincodeActionPayload, ChaincodeEndorsedAction, ChaincodeHeaderExtension, ChaincodeId, ChaincodeInput,
    ChaincodeInvocationSpec, ChaincodeProposalPayload, ChaincodeSpec, Proposal, ProposalResponse,
    SignedProposal, Transaction, TransactionAction, chaincode_spec,
};
use protos::{ChannelId, TxId, compute_tx_id, now_timestamp};

use super::ClientError;

/// What a client wants a chaincode to do.
#[derive(Clone, Debug, Default)]
pub struct ProposalRequest {
    /// The channel; empty for calls to the peer itself.
    pub channel: String,
    /// The chaincode's name.
    pub chaincode: String,
    /// Function name and arguments.
    pub args: Vec<Bytes>,
    /// Data for the chaincode that never reaches the ledger.
    pub transient: BTreeMap<String, Bytes>,
    /// Whether this is the initialisation call of a chaincode that requires one.
    pub is_init: bool,
    /// SHA-256 of the client's TLS certificate with mutual TLS, else empty.
    pub tls_cert_hash: Bytes,
}

impl ProposalRequest {
    /// A call of `chaincode` on `channel`.
    #[must_use]
    pub fn new<A: Into<Bytes>>(channel: &str, chaincode: &str, args: impl IntoIterator<Item = A>) -> Self {
        Self {
            channel: channel.to_owned(),
            chaincode: chaincode.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

/// A signed proposal, and what is needed to make a transaction of its endorsements.
#[derive(Clone, Debug)]
pub struct PreparedProposal {
    /// What goes to the endorsers.
    pub signed: SignedProposal,
    /// The channel.
    pub channel: ChannelId,
    /// The transaction's id.
    pub tx_id: TxId,
    header: Header,
    input: Bytes,
}

impl PreparedProposal {
    /// Builds and signs a proposal with a fresh nonce.
    ///
    /// # Errors
    /// When signing fails.
    pub fn new(request: &ProposalRequest, signer: &LocalSigner) -> Result<Self, ClientError> {
        let nonce = fresh_nonce();
        let creator = signer.serialized_identity();
        let tx_id = compute_tx_id(&nonce, &creator);
        let chaincode_id = Some(ChaincodeId {
            name: request.chaincode.clone(),
            ..Default::default()
        });
        let extension = ChaincodeHeaderExtension {
            chaincode_id: chaincode_id.clone(),
            ..Default::default()
        };
        let channel_header = ChannelHeader {
            r#type: HeaderType::EndorserTransaction.into(),
            timestamp: Some(now_timestamp()),
            channel_id: request.channel.clone(),
            tx_id: tx_id.to_string(),
            extension: extension.encode_to_vec().into(),
            tls_cert_hash: request.tls_cert_hash.clone(),
            ..Default::default()
        };
        let header = Header {
            channel_header: channel_header.encode_to_vec().into(),
            signature_header: SignatureHeader { creator, nonce }.encode_to_vec().into(),
        };
        let spec = ChaincodeSpec {
            r#type: chaincode_spec::Type::Golang.into(),
            chaincode_id,
            input: Some(ChaincodeInput {
                args: request.args.clone(),
                is_init: request.is_init,
                ..Default::default()
            }),
            ..Default::default()
        };
        let invocation = ChaincodeInvocationSpec {
            chaincode_spec: Some(spec),
            ..Default::default()
        };
        let input: Bytes = invocation.encode_to_vec().into();
        let payload = ChaincodeProposalPayload {
            input: input.clone(),
            transient_map: request.transient.clone(),
        };
        let proposal = Proposal {
            header: header.encode_to_vec().into(),
            payload: payload.encode_to_vec().into(),
            ..Default::default()
        };
        let proposal_bytes: Bytes = proposal.encode_to_vec().into();
        let signature = signer
            .sign(&[&proposal_bytes])
            .map_err(|source| ClientError::Sign(Box::new(source)))?;
        Ok(Self {
            signed: SignedProposal {
                proposal_bytes,
                signature,
            },
            channel: request.channel.as_str().into(),
            tx_id,
            header,
            input,
        })
    }

    /// The signed transaction that submits these endorsements for ordering.
    ///
    /// # Errors
    /// When there is no endorsement, the payloads differ, or signing fails.
    pub fn transaction(
        &self,
        responses: &[ProposalResponse],
        signer: &LocalSigner,
    ) -> Result<Envelope, ClientError> {
        let first = responses.first().ok_or(ClientError::NoEndorsement)?;
        if responses.iter().any(|response| response.payload != first.payload) {
            return Err(ClientError::PayloadsDiffer);
        }
        let endorsements: Vec<_> = responses
            .iter()
            .filter_map(|response| response.endorsement.clone())
            .collect();
        if endorsements.len() != responses.len() {
            return Err(ClientError::NoEndorsement);
        }
        let action = ChaincodeActionPayload {
            chaincode_proposal_payload: ChaincodeProposalPayload {
                input: self.input.clone(),
                ..Default::default()
            }
            .encode_to_vec()
            .into(),
            action: Some(ChaincodeEndorsedAction {
                proposal_response_payload: first.payload.clone(),
                endorsements,
            }),
        };
        let transaction = Transaction {
            actions: vec![TransactionAction {
                header: self.header.signature_header.clone(),
                payload: action.encode_to_vec().into(),
            }],
        };
        sign_payload(
            Payload {
                header: Some(self.header.clone()),
                data: transaction.encode_to_vec().into(),
            },
            signer,
        )
    }
}

/// Signs a payload into an envelope.
///
/// # Errors
/// When signing fails.
pub fn sign_payload(payload: Payload, signer: &LocalSigner) -> Result<Envelope, ClientError> {
    let payload: Bytes = payload.encode_to_vec().into();
    let signature = signer
        .sign(&[&payload])
        .map_err(|source| ClientError::Sign(Box::new(source)))?;
    Ok(Envelope { payload, signature })
}

/// A signature header with the signer's identity and a fresh nonce.
#[must_use]
pub fn signature_header(signer: &LocalSigner) -> SignatureHeader {
    SignatureHeader {
        creator: signer.serialized_identity(),
        nonce: fresh_nonce(),
    }
}

/// 24 random bytes, the length that Fabric's clients use.
fn fresh_nonce() -> Bytes {
    let (a, b) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    a.as_bytes()
        .iter()
        .chain(b.as_bytes().iter().take(8))
        .copied()
        .collect()
}
