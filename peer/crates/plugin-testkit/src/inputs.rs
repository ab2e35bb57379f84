//! Inputs that every plugin must bear.

use bytes::Bytes;
use handlers::ParsedRequest;
use std::sync::Arc;

/// Size of the large ones.
pub(crate) const LARGE: usize = 10 << 20;

/// Bytes that nobody sends with good intentions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Empty,
    Garbage,
    LyingLength,
    Zeros,
    Text,
    Nested,
}

impl Input {
    pub(crate) const ALL: [Self; 6] = [
        Self::Empty,
        Self::Garbage,
        Self::LyingLength,
        Self::Zeros,
        Self::Text,
        Self::Nested,
    ];

    /// As part of a check's text.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Garbage => "garbage",
            Self::LyingLength => "lying-length",
            Self::Zeros => "10-mib-zeros",
            Self::Text => "10-mib-text",
            Self::Nested => "deep-nesting",
        }
    }

    /// In a sentence.
    pub(crate) fn when(self) -> &'static str {
        match self {
            Self::Empty => "with empty input",
            Self::Garbage => "with garbage",
            Self::LyingLength => "with a length that lies",
            Self::Zeros => "with 10 MiB of zeros",
            Self::Text => "with 10 MiB of text",
            Self::Nested => "with deep nesting",
        }
    }

    pub(crate) fn bytes(self) -> Bytes {
        match self {
            Self::Empty => Bytes::new(),
            Self::Garbage => Bytes::from_static(b"\xff\xff\xff\xff\x0f garbage"),
            Self::LyingLength => Bytes::from_static(b"\x0a\xff\xff\xff\x7fx"),
            Self::Zeros => Bytes::from(vec![0; LARGE]),
            Self::Text => Bytes::from(vec![b'a'; LARGE]),
            Self::Nested => Bytes::from(nested(100_000)),
        }
    }
}

/// What memory is measured with.
pub(crate) fn middling() -> Bytes {
    Bytes::from(vec![b'a'; 64 << 10])
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
