//! Conformance kit: the promises that every plugin library must keep, whoever wrote it.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! conformance::check(&conformance::library("my_plugin")?, "{}")?;
//! # Ok(())
//! # }
//! ```
//! It loads the library with the peer's own loader and calls it the way the peer does. What a filter does beyond the
//! promises of its kind is tested with [`behaviour`].

#![forbid(unsafe_code)]

mod auth_filters;
pub mod behaviour;
mod configs;
mod decorators;
mod inputs;
mod platforms;
mod promises;

use anyhow::{Context, Result, bail, ensure};
use handlers::{Config, Executor, Kind, LoadErrors, Registry, inspect};
use promises::Promises;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokio::runtime::Builder;

/// The library of the crate whose integration test is running: cargo puts both into one folder.
///
/// The crate needs `crate-type = ["cdylib", "rlib"]`: a `cdylib` alone is not built for tests.
pub fn library(crate_name: &str) -> Result<PathBuf> {
    let binary = std::env::current_exe().context("where is this test?")?;
    let folder = binary.parent().context("this test lies in no folder")?;
    let library = folder.join(format!("lib{}.so", crate_name.replace('-', "_")));
    ensure!(library.is_file(), "{} is missing", library.display());
    Ok(library)
}

/// Checks every promise of every kind that the library offers; `config_json` is a good configuration.
pub fn check(library: &Path, config_json: &str) -> Result<()> {
    let plugin = Plugin::new(library, config_json)?;
    let mut promises = Promises::default();
    plugin.check_manifest(&mut promises)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    for kind in inspect(library)?.kinds {
        configs::check(&plugin, kind, &mut promises);
        for executor in [Executor::Inline, Executor::Isolated] {
            runtime.block_on(async {
                match kind {
                    Kind::AuthFilter => auth_filters::check(&plugin, executor, &mut promises).await,
                    Kind::Decorator => decorators::check(&plugin, executor, &mut promises).await,
                    Kind::Platform => platforms::check(&plugin, &mut promises).await,
                }
            })?;
        }
    }
    promises.kept(library)
}

/// Checks that a platform packs a folder of sources, always into the same bytes, and accepts the result.
pub fn check_packages(library: &Path, config_json: &str, sources: &Path) -> Result<()> {
    let plugin = Plugin::new(library, config_json)?;
    let mut promises = Promises::default();
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(platforms::check_packages(&plugin, sources, &mut promises))?;
    promises.kept(library)
}

/// The library under test.
struct Plugin {
    library: PathBuf,
    config: Value,
}

impl Plugin {
    fn new(library: &Path, config_json: &str) -> Result<Self> {
        let config = serde_json::from_str(config_json).context("the good configuration is not JSON")?;
        Ok(Self {
            library: library.canonicalize()?,
            config,
        })
    }

    /// Loads one instance of one kind.
    fn load(&self, kind: Kind, executor: Executor, config: &Value) -> Result<Registry, LoadErrors> {
        let folder = self.library.parent().unwrap_or(Path::new("/"));
        let entry = json!({
            "name": "conformance",
            "library": self.library,
            "executor": executor,
            "config": config,
        });
        let mut section = json!({ "pluginDirs": [folder], "maxReloads": 1000 });
        if let Some(section) = section.as_object_mut() {
            section.insert(kind.key().to_owned(), json!([entry]));
        }
        match serde_json::from_value::<Config>(section) {
            Ok(config) => Registry::load(&config, &[]),
            // the section is made right here
            Err(_impossible) => Err(LoadErrors(Vec::new())),
        }
    }

    fn good(&self, kind: Kind, executor: Executor) -> Result<Registry> {
        self.load(kind, executor, &self.config)
            .map_err(|errors| anyhow::anyhow!("{errors}"))
    }

    fn check_manifest(&self, promises: &mut Promises) -> Result<()> {
        let manifest = inspect(&self.library).with_context(|| self.library.display().to_string())?;
        promises.check(!manifest.name.is_empty(), "the manifest names the plugin");
        promises.check(!manifest.version.is_empty(), "the manifest says a version");
        promises.check(manifest.unwinds, "the library is built with panic = \"unwind\"");
        let Some(kind) = manifest.kinds.first() else {
            bail!("the manifest names no kind")
        };
        let loaded = self.good(*kind, Executor::Inline)?.list();
        let Some(info) = loaded.first() else {
            bail!("nothing was loaded")
        };
        promises.check(
            info.plugin == manifest.name,
            "metadata and manifest have one name",
        );
        promises.check(
            info.version == manifest.version,
            "metadata and manifest have one version",
        );
        promises.check(!info.description.is_empty(), "the plugin describes itself");
        Ok(())
    }
}
