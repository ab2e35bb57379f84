//! The filter behind the peer's own loader, with an authorization service that the tests play.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the exemptions for tests do not reach their helper functions"
)]

mod answers;
mod broken;
mod configs;
mod connections;
mod harness;
#[path = "../../src/messages.rs"]
#[allow(dead_code, reason = "the tests do not read every message")]
mod messages;
mod questions;
mod service;
mod wire;
