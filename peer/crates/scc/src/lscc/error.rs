//! What LSCC answers when it refuses. The texts are Fabric 1.4's and 2.5's.

use chaincode::{PackageError, SecurityError};
use msp::policy::{CompileError, PolicyError};
use protos::ChaincodeId;

use super::state::StateError;

/// Why LSCC does not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LsccError {
    #[error("invalid function to lscc: {0}")]
    Function(String),
    #[error("invalid number of arguments to lscc: {0}")]
    Arguments(usize),
    #[error("access denied for [{function}]{channel}: {reason}")]
    Denied {
        function: String,
        /// `[channel]`, or empty for the peer's own resources.
        channel: String,
        reason: String,
    },
    /// The request contradicts the channel's state or configuration.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("error while marshalling: {0}")]
    Stored(String),
    #[error(transparent)]
    Package(#[from] InstalledError),
    #[error(transparent)]
    Policy(#[from] InstantiationError),
}

/// What is wrong with an installed package.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstalledError {
    #[error("cannot get package for chaincode ({0})")]
    Missing(ChaincodeId),
    #[error("invalid deployment spec")]
    Unreadable(#[source] PackageError),
    #[error(transparent)]
    Mismatch(SecurityError),
}

/// Why a proposal may not deploy or upgrade.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstantiationError {
    #[error("instantiation policy missing")]
    Missing,
    #[error("instantiation policy is malformed")]
    Malformed(#[source] CompileError),
    #[error("instantiation policy violation")]
    Violated(#[source] PolicyError),
}

impl LsccError {
    pub(crate) fn exists(name: &str) -> Self {
        Self::Refused(format!("chaincode with name '{name}' already exists"))
    }

    pub(crate) fn not_found(name: &str) -> Self {
        Self::Refused(format!("could not find chaincode with name '{name}'"))
    }

    pub(crate) fn same_version(name: &str) -> Self {
        Self::Refused(format!("version already exists for chaincode with name '{name}'"))
    }

    pub(crate) fn name(name: &str) -> Self {
        Self::Refused(format!(
            "invalid chaincode name '{name}'. Names must start with an alphanumeric character and can only consist of alphanumerics, '_', and '-'"
        ))
    }

    pub(crate) fn version(version: &str) -> Self {
        Self::Refused(format!(
            "invalid chaincode version '{version}'. Versions must not be empty and can only consist of alphanumerics, '_',  '-', '+', and '.'"
        ))
    }
}
