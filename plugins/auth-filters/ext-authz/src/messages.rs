//! The messages, by the field numbers of `envoy.service.auth.v3` and of Fabric; only the fields that are used.

use bytes::Bytes;
use prost::{Message, Oneof};
use std::collections::BTreeMap;

/// `envoy.service.auth.v3.CheckRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) attributes: Option<AttributeContext>,
}

/// `AttributeContext`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AttributeContext {
    #[prost(message, optional, tag = "1")]
    pub(crate) source: Option<Peer>,
    #[prost(message, optional, tag = "4")]
    pub(crate) request: Option<Request>,
    #[prost(btree_map = "string, string", tag = "10")]
    pub(crate) context_extensions: BTreeMap<String, String>,
}

/// `AttributeContext.Peer`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Peer {
    #[prost(message, optional, tag = "1")]
    pub(crate) address: Option<Address>,
    #[prost(string, tag = "4")]
    pub(crate) principal: String,
    /// PEM, percent-encoded.
    #[prost(string, tag = "5")]
    pub(crate) certificate: String,
}

/// `envoy.config.core.v3.Address`, with the one kind of address that clients of a peer have.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Address {
    #[prost(message, optional, tag = "1")]
    pub(crate) socket_address: Option<SocketAddress>,
}

/// `envoy.config.core.v3.SocketAddress`; protocol 0 is TCP.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct SocketAddress {
    #[prost(string, tag = "2")]
    pub(crate) address: String,
    /// Part of a oneof, so it is written even if it is 0.
    #[prost(uint32, optional, tag = "3")]
    pub(crate) port_value: Option<u32>,
}

/// `AttributeContext.Request`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    #[prost(message, optional, tag = "1")]
    pub(crate) time: Option<prost_types::Timestamp>,
    #[prost(message, optional, tag = "2")]
    pub(crate) http: Option<HttpRequest>,
}

/// `AttributeContext.HttpRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpRequest {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(string, tag = "2")]
    pub(crate) method: String,
    #[prost(btree_map = "string, string", tag = "3")]
    pub(crate) headers: BTreeMap<String, String>,
    #[prost(string, tag = "4")]
    pub(crate) path: String,
    #[prost(int64, tag = "9")]
    pub(crate) size: i64,
    #[prost(string, tag = "10")]
    pub(crate) protocol: String,
    #[prost(bytes = "bytes", tag = "12")]
    pub(crate) raw_body: Bytes,
}

/// `CheckResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<Status>,
    #[prost(oneof = "HttpResponse", tags = "2, 3, 5")]
    pub(crate) http_response: Option<HttpResponse>,
    #[prost(message, optional, tag = "4")]
    pub(crate) dynamic_metadata: Option<prost_types::Struct>,
}

/// What a proxy would do with the request.
#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum HttpResponse {
    #[prost(message, tag = "2")]
    Denied(DeniedHttpResponse),
    #[prost(message, tag = "3")]
    Ok(OkHttpResponse),
    /// The service could not decide.
    #[prost(message, tag = "5")]
    Error(DeniedHttpResponse),
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

/// `DeniedHttpResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeniedHttpResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<HttpStatus>,
    #[prost(string, tag = "3")]
    pub(crate) body: String,
}

/// `envoy.type.v3.HttpStatus`; its enum has the numbers of HTTP.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HttpStatus {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
}

/// `OkHttpResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct OkHttpResponse {
    #[prost(message, repeated, tag = "2")]
    pub(crate) headers: Vec<HeaderValueOption>,
    /// Deprecated for the field of [`CheckResponse`], but goes before it as long as it is there.
    #[prost(message, optional, tag = "3")]
    pub(crate) dynamic_metadata: Option<prost_types::Struct>,
}

/// `envoy.config.core.v3.HeaderValueOption`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeaderValueOption {
    #[prost(message, optional, tag = "1")]
    pub(crate) header: Option<HeaderValue>,
}

/// `envoy.config.core.v3.HeaderValue`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct HeaderValue {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
    /// Instead of `value`.
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) raw_value: Bytes,
}

/// `protos.Proposal`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Proposal {
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) payload: Bytes,
}

/// `protos.ChaincodeProposalPayload`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeProposalPayload {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) input: Bytes,
}

/// `protos.ChaincodeInvocationSpec`. From here on messages and not bytes, as in Fabric: a field that occurs twice is
/// merged, and what the endorser reads is what the service has to hear.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeInvocationSpec {
    #[prost(message, optional, tag = "1")]
    pub(crate) chaincode_spec: Option<ChaincodeSpec>,
}

/// `protos.ChaincodeSpec`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeSpec {
    #[prost(message, optional, tag = "3")]
    pub(crate) input: Option<ChaincodeInput>,
}

/// `protos.ChaincodeInput`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeInput {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) args: Vec<Bytes>,
}
