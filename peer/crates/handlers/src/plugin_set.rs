//! [`PluginSet`]: the plugins as one configuration made them. A request keeps the set that it began with.

use crate::auth_chain::AuthChain;
use crate::binding::{Applies, Question};
use crate::decorator_chain::DecoratorChain;
use crate::endorsers::Endorsers;
use crate::instance::PluginInfo;
use crate::metrics::PluginStats;
use crate::platforms::Platforms;
use crate::validators::Validators;
use serde::Serialize;

/// The plugins that are in force together.
#[derive(Debug, Default)]
pub struct PluginSet {
    /// Counts the sets of this process, from 1.
    pub generation: u64,
    /// The auth filters.
    pub auth: AuthChain,
    /// The decorators.
    pub decorators: DecoratorChain,
    /// The language platforms.
    pub platforms: Platforms,
    /// The endorsement plugins.
    pub endorsers: Endorsers,
    /// The validation plugins.
    pub validators: Validators,
}

/// Whether a plugin has a say in what a [`Question`] describes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// Whether it applies.
    pub applies: Applies,
    /// The plugin.
    #[serde(flatten)]
    pub plugin: PluginInfo,
}

impl PluginSet {
    /// The plugins in the order of the configuration (platforms by type, endorsement and validation plugins by
    /// name).
    pub fn list(&self) -> Vec<PluginInfo> {
        self.auth
            .infos()
            .chain(self.decorators.infos())
            .chain(self.platforms.infos())
            .chain(self.endorsers.infos())
            .chain(self.validators.infos())
            .cloned()
            .collect()
    }

    /// How the instances fare.
    pub fn stats(&self) -> Vec<PluginStats> {
        self.auth
            .stats()
            .chain(self.decorators.stats())
            .chain(self.platforms.stats())
            .chain(self.endorsers.stats())
            .chain(self.validators.stats())
            .collect()
    }

    /// The chain of auth filters and decorators for a proposal, in its order.
    pub fn explain(&self, question: &Question) -> Vec<Explained> {
        self.auth
            .bound()
            .chain(self.decorators.bound())
            .map(|(plugin, binding)| Explained {
                applies: binding.answer(question),
                plugin: plugin.clone(),
            })
            .collect()
    }
}
