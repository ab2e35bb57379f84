//! The gRPC services of the peer's main listener: bytes in, bytes out, nothing else.

pub mod endorser_server;
pub mod guarded;
pub mod metrics;
pub mod plugin_admin;
mod proposal_codec;
mod request_plugins;
