//! Decoding what Go's decoder takes and prost does not: a known field that arrives with another wire type is an
//! unknown field to Go, and an error to prost. Peers must agree on what a transaction says, so whoever judges
//! transactions decodes them here. Everything else that prost refuses, Go refuses too.

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
    use crate::common::{ChannelHeader, ConfigGroup, Header, Payload};
    use crate::kvrwset::{KvRead, KvWrite, KvrwSet, Version};
    use crate::peer::ChaincodeProposalPayload;

    fn record(number: u32, wire_type: WireType, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_key(number, wire_type, &mut out);
        out.extend_from_slice(value);
        out
    }

    fn group(number: u32, content: &[u8]) -> Vec<u8> {
        let end = record(number, WireType::EndGroup, &[]);
        record(number, WireType::StartGroup, &[content, &end].concat())
    }

    /// Every kind of misfit for a field of some number.
    fn misfits(number: u32, right: WireType) -> Vec<Vec<u8>> {
        let all = [
            (WireType::Varint, record(number, WireType::Varint, &[1])),
            (
                WireType::SixtyFourBit,
                record(number, WireType::SixtyFourBit, &[1; 8]),
            ),
            (
                WireType::LengthDelimited,
                record(number, WireType::LengthDelimited, &[2, b'a', b'b']),
            ),
            (
                WireType::ThirtyTwoBit,
                record(number, WireType::ThirtyTwoBit, &[1; 4]),
            ),
            (
                WireType::StartGroup,
                group(number, &record(1, WireType::Varint, &[1])),
            ),
        ];
        let wrong = all.into_iter().filter(|(wire_type, _)| *wire_type != right);
        wrong.map(|(_, record)| record).collect()
    }

    #[test]
    fn a_field_of_another_type_is_an_unknown_field() {
        let payload = Payload {
            header: Some(Header {
                channel_header: "header".into(),
                ..Default::default()
            }),
            data: "data".into(),
        };
        for number in [1, 2] {
            for misfit in misfits(number, WireType::LengthDelimited) {
                let bytes = Bytes::from([misfit.clone(), payload.encode_to_vec(), misfit].concat());
                assert!(Payload::decode(bytes.clone()).is_err());
                assert_eq!(decode_as_go::<Payload>(bytes).unwrap(), payload);
            }
        }
        let header = ChannelHeader {
            epoch: 7,
            tx_id: "id".into(),
            ..Default::default()
        };
        for misfit in misfits(6, WireType::Varint) {
            let bytes = [header.encode_to_vec(), misfit].concat().into();
            assert_eq!(decode_as_go::<ChannelHeader>(bytes).unwrap(), header);
        }
    }

    #[test]
    fn also_inside_of_messages_lists_and_maps() {
        let read = KvRead {
            key: "k".into(),
            version: Some(Version {
                block_num: 1,
                tx_num: 2,
            }),
        };
        let set = KvrwSet {
            reads: vec![read.clone(), read],
            writes: vec![KvWrite::default()],
            ..Default::default()
        };
        for misfit in misfits(1, WireType::Varint) {
            let version = [
                misfit,
                Version {
                    block_num: 1,
                    tx_num: 2,
                }
                .encode_to_vec(),
            ]
            .concat();
            let mut read = record(1, WireType::LengthDelimited, b"\x01k");
            put_nested(&mut read, 2, &version);
            let mut bytes = Vec::new();
            put_nested(&mut bytes, 1, &read);
            put_nested(&mut bytes, 1, &read);
            put_nested(&mut bytes, 3, &[]);
            assert_eq!(decode_as_go::<KvrwSet>(bytes.into()).unwrap(), set);
        }
        let mut entry = record(1, WireType::LengthDelimited, b"\x01k");
        entry.extend(record(2, WireType::Varint, &[1]));
        entry.extend(record(2, WireType::LengthDelimited, b"\x01v"));
        let mut bytes = Vec::new();
        put_nested(&mut bytes, 2, &entry);
        let decoded: ChaincodeProposalPayload = decode_as_go(bytes.into()).unwrap();
        assert_eq!(decoded.transient_map["k"], "v");
    }

    #[test]
    fn what_go_refuses_stays_an_error() {
        let header = ChannelHeader {
            channel_id: "c".into(),
            ..Default::default()
        }
        .encode_to_vec();
        let misfit = record(1, WireType::LengthDelimited, &[0]);
        let with = |bytes: &[u8]| [misfit.as_slice(), &header, bytes].concat();
        for bad in [
            with(&[0xff]),                                                       // no key
            with(&[0x07]),                                                       // wire type 7
            with(&[0x00, 0x00]),                                                 // field 0
            with(&record(4, WireType::LengthDelimited, &[9])),                   // cut off
            with(&record(4, WireType::LengthDelimited, &[1, 0xff])),             // no text
            with(&record(4, WireType::LengthDelimited, &[3, 0x80, 0x01, 0x00])), // no text, but fields
            with(&record(9, WireType::EndGroup, &[])),
            with(&record(3, WireType::LengthDelimited, &[1, 0xff])), // no timestamp
        ] {
            assert!(
                decode_as_go::<ChannelHeader>(bad.clone().into()).is_err(),
                "{bad:x?}"
            );
        }
        assert_eq!(
            decode_as_go::<ChannelHeader>(with(&[]).into()).unwrap(),
            ChannelHeader::decode(header.as_slice()).unwrap()
        );
    }

    #[test]
    fn hostile_nesting_and_numbers_end() {
        let misfit = record(1, WireType::LengthDelimited, &[0]);
        let deep = (0..200).fold(misfit.clone(), |inner, _| {
            let mut entry = Vec::new();
            put_nested(&mut entry, 2, &inner);
            let mut outer = Vec::new();
            put_nested(&mut outer, 2, &entry);
            outer
        });
        assert!(decode_as_go::<ConfigGroup>(deep.into()).is_err());
        let mut numbers = misfit;
        for number in 1..100_000 {
            numbers.extend(record(number, WireType::ThirtyTwoBit, &[0; 4]));
        }
        assert_eq!(
            decode_as_go::<ConfigGroup>(numbers.into()).unwrap(),
            ConfigGroup::default()
        );
    }
}
