//! The two ways a validation ends badly: the transaction is invalid, or the peer cannot tell.

use protos::peer::TxValidationCode;

use crate::rules::SourceError;

/// Why a block could not be validated. Nothing is committed then.
#[derive(Debug, thiserror::Error)]
pub enum ValidationError {
    /// The ledger could not be read.
    #[error("could not read the ledger for transaction {index}")]
    Ledger {
        /// The transaction's place in the block.
        index: usize,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// The definition of a chaincode demands a plugin that this peer does not have. The text is Fabric's.
    #[error("plugin with name {0} couldn't be used: plugin with name {0} wasn't found")]
    UnknownPlugin(String),
    /// A validation plugin came to no verdict.
    #[error("validation plugin {plugin} came to no verdict on transaction {index}")]
    Plugin {
        /// The plugin, as the chaincode's definition names it.
        plugin: String,
        /// The transaction's place in the block.
        index: usize,
        /// Why.
        #[source]
        source: SourceError,
    },
    /// The channel has agreed on a configuration that this peer cannot work with.
    #[error("channel has a new configuration that this peer does not support, a newer peer is needed")]
    UnsupportedConfig(#[source] SourceError),
    /// The threads that validate could not be started.
    #[error("could not start the validator pool")]
    Pool(#[source] rayon::ThreadPoolBuildError),
}

/// A transaction's own fault: it stays in the block with this code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Invalid {
    pub(crate) code: TxValidationCode,
    pub(crate) reason: String,
}

impl Invalid {
    pub(crate) fn new(code: TxValidationCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    pub(crate) fn policy(reason: impl Into<String>) -> Self {
        Self::new(TxValidationCode::EndorsementPolicyFailure, reason)
    }
}

/// Either of the two.
#[derive(Debug)]
pub(crate) enum Failure {
    Invalid(Invalid),
    /// The peer's, not the transaction's: it stops the block.
    Unreadable(SourceError),
    UnknownPlugin(String),
    Plugin(String, SourceError),
    UnsupportedConfig(SourceError),
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl Failure {
    /// The code, or the error that stops the block.
    pub(crate) fn into_invalid(self, index: usize) -> Result<Invalid, ValidationError> {
        match self {
            Self::Invalid(invalid) => Ok(invalid),
            Self::Unreadable(source) => Err(ValidationError::Ledger { index, source }),
            Self::UnknownPlugin(name) => Err(ValidationError::UnknownPlugin(name)),
            Self::Plugin(plugin, source) => Err(ValidationError::Plugin {
                plugin,
                index,
                source,
            }),
            Self::UnsupportedConfig(source) => Err(ValidationError::UnsupportedConfig(source)),
        }
    }
}
