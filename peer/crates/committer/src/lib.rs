//! Validates a block's transactions as Fabric's txvalidator and VSCC do: headers, signatures, proposal hashes,
//! endorsement policies of chaincodes and of single keys, and the rules for deploying chaincode.
//!
//! Not here: versions of what transactions read (MVCC is the ledger's), and applying configurations.

#![forbid(unsafe_code)]

mod block;
mod chaincode_names;
mod definitions;
mod endorsements;
mod envelope;
mod failure;
mod lscc_rules;
mod namespaces;
mod rules;
mod rwset;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
#[cfg(test)]
mod tests;
mod transaction;
mod upgrades;
mod validator;

pub use chaincode_names::{is_reserved_name, is_valid_name, is_valid_version};
pub use failure::ValidationError;
pub use rules::{
    ChannelRules, CommittedState, ConfigRefusal, ConfigRules, SourceError, ValidationCapabilities,
};
pub use validator::TxValidator;
