//! Validates a block's transactions as Fabric's txvalidator does: headers, signatures, proposal hashes, which namespaces
//! may be written; whether that was endorsed as it must be, validation plugins say.
//!
//! Not here: versions of what transactions read (MVCC is the ledger's), and applying configurations.

#![forbid(unsafe_code)]

mod action_context;
mod block;
// one file in two crates: plugins see plugin-api alone, and the committer nothing of the plugin contract
#[path = "../../../../plugin-api/src/chaincode_name.rs"]
mod chaincode_names;
mod definitions;
mod envelope;
mod failure;
mod namespaces;
mod plugins;
mod rules;
mod rwset;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
#[cfg(test)]
mod tests;
mod transaction;
mod upgrades;
mod validator;

pub use action_context::{ActionContext, SignedParts};
pub use chaincode_names::{is_reserved_name, is_valid_name, is_valid_version};
pub use failure::ValidationError;
pub use plugins::{PluginSource, ValidationPlugin, ValidationPlugins, Verdict};
pub use rules::{
    ChannelRules, CommittedState, ConfigRefusal, ConfigRules, SourceError, ValidationCapabilities,
};
pub use validator::TxValidator;
