//! Loads the fault plugin in all its modes, and many broken copies of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the exemptions for tests do not reach their helper functions"
)]

mod binding;
mod chain;
mod crash;
mod endorsers;
mod gallery;
mod harness;
mod looking;
mod network;
mod refusals;
mod reload;
mod seen;
mod stop;
mod stuck;
mod validators;
