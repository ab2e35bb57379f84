//! Decoding as Go does, with messages of Fabric's own.

use bytes::Bytes;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::common::{ChannelHeader, ConfigGroup, Header, Payload};
use crate::decode_as_go;
use crate::kvrwset::{KvRead, KvWrite, KvrwSet, Version};
use crate::peer::ChaincodeProposalPayload;

fn put_nested(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

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
