//! The filter behind the peer's own loader, with tokens and key servers that the tests make.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the exemptions for tests do not reach their helper functions"
)]

mod bound;
mod configs;
mod fetched;
mod harness;
mod issuer;
mod server;
mod tokens;
