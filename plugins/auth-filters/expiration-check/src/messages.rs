//! The parts of Fabric's messages that lead to the creator's certificate.

use bytes::Bytes;
use prost::{DecodeError, Message};

/// `protos.Proposal`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Proposal {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) header: Bytes,
}

/// `common.Header`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Header {
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) signature_header: Bytes,
}

/// `common.SignatureHeader`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SignatureHeader {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) creator: Bytes,
}

/// `msp.SerializedIdentity`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SerializedIdentity {
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) id_bytes: Bytes,
}

/// The creator's `id_bytes`; none when the creator is no serialized identity.
pub(crate) fn creator_of(proposal: &[u8]) -> Result<Option<Bytes>, String> {
    let failed = |what: &str, error: DecodeError| format!("failed parsing {what}: {error}");
    let proposal = Proposal::decode(proposal).map_err(|error| failed("proposal", error))?;
    let header = Header::decode(proposal.header).map_err(|error| failed("header", error))?;
    let header = SignatureHeader::decode(header.signature_header)
        .map_err(|error| failed("signature header", error))?;
    Ok(SerializedIdentity::decode(header.creator)
        .ok()
        .map(|identity| identity.id_bytes))
}
