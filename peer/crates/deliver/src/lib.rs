//! Deliver: the block streaming service that peer and orderer share, and the clients of it.
//!
//! - [`server`]: answers a stream of seek requests with blocks or filtered blocks;
//! - [`client`]: follows an orderer, broadcasts, fetches blocks, waits for a transaction's commit;
//! - [`verify_block`]: whether a block is what the ordering service of a channel signed.
//!
//! Not here: where blocks are kept and who may read them (see [`server::BlockSource`]).

#![forbid(unsafe_code)]

pub mod client;
mod envelope;
pub mod server;
mod verify;

pub use envelope::{EnvelopeContent, SignEnvelopeError, create_signed_envelope, new_signature_header};
pub use verify::{VerifyBlockError, verify_block};
