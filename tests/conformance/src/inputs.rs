//! Inputs that every plugin must bear.

use bytes::Bytes;
use handlers::ParsedRequest;
use std::sync::Arc;

/// Size of the large ones.
pub(crate) const LARGE: usize = 10 << 20;

/// Nothing, garbage, and a lot.
pub(crate) fn hostile() -> Vec<(&'static str, Bytes)> {
    vec![
        ("with empty input", Bytes::new()),
        (
            "with garbage",
            Bytes::from_static(b"\xff\xff\xff\xff\x0f garbage"),
        ),
        (
            "with a length that lies",
            Bytes::from_static(b"\x0a\xff\xff\xff\x7fx"),
        ),
        ("with 10 MiB of zeros", Bytes::from(vec![0; LARGE])),
        ("with 10 MiB of text", Bytes::from(vec![b'a'; LARGE])),
        ("with deep nesting", Bytes::from(nested(100_000))),
    ]
}

/// Groups inside of groups, which a careless decoder follows with recursion.
fn nested(depth: usize) -> Vec<u8> {
    let mut bytes = vec![0x0b; depth];
    bytes.extend(vec![0x0c; depth]);
    bytes
}

/// A request with these bytes in every place.
pub(crate) fn request(bytes: &Bytes) -> Arc<ParsedRequest> {
    Arc::new(ParsedRequest {
        proposal_bytes: bytes.clone(),
        signature: bytes.clone(),
        creator_cert: bytes.clone(),
        ..named(bytes)
    })
}

/// The same as the filters see it when the proposal cannot be decoded.
pub(crate) fn undecoded(bytes: &Bytes) -> Arc<ParsedRequest> {
    Arc::new(ParsedRequest {
        proposal_bytes: bytes.clone(),
        ..ParsedRequest::default()
    })
}

fn named(bytes: &Bytes) -> ParsedRequest {
    let text: String = String::from_utf8_lossy(bytes).chars().take(1 << 20).collect();
    ParsedRequest {
        channel_id: text.clone(),
        tx_id: text.clone(),
        chaincode_name: text.clone(),
        msp_id: text,
        ..ParsedRequest::default()
    }
}
