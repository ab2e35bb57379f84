//! Plugins of other versions of plugin-api, of other compilers and with other things inside, in this peer: loaded, every
//! hook called, every result compared. COMPATIBILITY.md is what this holds the project to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "the exemptions for tests do not reach their helper functions"
)]

mod builds;
mod c_mode;
mod exercise;
mod fixtures;
mod incompatible;
mod library;
