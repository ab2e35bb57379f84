//! A network in a temporary folder for tests of this and upper crates: organisations, a channel's genesis block,
//! proposals, transactions and blocks, all really signed; a ledger in memory; a validation plugin.

#![allow(clippy::expect_used, reason = "test support: a broken fixture ends the test")]

mod network;
mod plugins;
mod proposal;
mod state;
mod transaction;

pub use network::{TestNetwork, TestOrg};
pub use plugins::PolicyPlugins;
pub use proposal::{TestProposal, chaincode_input};
pub use state::{FakeState, definition, policy};
pub use transaction::{TestTransaction, deployment_spec};
