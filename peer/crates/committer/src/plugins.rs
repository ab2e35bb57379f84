//! What the validator asks of others: validation plugins, by the name that chaincode definitions spell.

use std::sync::Arc;

use crate::action_context::ActionContext;
use crate::rules::SourceError;

/// Where validation plugins come from, which may be exchanged between two blocks.
pub trait PluginSource: Send + Sync {
    /// The plugins that are in force now. Asked once for each block, which is judged by these and no others.
    fn of_block(&self) -> Arc<dyn ValidationPlugins>;
}

/// The validation plugins that are in force together.
pub trait ValidationPlugins: Send + Sync {
    /// The plugin of this name. Asked once for each chaincode of a block.
    fn plugin(&self, name: &str) -> Option<Arc<dyn ValidationPlugin>>;
}

/// A validation plugin. Its verdicts must be those of every other peer.
pub trait ValidationPlugin: Send + Sync {
    /// Judges what a transaction did in one namespace. Called in parallel, where blocking is allowed.
    ///
    /// # Errors
    /// When there is no verdict. Nothing is committed then.
    fn validate(&self, action: ActionContext) -> Result<Verdict, SourceError>;
}

/// What a plugin says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Valid in this namespace.
    Valid,
    /// Invalid, and why.
    Invalid(String),
}
