//! A network in a temporary folder for tests of this and upper crates: organisations, a channel's genesis block,
//! proposals, transactions and blocks, all really signed.

#![allow(clippy::expect_used, reason = "test support: a broken fixture ends the test")]

mod network;
mod proposal;
mod transaction;

pub use network::{TestNetwork, TestOrg};
pub use proposal::{TestProposal, chaincode_input};
pub use transaction::{TestTransaction, deployment_spec};
