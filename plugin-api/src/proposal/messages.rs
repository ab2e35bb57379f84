//! The parts of Fabric's messages that lead to a proposal's timestamp and function.

use bytes::Bytes;
use prost::Message;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, bool, bytes as bytes_field, skip_field};
use prost::{DecodeError, encoding};

/// `protos.Proposal`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Proposal {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) header: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) payload: Bytes,
}

/// `common.Header`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Header {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) channel_header: Bytes,
}

/// `common.ChannelHeader`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ChannelHeader {
    #[prost(int32, tag = "1")]
    pub(super) header_type: i32,
    #[prost(message, optional, tag = "3")]
    pub(super) timestamp: Option<Timestamp>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

/// `protos.ChaincodeProposalPayload`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ChaincodeProposalPayload {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) input: Bytes,
}

/// `protos.ChaincodeInvocationSpec`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ChaincodeInvocationSpec {
    #[prost(message, optional, tag = "1")]
    pub(super) chaincode_spec: Option<ChaincodeSpec>,
}

/// `protos.ChaincodeSpec`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ChaincodeSpec {
    #[prost(message, optional, tag = "3")]
    pub(super) input: Option<ChaincodeInput>,
}

const ARGS: u32 = 1;
const IS_INIT: u32 = 3;

/// `protos.ChaincodeInput` without its arguments but the first: a message of empty arguments would take sixteen times
/// its size. It is only ever read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ChaincodeInput {
    /// The first argument.
    pub(super) function: Bytes,
    /// How many there are.
    pub(super) args: usize,
    pub(super) is_init: bool,
}

impl Message for ChaincodeInput {
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            ARGS => {
                let mut arg = Bytes::new();
                bytes_field::merge(wire_type, &mut arg, buf, ctx)?;
                if self.args == 0 {
                    self.function = arg;
                }
                self.args = self.args.saturating_add(1);
                Ok(())
            }
            IS_INIT => bool::merge(wire_type, &mut self.is_init, buf, ctx),
            _ => skip_field(wire_type, tag, buf, ctx),
        }
    }

    // The trait wants a message to be written as well. What is left of it is: the function, and nothing where the
    // other arguments were.
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if self.args > 0 {
            bytes_field::encode(ARGS, &self.function, buf);
        }
        for _ in 1..self.args {
            bytes_field::encode(ARGS, &Bytes::new(), buf);
        }
        if self.is_init {
            bool::encode(IS_INIT, &self.is_init, buf);
        }
    }

    fn encoded_len(&self) -> usize {
        let first = match self.args {
            0 => 0,
            _ => bytes_field::encoded_len(ARGS, &self.function),
        };
        let empty = bytes_field::encoded_len(ARGS, &Bytes::new());
        let init = if self.is_init {
            encoding::key_len(IS_INIT) + 1
        } else {
            0
        };
        first + empty * self.args.saturating_sub(1) + init
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
