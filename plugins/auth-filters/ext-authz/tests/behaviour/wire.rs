//! Bytes that Envoy's own Go types (go-control-plane 1.39) have written.

use crate::messages::{
    Address, AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValue,
    HeaderValueOption, HttpRequest, HttpResponse, HttpStatus, OkHttpResponse, Peer, Request, SocketAddress,
    Status,
};
use prost::Message;
use prost_types::value::Kind;
use prost_types::{Struct, Timestamp, Value};

const REQUEST: &str = "0a620a200a0f0a0d120831302e302e302e3718e7242208434e3d616c6963652a0370656d22300a080880e2cfaa0610051224\
                       0a0274781204504f53541a060a016112016222022f7048095206485454502f3262020102520c0a076368616e6e656c120163";
const DENIED: &str = "0a05080712016d12080a0308ad031a0162";
const OK: &str = "0a0022110a0f0a047573657212071a05616c6963651a2712080a060a016b12017612080a060a01721a01ff1a110a0f0a04757365\
                  7212071a05616c696365";
const ERROR: &str = "0a02080d2a031a0165";

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn a_question_is_written_as_envoy_writes_it() {
    let question = CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer {
                address: Some(Address {
                    socket_address: Some(SocketAddress {
                        address: text("10.0.0.7"),
                        port_value: Some(4711),
                    }),
                }),
                principal: text("CN=alice"),
                certificate: text("pem"),
            }),
            request: Some(Request {
                time: Some(Timestamp {
                    seconds: 1_700_000_000,
                    nanos: 5,
                }),
                http: Some(HttpRequest {
                    id: text("tx"),
                    method: text("POST"),
                    headers: [(text("a"), text("b"))].into(),
                    path: text("/p"),
                    size: 9,
                    protocol: text("HTTP/2"),
                    raw_body: vec![1, 2].into(),
                }),
            }),
            context_extensions: [(text("channel"), text("c"))].into(),
        }),
    };
    assert_eq!(hex::encode(question.encode_to_vec()), REQUEST);
}

#[test]
fn answers_are_read_as_envoy_reads_them() {
    let status = |code, message| {
        Some(Status {
            code,
            message: text(message),
        })
    };
    let denied = CheckResponse {
        status: status(7, "m"),
        http_response: Some(HttpResponse::Denied(DeniedHttpResponse {
            status: Some(HttpStatus { code: 429 }),
            body: text("b"),
        })),
        dynamic_metadata: None,
    };
    assert_eq!(CheckResponse::decode(bytes(DENIED).as_slice()).unwrap(), denied);
    let alice = Value {
        kind: Some(Kind::StringValue(text("alice"))),
    };
    let user = Struct {
        fields: [(text("user"), alice)].into(),
    };
    let header = |key: &str, value: &str, raw: &'static [u8]| HeaderValueOption {
        header: Some(HeaderValue {
            key: text(key),
            value: text(value),
            raw_value: raw.into(),
        }),
    };
    let ok = CheckResponse {
        status: status(0, ""),
        http_response: Some(HttpResponse::Ok(OkHttpResponse {
            headers: vec![header("k", "v", b""), header("r", "", b"\xff")],
            dynamic_metadata: Some(user.clone()),
        })),
        dynamic_metadata: Some(user),
    };
    assert_eq!(CheckResponse::decode(bytes(OK).as_slice()).unwrap(), ok);
    let error = CheckResponse {
        status: status(13, ""),
        http_response: Some(HttpResponse::Error(DeniedHttpResponse {
            status: None,
            body: text("e"),
        })),
        dynamic_metadata: None,
    };
    assert_eq!(CheckResponse::decode(bytes(ERROR).as_slice()).unwrap(), error);
}
