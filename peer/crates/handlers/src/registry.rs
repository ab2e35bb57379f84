//! [`Registry`]: everything that `peer.handlers` names, loaded.

use crate::auth_chain::AuthChain;
use crate::config::Config;
use crate::decorator_chain::DecoratorChain;
use crate::instance::PluginInfo;
use crate::load_error::LoadErrors;
use crate::loading::{Loaded, Loader};
use crate::metric::Metric;
use crate::metrics::PluginStats;
use crate::own_metrics::PluginMetrics;
use crate::platforms::Platforms;
use crate::plugin_host::Mapped;
use std::path::PathBuf;
use std::sync::Arc;
use tracing::info;

/// Version of the plugin contract that this peer supports: `major.minor`.
#[must_use]
pub fn api_version() -> String {
    format!(
        "{}.{}",
        plugin_api::manifest::API_MAJOR,
        plugin_api::manifest::API_MINOR
    )
}

/// The loaded plugins.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    auth: AuthChain,
    decorators: DecoratorChain,
    platforms: Platforms,
    metrics: Arc<PluginMetrics>,
}

impl Registry {
    /// Loads every entry, or reports every entry that cannot be loaded. `own_dirs` are plugin folders that are
    /// looked at after those of the configuration.
    ///
    /// Reads files and runs constructors: call it outside of the async path.
    pub fn load(config: &Config, own_dirs: &[PathBuf]) -> Result<Self, LoadErrors> {
        let metrics = Arc::default();
        let Loaded {
            filters,
            decorators,
            platforms,
        } = Loader::new(config, own_dirs, Arc::clone(&metrics)).load()?;
        let registry = Self {
            auth: AuthChain::new(filters),
            decorators: DecoratorChain::new(decorators),
            platforms: Platforms::new(platforms),
            metrics,
        };
        for plugin in registry.list() {
            info!(
                plugin = plugin.instance,
                kind = ?plugin.kind,
                version = plugin.version,
                file = plugin.file,
                sha256 = plugin.sha256,
                "plugin loaded"
            );
        }
        Ok(registry)
    }

    /// The auth filters.
    pub fn auth_chain(&self) -> AuthChain {
        self.auth.clone()
    }

    /// The decorators.
    pub fn decorators(&self) -> DecoratorChain {
        self.decorators.clone()
    }

    /// The language platforms.
    pub fn platforms(&self) -> Platforms {
        self.platforms.clone()
    }

    /// What is loaded, in the order of the configuration (platforms by type).
    pub fn list(&self) -> Vec<PluginInfo> {
        self.auth
            .infos()
            .chain(self.decorators.infos())
            .chain(self.platforms.infos())
            .cloned()
            .collect()
    }

    /// How the instances fare.
    pub fn stats(&self) -> Vec<PluginStats> {
        self.auth
            .stats()
            .chain(self.decorators.stats())
            .chain(self.platforms.stats())
            .collect()
    }

    /// What the peer measures of its plugins, and the values that plugins keep through their host.
    pub fn metrics(&self) -> Vec<Metric> {
        let mapped = Mapped::of_process();
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
        ];
        metrics.extend(self.list().iter().map(PluginInfo::metric));
        metrics.extend(self.stats().iter().flat_map(PluginStats::metrics));
        metrics.extend(self.metrics.snapshot());
        metrics
    }
}
