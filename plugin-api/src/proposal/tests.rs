//! Proposals as clients and attackers write them.

use super::messages::ChaincodeSpec;
use super::*;
use crate::Code;

/// `ChaincodeInput` with everything in it.
#[derive(Clone, PartialEq, Message)]
struct Input {
    #[prost(bytes = "vec", repeated, tag = "1")]
    args: Vec<Vec<u8>>,
    #[prost(string, tag = "2")]
    other: String,
    #[prost(bool, tag = "3")]
    is_init: bool,
}

/// A length-delimited field with a number below 16 and up to 127 bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
    bytes.extend_from_slice(content);
    bytes
}

fn proposal_with_input(input: &[u8]) -> SharedBytes {
    let spec = field(1, &field(3, input));
    field(2, &field(1, &spec)).into()
}

fn proposal_with_header(channel_header: &[u8]) -> SharedBytes {
    field(1, &field(1, channel_header)).into()
}

fn input(args: &[&[u8]]) -> Vec<u8> {
    let args = args.iter().map(|arg| arg.to_vec()).collect();
    let other = "ignored".to_owned();
    let is_init = true;
    Input { args, other, is_init }.encode_to_vec()
}

#[test]
fn the_first_argument_is_the_function() {
    let seen = call(proposal_with_input(&input(&[b"put", b"a", b""]))).unwrap();
    assert_eq!((seen.function(), seen.arguments()), (b"put".as_slice(), 2));
    assert!(seen.is_init());
    let none = call(proposal_with_input(b"")).unwrap();
    assert_eq!((none.function(), none.arguments()), (b"".as_slice(), 0));
    assert!(!none.is_init());
}

#[test]
fn inputs_that_come_in_parts_are_joined_as_the_peer_joins_them() {
    // the same field of a message twice: the decoder appends the arguments
    let parts = [field(3, &input(&[b"put"])), field(3, &input(&[b"forged"]))].concat();
    let seen = call(field(2, &field(1, &field(1, &parts))).into()).unwrap();
    assert_eq!((seen.function(), seen.arguments()), (b"put".as_slice(), 1));
    let two_payloads = [
        proposal_with_input(&input(&[b"first"])).to_vec(),
        proposal_with_input(&input(&[b"last"])).to_vec(),
    ];
    let seen = call(two_payloads.concat().into()).unwrap();
    assert_eq!(
        seen.function(),
        b"last",
        "of a field of bytes, the last one counts"
    );
}

#[test]
fn a_million_arguments_are_only_counted() {
    let mut spec = Vec::new();
    let input = [0x0a, 0x00].repeat(1_000_000);
    prost::encoding::encode_key(3, prost::encoding::WireType::LengthDelimited, &mut spec);
    prost::encoding::encode_varint(2_000_000, &mut spec);
    spec.extend(input);
    let seen = ChaincodeSpec::decode(spec.as_slice()).unwrap().input.unwrap();
    assert_eq!(seen.args, 1_000_000);
    assert_eq!(seen.encoded_len(), 2_000_000);
}

#[test]
fn what_is_left_of_an_input_is_written_as_it_was_read() {
    let original = Input {
        args: vec![b"f".to_vec(), Vec::new()],
        is_init: true,
        ..Input::default()
    };
    let bytes = original.encode_to_vec();
    let read = ChaincodeInput::decode(bytes.as_slice()).unwrap();
    assert_eq!(
        (read.encode_to_vec(), read.encoded_len()),
        (bytes.clone(), bytes.len())
    );
}

#[test]
fn a_function_is_shown_as_text_of_limited_length() {
    let seen = call(proposal_with_input(&input(&[b"\xffabcdef"]))).unwrap();
    assert_eq!(seen.function_text(4), "\u{fffd}abc");
    assert_eq!(seen.function_text(100), "\u{fffd}abcdef");
}

#[test]
fn every_level_that_is_wrong_is_named() {
    let garbage = b"\xff\xff";
    for (bytes, text) in [
        (garbage.to_vec(), "the proposal cannot be decoded: "),
        (
            field(2, garbage),
            "the payload of the proposal cannot be decoded: ",
        ),
        (
            field(2, &field(1, garbage)),
            "the invocation of the proposal cannot be decoded: ",
        ),
        (Vec::new(), "the proposal has no chaincode specification"),
        (
            field(2, &field(1, &field(1, b""))),
            "the proposal has no chaincode input",
        ),
    ] {
        let error = call(bytes.into()).unwrap_err();
        assert_eq!(error.code, Code::INVALID_ARGUMENT);
        assert!(error.message.starts_with(text), "{error}");
    }
    for (bytes, text) in [
        (garbage.to_vec(), "the proposal cannot be decoded: "),
        (
            field(1, garbage),
            "the header of the proposal cannot be decoded: ",
        ),
        (
            field(1, &field(1, garbage)),
            "the channel header of the proposal cannot be decoded: ",
        ),
        (Vec::new(), "the proposal has no channel header"),
    ] {
        let error = channel_header(bytes.into()).unwrap_err();
        assert_eq!(error.code, Code::INVALID_ARGUMENT);
        assert!(error.message.starts_with(text), "{error}");
    }
}

#[test]
fn the_channel_header_says_its_type_and_its_time() {
    let header = [vec![0x08, 3], field(3, &[0x08, 10, 0x10, 5])].concat();
    let seen = channel_header(proposal_with_header(&header)).unwrap();
    let timestamp = Timestamp {
        seconds: 10,
        nanos: 5,
    };
    assert_eq!((seen.header_type, seen.timestamp), (3, Some(timestamp)));
    assert_eq!(
        timestamp.to_system_time(),
        UNIX_EPOCH.checked_add(Duration::new(10, 5))
    );
    let without = channel_header(proposal_with_header(&[0x08, 3])).unwrap();
    assert_eq!(without.timestamp, None);
}

#[test]
fn times_that_protobuf_does_not_allow_are_none() {
    let time = |seconds, nanos| Timestamp { seconds, nanos }.to_system_time();
    for (seconds, nanos) in [
        (0, -1),
        (0, 1_000_000_000),
        (0, i32::MIN),
        (i64::MAX, 0),
        (i64::MIN, 0),
        (YEAR_10000, 0),
        (YEAR_1 - 1, 0),
    ] {
        assert_eq!(time(seconds, nanos), None, "{seconds} {nanos}");
    }
    assert_eq!(
        time(-1, 500_000_000),
        UNIX_EPOCH.checked_sub(Duration::from_millis(500))
    );
    assert!(time(YEAR_10000 - 1, 999_999_999).is_some() && time(YEAR_1, 0).is_some());
}
