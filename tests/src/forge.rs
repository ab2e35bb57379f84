//! Proposals whose every level can be replaced before it is signed.

use bytes::Bytes;
use msp::LocalSigner;
use prost::Message;
use protos::common::{ChannelHeader, Header, HeaderType, SignatureHeader};
use protos::peer::{
    ChaincodeHeaderExtension, ChaincodeId, ChaincodeInput, ChaincodeInvocationSpec, ChaincodeProposalPayload,
    ChaincodeSpec, Proposal, SignedProposal,
};
use protos::{compute_tx_id, now_timestamp};

/// The levels of a proposal that are messages of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The header extension.
    Extension,
    /// The channel header.
    ChannelHeader,
    /// The signature header.
    SignatureHeader,
    /// The header.
    Header,
    /// The invocation specification.
    Input,
    /// The payload.
    Payload,
    /// The proposal.
    Proposal,
}

/// The parts of a proposal. `None` for raw bytes means: encoded from the parts below.
pub struct Forge<'a> {
    /// Who signs.
    pub signer: &'a LocalSigner,
    /// The channel header; the transaction id is filled in when empty, the extension when absent.
    pub channel_header: ChannelHeader,
    /// Keep the transaction id as it is in the channel header.
    pub keep_tx_id: bool,
    /// The signature header.
    pub signature_header: SignatureHeader,
    /// The chaincode in the header extension.
    pub chaincode_id: Option<ChaincodeId>,
    /// Raw bytes of the extension.
    pub extension: Option<Bytes>,
    /// The specification in the payload.
    pub spec: Option<ChaincodeSpec>,
    /// Raw bytes of the invocation specification.
    pub input: Option<Bytes>,
    /// Raw bytes of the payload.
    pub payload: Option<Bytes>,
    /// Raw bytes of the channel header.
    pub raw_channel_header: Option<Bytes>,
    /// Raw bytes of the signature header.
    pub raw_signature_header: Option<Bytes>,
    /// Raw bytes of the header.
    pub header: Option<Bytes>,
    /// Raw bytes of the proposal.
    pub proposal: Option<Bytes>,
    /// The level that loses its last byte.
    pub cut: Option<Level>,
}

impl<'a> Forge<'a> {
    /// A good call.
    #[must_use]
    pub fn new(signer: &'a LocalSigner, channel: &str, chaincode: &str, args: &[&[u8]]) -> Self {
        let nonce: Bytes = format!("{:?}", std::time::Instant::now()).into_bytes().into();
        Self {
            signer,
            channel_header: ChannelHeader {
                r#type: HeaderType::EndorserTransaction.into(),
                timestamp: Some(now_timestamp()),
                channel_id: channel.into(),
                ..Default::default()
            },
            keep_tx_id: false,
            signature_header: SignatureHeader {
                creator: signer.serialized_identity(),
                nonce,
            },
            chaincode_id: Some(ChaincodeId {
                name: chaincode.into(),
                ..Default::default()
            }),
            extension: None,
            spec: Some(ChaincodeSpec {
                chaincode_id: Some(ChaincodeId {
                    name: chaincode.into(),
                    ..Default::default()
                }),
                input: Some(ChaincodeInput {
                    args: args.iter().map(|arg| Bytes::copy_from_slice(arg)).collect(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            input: None,
            payload: None,
            raw_channel_header: None,
            raw_signature_header: None,
            header: None,
            proposal: None,
            cut: None,
        }
    }

    /// Encodes and signs.
    #[must_use]
    pub fn sign(mut self) -> SignedProposal {
        let cut = self.cut;
        let whole = |level: Level, mut bytes: Vec<u8>| -> Bytes {
            let lost = usize::from(cut == Some(level));
            bytes.truncate(bytes.len() - lost);
            bytes.into()
        };
        let extension = self.extension.take().unwrap_or_else(|| {
            let extension = ChaincodeHeaderExtension {
                chaincode_id: self.chaincode_id.take(),
                ..Default::default()
            };
            whole(Level::Extension, extension.encode_to_vec())
        });
        self.channel_header.extension = extension;
        if !self.keep_tx_id {
            let header = &self.signature_header;
            self.channel_header.tx_id = compute_tx_id(&header.nonce, &header.creator).to_string();
        }
        let channel_header = self
            .raw_channel_header
            .unwrap_or_else(|| whole(Level::ChannelHeader, self.channel_header.encode_to_vec()));
        let signature_header = self
            .raw_signature_header
            .unwrap_or_else(|| whole(Level::SignatureHeader, self.signature_header.encode_to_vec()));
        let header = self.header.unwrap_or_else(|| {
            let message = Header {
                channel_header,
                signature_header,
            };
            whole(Level::Header, message.encode_to_vec())
        });
        let input = self.input.unwrap_or_else(|| {
            let message = ChaincodeInvocationSpec {
                chaincode_spec: self.spec,
                ..Default::default()
            };
            whole(Level::Input, message.encode_to_vec())
        });
        let payload = self.payload.unwrap_or_else(|| {
            let message = ChaincodeProposalPayload {
                input,
                ..Default::default()
            };
            whole(Level::Payload, message.encode_to_vec())
        });
        let proposal_bytes: Bytes = self.proposal.unwrap_or_else(|| {
            let message = Proposal {
                header,
                payload,
                ..Default::default()
            };
            whole(Level::Proposal, message.encode_to_vec())
        });
        let signature = self.signer.sign(&[&proposal_bytes]).expect("signs");
        SignedProposal {
            proposal_bytes,
            signature,
        }
    }
}

/// The same signature with `n - s` instead of `s`: mathematically valid, refused by Fabric.
#[must_use]
pub fn high_s(signature: &[u8]) -> Bytes {
    const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order = hex::decode(N).expect("hex");
    let r_len = usize::from(signature[3]);
    let (r, s) = (&signature[4..4 + r_len], &signature[6 + r_len..]);
    let mut low = [0u8; 32];
    let s: Vec<u8> = s.iter().copied().skip_while(|byte| *byte == 0).collect();
    low[32 - s.len()..].copy_from_slice(&s);
    let mut high = vec![0u8; 33];
    let mut borrow = 0i16;
    for index in (0..32).rev() {
        let digit = i16::from(order[index]) - i16::from(low[index]) - borrow;
        borrow = i16::from(digit < 0);
        high[index + 1] = u8::try_from(digit.rem_euclid(256)).expect("a byte");
    }
    let mut body = vec![2, u8::try_from(r_len).expect("short")];
    body.extend_from_slice(r);
    body.extend_from_slice(&[2, 33]);
    body.extend_from_slice(&high);
    let mut der = vec![0x30, u8::try_from(body.len()).expect("short")];
    der.extend(body);
    der.into()
}
