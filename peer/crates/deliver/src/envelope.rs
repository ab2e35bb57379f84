//! Signed envelopes: what a client or an orderer sends (Fabric protoutil/txutils.go).

use aws_lc_rs::rand;
use bytes::Bytes;
use msp::{LocalSigner, SignError};
use prost::Message;
use protos::common::{ChannelHeader, Envelope, Header, HeaderType, Payload, SignatureHeader};
use protos::now_timestamp;

/// Length of a nonce in bytes (Fabric common/crypto).
const NONCE_SIZE: usize = 24;

/// Why an envelope was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignEnvelopeError {
    /// No random bytes.
    #[error("no random nonce")]
    Nonce(#[source] aws_lc_rs::error::Unspecified),
    /// The signer failed.
    #[error("could not sign")]
    Sign(#[source] SignError),
}

/// What an envelope is about.
#[derive(Clone, Debug, Default)]
pub struct EnvelopeContent {
    /// The type in the channel header.
    pub header_type: HeaderType,
    /// The channel it is for.
    pub channel_id: String,
    /// The payload's data.
    pub data: Bytes,
    /// The hash of the client's TLS certificate, or empty.
    pub tls_cert_hash: Bytes,
}

/// A signature header with a fresh nonce.
///
/// # Errors
/// When there are no random bytes.
pub fn new_signature_header(signer: &LocalSigner) -> Result<SignatureHeader, SignEnvelopeError> {
    let mut nonce = [0; NONCE_SIZE];
    rand::fill(&mut nonce).map_err(SignEnvelopeError::Nonce)?;
    Ok(SignatureHeader {
        creator: signer.serialized_identity(),
        nonce: nonce.to_vec().into(),
    })
}

/// An envelope of that content, signed now.
///
/// # Errors
/// When signing fails.
pub fn create_signed_envelope(
    signer: &LocalSigner,
    content: EnvelopeContent,
) -> Result<Envelope, SignEnvelopeError> {
    let channel_header = ChannelHeader {
        r#type: content.header_type.into(),
        timestamp: Some(now_timestamp()),
        channel_id: content.channel_id,
        tls_cert_hash: content.tls_cert_hash,
        ..Default::default()
    };
    let header = Header {
        channel_header: channel_header.encode_to_vec().into(),
        signature_header: new_signature_header(signer)?.encode_to_vec().into(),
    };
    let payload: Bytes = Payload {
        header: Some(header),
        data: content.data,
    }
    .encode_to_vec()
    .into();
    let signature = signer.sign(&[&payload]).map_err(SignEnvelopeError::Sign)?;
    Ok(Envelope { payload, signature })
}
