//! Loads the fault plugin in all its modes, and many broken copies of it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the exemptions for tests do not reach their helper functions"
)]

mod chain;
mod crash;
mod harness;
mod network;
mod refusals;
mod seen;
mod stop;
mod stuck;
