//! A client's proposal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use msp::LocalSigner;
use prost::Message;
use protos::common::{ChannelHeader, Header, HeaderType, SignatureHeader};
use protos::peer::{
    ChaincodeHeaderExtension, ChaincodeId, ChaincodeInput, ChaincodeInvocationSpec, ChaincodeProposalPayload,
    ChaincodeSpec, Proposal, SignedProposal, chaincode_spec,
};
use protos::{TxId, UnpackedProposal, compute_tx_id};

/// Makes every nonce of a process another one.
static NONCES: AtomicU64 = AtomicU64::new(1);

/// An input of these arguments.
#[must_use]
pub fn chaincode_input(args: &[&[u8]]) -> ChaincodeInput {
    ChaincodeInput {
        args: args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect(),
        ..Default::default()
    }
}

/// A proposal before it is signed; the fields may be changed to something wrong.
#[derive(Clone)]
pub struct TestProposal {
    /// Who signs.
    pub signer: Arc<LocalSigner>,
    /// The channel header.
    pub channel_header: ChannelHeader,
    /// The signature header.
    pub signature_header: SignatureHeader,
    /// The chaincode and its arguments.
    pub invocation: ChaincodeInvocationSpec,
}

impl TestProposal {
    /// A good proposal.
    #[must_use]
    pub fn new(signer: &Arc<LocalSigner>, channel: &str, chaincode: &str, args: &[&[u8]]) -> Self {
        let number = NONCES.fetch_add(1, Ordering::Relaxed);
        let nonce: Bytes = [[0; 16].as_slice(), &number.to_be_bytes()].concat().into();
        let creator = signer.serialized_identity();
        let id = ChaincodeId {
            name: chaincode.into(),
            ..Default::default()
        };
        let extension = ChaincodeHeaderExtension {
            chaincode_id: Some(id.clone()),
            ..Default::default()
        };
        let spec = ChaincodeSpec {
            r#type: chaincode_spec::Type::Golang.into(),
            chaincode_id: Some(id),
            input: Some(chaincode_input(args)),
            ..Default::default()
        };
        Self {
            channel_header: ChannelHeader {
                r#type: HeaderType::EndorserTransaction.into(),
                channel_id: channel.into(),
                tx_id: compute_tx_id(&nonce, &creator).to_string(),
                extension: extension.encode_to_vec().into(),
                ..Default::default()
            },
            signature_header: SignatureHeader { creator, nonce },
            invocation: ChaincodeInvocationSpec {
                chaincode_spec: Some(spec),
                ..Default::default()
            },
            signer: Arc::clone(signer),
        }
    }

    /// The transaction id the proposal claims.
    #[must_use]
    pub fn tx_id(&self) -> TxId {
        self.channel_header.tx_id.as_str().into()
    }

    /// Both headers, encoded.
    #[must_use]
    pub fn header(&self) -> Header {
        Header {
            channel_header: self.channel_header.encode_to_vec().into(),
            signature_header: self.signature_header.encode_to_vec().into(),
        }
    }

    /// The payload, encoded.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        let input = self.invocation.encode_to_vec().into();
        ChaincodeProposalPayload {
            input,
            ..Default::default()
        }
        .encode_to_vec()
        .into()
    }

    /// Signs.
    #[must_use]
    pub fn sign(&self) -> SignedProposal {
        let proposal = Proposal {
            header: self.header().encode_to_vec().into(),
            payload: self.payload(),
            ..Default::default()
        };
        let proposal_bytes: Bytes = proposal.encode_to_vec().into();
        let signature = self.signer.sign(&[&proposal_bytes]).expect("signature");
        SignedProposal {
            proposal_bytes,
            signature,
        }
    }

    /// Signs and unpacks.
    #[must_use]
    pub fn unpack(&self) -> UnpackedProposal {
        UnpackedProposal::try_from(self.sign()).expect("proposal unpacks")
    }
}
