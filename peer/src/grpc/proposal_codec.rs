//! The codec of `Endorser/ProcessProposal`: the request is decoded, the response is bytes that the auth
//! chain hands over, already encoded.

use bytes::{BufMut, Bytes};
use prost::Message;
use protos::peer::SignedProposal;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};

/// Decodes proposals, passes responses through.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProposalCodec;

impl Codec for ProposalCodec {
    type Encode = Bytes;
    type Decode = SignedProposal;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for ProposalCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for ProposalCodec {
    type Item = SignedProposal;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<SignedProposal>, Status> {
        match SignedProposal::decode(buffer) {
            Ok(proposal) => Ok(Some(proposal)),
            Err(error) => Err(Status::new(Code::Internal, error.to_string())),
        }
    }
}
