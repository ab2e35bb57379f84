//! The checks that every transaction of a block passes, whatever its type (Fabric
//! core/common/validation/msgvalidation.go).

use bytes::Bytes;
use msp::MspManager;
use protos::common::{Envelope, HeaderType, Payload};
use protos::peer::TxValidationCode as Code;
use protos::{UnpackedEnvelope, decode_as_go, wire_message};

use crate::failure::Invalid;

/// A transaction whose headers and signature are in order.
pub(crate) struct CheckedEnvelope {
    pub(crate) envelope: UnpackedEnvelope,
    pub(crate) kind: Kind,
}

/// What a peer validates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Endorser,
    Config,
}

/// Decodes a transaction and checks its headers and its creator's signature.
pub(crate) fn check_envelope(bytes: &Bytes, msps: &MspManager) -> Result<CheckedEnvelope, Invalid> {
    let envelope = unpack(bytes)?;
    let header_type = check_headers(&envelope)?;
    check_creator(&envelope, msps)?;
    let kind = match header_type {
        HeaderType::EndorserTransaction => Kind::Endorser,
        HeaderType::Config => Kind::Config,
        other => {
            let reason = format!("unsupported transaction type {}", other.as_str_name());
            return Err(Invalid::new(Code::UnsupportedTxPayload, reason));
        }
    };
    Ok(CheckedEnvelope { envelope, kind })
}

fn unpack(bytes: &Bytes) -> Result<UnpackedEnvelope, Invalid> {
    let envelope = decode_as_go::<Envelope>(bytes.clone())
        .map_err(|error| Invalid::new(Code::InvalidOtherReason, error.to_string()))?;
    // The payload is decoded twice for a transaction that is malformed, never for a good one.
    UnpackedEnvelope::try_from(envelope.clone()).map_err(|error| {
        let code = match decode_as_go::<Payload>(envelope.payload) {
            Ok(_) => Code::BadCommonHeader,
            Err(_) => Code::BadPayload,
        };
        Invalid::new(code, wire_message(&error))
    })
}

fn check_headers(envelope: &UnpackedEnvelope) -> Result<HeaderType, Invalid> {
    let bad = |reason: String| Err(Invalid::new(Code::BadCommonHeader, reason));
    let header = &envelope.channel_header;
    let kind = match HeaderType::try_from(header.r#type) {
        Ok(kind @ (HeaderType::EndorserTransaction | HeaderType::Config | HeaderType::ConfigUpdate)) => kind,
        Ok(other) => return bad(format!("invalid header type {}", other.as_str_name())),
        Err(unknown) => return bad(format!("invalid header type {}", unknown.0)),
    };
    if header.epoch != 0 {
        return bad(format!(
            "invalid Epoch in ChannelHeader. Expected 0, got [{}]",
            header.epoch
        ));
    }
    if envelope.signature_header.nonce.is_empty() {
        return bad("invalid nonce specified in the header".into());
    }
    if envelope.signature_header.creator.is_empty() {
        return bad("invalid creator specified in the header".into());
    }
    Ok(kind)
}

fn check_creator(envelope: &UnpackedEnvelope, msps: &MspManager) -> Result<(), Invalid> {
    let bad = |context: &str, error: &(dyn std::error::Error + 'static)| {
        Invalid::new(
            Code::BadCreatorSignature,
            format!("{context}: {}", wire_message(error)),
        )
    };
    let creator = msps
        .deserialize(&envelope.signature_header.creator)
        .map_err(|error| bad("MSP error", &error))?;
    creator
        .validate()
        .map_err(|error| bad("creator certificate is not valid", &*error))?;
    creator
        .verify(&envelope.payload_bytes, &envelope.signature)
        .map_err(|error| bad("creator's signature over the proposal is not valid", &error))
}
