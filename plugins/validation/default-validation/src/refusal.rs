//! [`Refusal`]: why there is no verdict "valid".

use plugin_api::PluginError;

/// The transaction's fault, or the peer's.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The transaction is invalid.
    Invalid(String),
    /// There is no verdict.
    Failed(PluginError),
}

impl From<PluginError> for Refusal {
    fn from(error: PluginError) -> Self {
        Self::Failed(error)
    }
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Invalid(reason)
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self::Invalid(reason.to_owned())
    }
}
