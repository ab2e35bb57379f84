//! [`Registry`]: the plugins that `peer.handlers` names, and their exchange while requests are under way.

use crate::auth_chain::AuthChain;
use crate::config::Config;
use crate::decorator_chain::DecoratorChain;
use crate::endorsers::Endorsers;
use crate::instance::PluginInfo;
use crate::load_error::LoadErrors;
use crate::loading::{Loaded, Loader, Shared};
use crate::metric::Metric;
use crate::metrics::PluginStats;
use crate::platforms::Platforms;
use crate::plugin_host::Mapped;
use crate::plugin_set::PluginSet;
use crate::reload::{Reload, changes};
use crate::validators::Validators;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Version of the plugin contract that this peer supports: `major.minor`.
#[must_use]
pub fn api_version() -> String {
    format!(
        "{}.{}",
        plugin_api::manifest::API_MAJOR,
        plugin_api::manifest::API_MINOR
    )
}

/// The loaded plugins. Clones are the same registry.
#[derive(Clone, Default)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    current: ArcSwap<PluginSet>,
    shared: Shared,
    /// One reload at a time.
    reloading: Mutex<()>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.current()).finish()
    }
}

impl Registry {
    /// Loads every entry, or reports every entry that cannot be loaded. `own_dirs` are plugin folders that are
    /// looked at after those of the configuration.
    ///
    /// Reads files and runs constructors: call it outside of the async path.
    pub fn load(config: &Config, own_dirs: &[PathBuf]) -> Result<Self, LoadErrors> {
        let registry = Self::default();
        registry.reload(config, own_dirs)?;
        Ok(registry)
    }

    /// Puts the plugins of another configuration in the place of those that run, in one step: a request that is under
    /// way ends with those that it began with. What has not changed goes on, with its state; code is never unmapped.
    /// When an entry cannot be loaded, everything stays as it is.
    ///
    /// Reads files and runs constructors: call it outside of the async path.
    pub fn reload(&self, config: &Config, own_dirs: &[PathBuf]) -> Result<Reload, LoadErrors> {
        let _one_at_a_time = self.inner.reloading.lock();
        let running = self.current();
        let Loaded {
            filters,
            decorators,
            platforms,
            endorsers,
            validators,
        } = Loader::new(config, own_dirs, &self.inner.shared, &running).load()?;
        let next = Arc::new(PluginSet {
            generation: running.generation.saturating_add(1),
            auth: AuthChain::new(filters),
            decorators: DecoratorChain::new(decorators),
            platforms: Platforms::new(platforms),
            endorsers: Endorsers::new(endorsers),
            validators: Validators::new(validators),
        });
        let reload = Reload {
            generation: next.generation,
            changes: changes(&running, &next),
        };
        self.inner.current.store(Arc::clone(&next));
        reload.log();
        self.inner.shared.retain(&next);
        Ok(reload)
    }

    /// The plugins that are in force now. Whoever does several things for one request takes them once.
    #[must_use]
    pub fn current(&self) -> Arc<PluginSet> {
        self.inner.current.load_full()
    }

    /// The auth filters of now.
    pub fn auth_chain(&self) -> AuthChain {
        self.current().auth.clone()
    }

    /// The decorators of now.
    pub fn decorators(&self) -> DecoratorChain {
        self.current().decorators.clone()
    }

    /// The language platforms of now.
    pub fn platforms(&self) -> Platforms {
        self.current().platforms.clone()
    }

    /// The endorsement plugins of now.
    pub fn endorsers(&self) -> Endorsers {
        self.current().endorsers.clone()
    }

    /// The validation plugins of now.
    pub fn validators(&self) -> Validators {
        self.current().validators.clone()
    }

    /// What is loaded, see [`PluginSet::list`].
    pub fn list(&self) -> Vec<PluginInfo> {
        self.current().list()
    }

    /// How the instances fare.
    pub fn stats(&self) -> Vec<PluginStats> {
        self.current().stats()
    }

    /// What the peer measures of its plugins, and the values that plugins keep through their host.
    pub fn metrics(&self) -> Vec<Metric> {
        let mapped = Mapped::of_process();
        let current = self.current();
        let (libraries, bytes) = (mapped.libraries, mapped.bytes);
        let mut metrics = vec![
            Metric::gauge(
                "plugin_loaded_libraries",
                "Library files that are mapped.",
                libraries,
            ),
            Metric::gauge(
                "plugin_loaded_bytes",
                "Size of the library files that are mapped.",
                bytes,
            ),
            Metric::gauge(
                "plugin_generation",
                "Sets of plugins that were in force since the peer started, the present one included.",
                current.generation,
            ),
        ];
        metrics.extend(current.list().iter().map(PluginInfo::metric));
        metrics.extend(current.stats().iter().flat_map(PluginStats::metrics));
        metrics.extend(self.inner.shared.metrics.snapshot());
        metrics
    }
}
