//! Decoding what Go's decoder takes and prost does not: a known field that arrives with another wire type is an
//! unknown field to Go, and an error to prost. The peers of a channel must agree on what a transaction says, so whoever
//! judges transactions, the peer or a validation plugin, decodes here what clients have sent. Everything else that prost
//! refuses, Go refuses too.

use std::collections::HashMap;

use bytes::{Buf, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, encode_key, encode_varint, skip_field};
use prost::{DecodeError, Message};

/// Deepest nesting that is looked into; Fabric's transactions have half of it.
const MAX_DEPTH: usize = 16;

/// Highest field number whose properties are remembered. Those of Fabric are lower; a message of hostile numbers
/// must not fill the memory.
const MAX_REMEMBERED: u32 = 64;

/// Decodes a message as Go does.
///
/// # Errors
/// When the bytes are no such message.
pub fn decode_as_go<M: Message + Default>(bytes: Bytes) -> Result<M, DecodeError> {
    M::decode(bytes.clone()).or_else(|error| {
        let mut fields = Fields::default();
        let fitting = fitting::<M>(&mut Vec::new(), &mut fields, &bytes);
        fitting.map_or(Err(error), |fitting| M::decode(fitting.as_slice()))
    })
}

/// What is known of the fields of one message, by number and wire type.
#[derive(Default)]
struct Fields(HashMap<(u32, WireTypeId), Field>);

type WireTypeId = u8;

#[derive(Default)]
struct Field {
    fits: bool,
    /// The fields inside, if it is a message.
    inner: Option<Fields>,
}

/// The fields of the message at `path` inside `M` without those of a wrong wire type. Nothing where the bytes are no
/// message at all.
fn fitting<M: Message + Default>(
    path: &mut Vec<u32>,
    fields: &mut Fields,
    message: &[u8],
) -> Option<Vec<u8>> {
    let mut kept = Vec::with_capacity(message.len());
    let mut rest = message;
    while rest.has_remaining() {
        let start = rest;
        let (number, wire_type) = decode_key(&mut rest).ok()?;
        let after_key = rest;
        skip_field(wire_type, number, &mut rest, DecodeContext::default()).ok()?;
        let record = start.get(..start.len() - rest.len())?;
        let mut unremembered;
        let known = match number {
            0..=MAX_REMEMBERED => fields
                .0
                .entry((number, wire_type as WireTypeId))
                .or_insert_with(|| probe::<M>(path, number, wire_type)),
            _ => {
                unremembered = probe::<M>(path, number, wire_type);
                &mut unremembered
            }
        };
        match &mut known.inner {
            _ if !known.fits => {}
            Some(inner) if path.len() < MAX_DEPTH => {
                let mut content = after_key.get(..after_key.len() - rest.len())?;
                prost::encoding::decode_varint(&mut content).ok()?;
                path.push(number);
                let content = fitting::<M>(path, inner, content);
                path.pop();
                put_nested(&mut kept, number, &content?);
            }
            _ => kept.extend_from_slice(record),
        }
    }
    Some(kept)
}

/// Finds out about a field by decoding the smallest message that has it: prost knows no schema, but its decoder
/// refuses exactly the known fields of a wrong type.
fn probe<M: Message + Default>(path: &[u32], number: u32, wire_type: WireType) -> Field {
    let mut field = Vec::new();
    encode_key(number, wire_type, &mut field);
    let value: &[u8] = match wire_type {
        WireType::Varint | WireType::LengthDelimited => &[0],
        WireType::SixtyFourBit => &[0; 8],
        WireType::ThirtyTwoBit => &[0; 4],
        WireType::StartGroup | WireType::EndGroup => &[],
    };
    field.extend_from_slice(value);
    if wire_type == WireType::StartGroup {
        encode_key(number, WireType::EndGroup, &mut field);
    }
    let decodes = |field: &[u8]| M::decode(nested(path, field).as_slice()).is_ok();
    // text and bytes may be this byte, no message can
    let mut content = Vec::new();
    put_nested(&mut content, number, &[7]);
    let is_message = wire_type == WireType::LengthDelimited && !decodes(&content);
    Field {
        fits: decodes(&field),
        inner: is_message.then(Fields::default),
    }
}

fn nested(path: &[u32], content: &[u8]) -> Vec<u8> {
    path.iter().rev().fold(content.to_vec(), |content, number| {
        let mut outer = Vec::new();
        put_nested(&mut outer, *number, &content);
        outer
    })
}

fn put_nested(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, Message)]
    struct Inner {
        #[prost(string, tag = "1")]
        text: String,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Outer {
        #[prost(message, repeated, tag = "1")]
        inner: Vec<Inner>,
        #[prost(uint64, tag = "2")]
        number: u64,
    }

    #[test]
    fn a_field_of_another_type_is_an_unknown_field_on_every_level() {
        let number_as_text = b"\x12\x01x";
        let text_as_number = b"\x0a\x05\x08\x01\x0a\x01a";
        let bytes = [&number_as_text[..], text_as_number, b"\x10\x07"].concat();
        assert!(Outer::decode(bytes.as_slice()).is_err());
        let expected = Outer {
            inner: vec![Inner { text: "a".into() }],
            number: 7,
        };
        assert_eq!(decode_as_go::<Outer>(bytes.into()).unwrap(), expected);
    }

    #[test]
    fn what_is_no_message_stays_an_error() {
        for bad in [&b"\xff"[..], b"\x07", b"\x0a\x03\x0a\x01\xff", b"\x12\x05x"] {
            assert!(
                decode_as_go::<Outer>(Bytes::copy_from_slice(bad)).is_err(),
                "{bad:x?}"
            );
        }
    }
}
