//! Fabric's messages and services, generated from our own `.proto` files, and the constructions that
//! must match Fabric byte for byte: transaction ids, proposal hashes, block hashes.
//!
//! Not here: any check that needs an identity, a ledger or a channel.

#![forbid(unsafe_code)]

mod block;
mod chaincode_types;
mod clamp;
mod digest;
mod envelope;
mod error_chain;
mod ids;
// one file in two crates: plugins see plugin-api alone, and the messages nothing of the plugin contract
#[path = "../../../../plugin-api/src/protobuf.rs"]
mod lenient;
#[cfg(test)]
mod lenient_tests;
mod message_limits;
mod proposal;
mod unpacked_proposal;

pub use block::{
    BlockError, block_data_hash, block_header_bytes, block_header_hash, last_config_index, new_block,
    set_metadata, tx_filter,
};
pub use chaincode_types::{chaincode_type_number, chaincode_type_text};
pub use clamp::clamped;
pub use digest::sha256;
pub use envelope::{EnvelopeError, SignedData, UnpackedEnvelope, channel_header_of, now_timestamp};
pub use error_chain::wire_message;
pub use ids::{ChaincodeId, ChannelId, TxId};
pub use lenient::decode_as_go;
pub use message_limits::in_grpc_gos_words;
pub use proposal::{compute_tx_id, proposal_hash, proposal_hash_at_commit};
pub use unpacked_proposal::{UnpackError, UnpackedProposal};

/// Size limit of one gRPC message in bytes, both directions (Fabric core/comm/config.go): 100 MiB.
pub const MAX_MESSAGE_SIZE: usize = 100 * 1024 * 1024;

macro_rules! generated {
    ($(#[$doc:meta])* $name:ident, $package:literal) => {
        $(#[$doc])*
        #[allow(
            missing_docs,
            clippy::all,
            clippy::pedantic,
            clippy::restriction,
            clippy::nursery,
            unused_qualifications,
            rust_2018_idioms,
            clippy::allow_attributes_without_reason,
            reason = "generated code; the .proto files carry the documentation"
        )]
        pub mod $name {
            tonic::include_proto!($package);
        }
    };
}

generated!(
    /// Blocks, envelopes, headers, policies and channel configuration.
    common, "common");
generated!(
    /// Identities, principals and MSP configuration.
    msp, "msp");
generated!(
    /// The ordering service.
    orderer, "orderer");
generated!(
    /// Read-write sets.
    rwset, "rwset");
generated!(
    /// The key-value model inside a read-write set.
    kvrwset, "kvrwset");
generated!(
    /// Records of query results.
    queryresult, "queryresult");
generated!(
    /// The state of the 2.x lifecycle.
    lifecycle, "lifecycle");
generated!(
    /// The peer's own service for its plugins (proto package `fabricpeer`).
    plugin_admin, "fabricpeer");
generated!(
    /// Proposals, transactions, chaincode messages and the peer's services (proto package `protos`).
    peer, "protos");
