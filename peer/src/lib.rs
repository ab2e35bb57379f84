//! The peer: command line, composition root and gRPC services.

#![forbid(unsafe_code)]

pub mod cli;
pub mod client;
pub mod dev;
pub mod grpc;
pub mod logging;
pub mod node;
pub mod operations;
pub mod version;
