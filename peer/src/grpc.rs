//! The gRPC services of the peer's main listener: bytes in, bytes out, nothing else.

pub mod endorser_server;
mod proposal_codec;
