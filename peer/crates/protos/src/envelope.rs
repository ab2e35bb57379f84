//! Envelopes, decoded once.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::{DecodeError, Message};

use crate::common::{ChannelHeader, Envelope, Header, Payload, SignatureHeader};
use crate::decode_as_go;

/// What a policy is evaluated over: somebody's signature of some bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SignedData {
    /// The signed bytes.
    pub data: Bytes,
    /// The signer, a serialized `msp.SerializedIdentity`.
    pub identity: Bytes,
    /// The signature over the data.
    pub signature: Bytes,
}

/// An envelope whose payload and headers decoded. Nothing has been validated.
#[derive(Clone, Debug)]
pub struct UnpackedEnvelope {
    /// The signed bytes.
    pub payload_bytes: Bytes,
    /// The signature over them.
    pub signature: Bytes,
    /// The raw headers, which hashes are taken over.
    pub header: Header,
    /// The channel header.
    pub channel_header: ChannelHeader,
    /// The signature header.
    pub signature_header: SignatureHeader,
    /// The payload's data.
    pub data: Bytes,
}

/// Why an envelope does not unpack.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// A nesting level is not the message it should be.
    #[error("error unmarshalling {message}")]
    Undecodable {
        /// The message's name.
        message: &'static str,
        /// What the decoder said.
        #[source]
        source: DecodeError,
    },
    /// The payload has no header.
    #[error("payload header is nil")]
    NoHeader,
}

impl UnpackedEnvelope {
    /// The signature on the envelope, for a policy to judge.
    #[must_use]
    pub fn signed_data(&self) -> SignedData {
        SignedData {
            data: self.payload_bytes.clone(),
            identity: self.signature_header.creator.clone(),
            signature: self.signature.clone(),
        }
    }
}

impl TryFrom<Envelope> for UnpackedEnvelope {
    type Error = EnvelopeError;

    fn try_from(envelope: Envelope) -> Result<Self, EnvelopeError> {
        let payload: Payload = decode("Payload", envelope.payload.clone())?;
        let header = payload.header.ok_or(EnvelopeError::NoHeader)?;
        Ok(Self {
            payload_bytes: envelope.payload,
            signature: envelope.signature,
            channel_header: decode("ChannelHeader", header.channel_header.clone())?,
            signature_header: decode("SignatureHeader", header.signature_header.clone())?,
            header,
            data: payload.data,
        })
    }
}

/// The channel header inside a serialized envelope, such as a block's transaction.
///
/// # Errors
/// When a level does not decode.
pub fn channel_header_of(envelope: Bytes) -> Result<ChannelHeader, EnvelopeError> {
    let envelope: Envelope = decode("Envelope", envelope)?;
    let payload: Payload = decode("Payload", envelope.payload)?;
    let header = payload.header.ok_or(EnvelopeError::NoHeader)?;
    decode("ChannelHeader", header.channel_header)
}

/// The current time as a protobuf timestamp.
#[must_use]
pub fn now_timestamp() -> prost_types::Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    prost_types::Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
    }
}

fn decode<M: Message + Default>(message: &'static str, bytes: Bytes) -> Result<M, EnvelopeError> {
    decode_as_go(bytes).map_err(|source| EnvelopeError::Undecodable { message, source })
}
