//! A seek request, unpacked: the checks that come before a channel is looked up.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use msp::Certificate;
use prost::Message;
use protos::common::{ChannelHeader, Envelope};
use protos::msp::SerializedIdentity;
use protos::{EnvelopeError, UnpackedEnvelope, sha256};

/// Why a request is answered with 400 before anything else is looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("malformed envelope")]
    Envelope(#[source] EnvelopeError),
    #[error("channel header in envelope must contain timestamp")]
    NoTimestamp,
    #[error("envelope timestamp is more than {0:?} apart from current server time")]
    Skewed(Duration),
    #[error("client didn't include its TLS cert hash")]
    NoCertHash,
    #[error("client didn't send a TLS certificate")]
    NoCertificate,
    #[error("claimed TLS cert hash differs from the actual one")]
    OtherCertificate,
}

/// What a connection binds its requests to.
#[derive(Clone, Debug)]
pub(crate) enum TlsBinding {
    /// No mutual TLS: the hash in a request means nothing.
    None,
    /// Mutual TLS: the request must carry the hash of this certificate (DER).
    Certificate(Option<Bytes>),
}

/// Unpacks a request and checks its header against clock and connection.
pub(crate) fn unpack(
    envelope: Envelope,
    window: Duration,
    binding: &TlsBinding,
) -> Result<UnpackedEnvelope, RequestError> {
    let request = UnpackedEnvelope::try_from(envelope).map_err(RequestError::Envelope)?;
    check_timestamp(&request.channel_header, window)?;
    check_binding(&request.channel_header, binding)?;
    Ok(request)
}

fn check_timestamp(header: &ChannelHeader, window: Duration) -> Result<(), RequestError> {
    let timestamp = header.timestamp.as_ref().ok_or(RequestError::NoTimestamp)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i128::try_from(since.as_nanos()).unwrap_or(i128::MAX);
    let claimed = i128::from(timestamp.seconds) * 1_000_000_000 + i128::from(timestamp.nanos);
    if now.abs_diff(claimed) > window.as_nanos() {
        return Err(RequestError::Skewed(window));
    }
    Ok(())
}

fn check_binding(header: &ChannelHeader, binding: &TlsBinding) -> Result<(), RequestError> {
    let TlsBinding::Certificate(certificate) = binding else {
        return Ok(());
    };
    if header.tls_cert_hash.is_empty() {
        return Err(RequestError::NoCertHash);
    }
    let certificate = certificate.as_ref().ok_or(RequestError::NoCertificate)?;
    if header.tls_cert_hash.as_ref() != sha256(&[certificate]) {
        return Err(RequestError::OtherCertificate);
    }
    Ok(())
}

/// When the certificate of a serialized identity ends, or `None` when that cannot be told.
#[must_use]
pub fn identity_expires_at(creator: &Bytes) -> Option<SystemTime> {
    let identity = SerializedIdentity::decode(creator.clone()).ok()?;
    let certificate = Certificate::from_pem(&identity.id_bytes).ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(certificate.not_after()).unwrap_or_default()))
}
