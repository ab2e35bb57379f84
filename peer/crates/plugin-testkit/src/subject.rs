//! [`Subject`]: the library under test and its good configuration.

use crate::promises::Promises;
use anyhow::{Context, Result, bail};
use handlers::{Config, Executor, Kind, LoadErrors, Registry, inspect};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The name of the instance under test.
pub(crate) const NAME: &str = "conformance";

/// How long a call of a request may take, in milliseconds: longer than by default in a peer, since a plugin is not to
/// blame for what else the machine does.
const DEADLINE: u64 = 10_000;

/// The library under test.
#[derive(Clone, Debug)]
pub struct Subject {
    pub(crate) library: PathBuf,
    pub(crate) config: Value,
    pub(crate) sources: Option<PathBuf>,
}

impl Subject {
    /// A library with a configuration that it accepts.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn new(library: &Path, config: Value) -> Result<Self> {
        let real = library.canonicalize();
        Ok(Self {
            library: real.with_context(|| library.display().to_string())?,
            config,
            sources: None,
        })
    }

    /// With a folder that a platform can pack.
    #[must_use]
    pub fn with_sources(mut self, sources: &Path) -> Self {
        self.sources = Some(sources.to_owned());
        self
    }

    /// The kinds that the library offers.
    ///
    /// # Errors
    /// When it is no plugin, or this peer would refuse it.
    pub fn kinds(&self) -> Result<Vec<Kind>> {
        let manifest = inspect(&self.library).with_context(|| self.library.display().to_string())?;
        if let Some(refusal) = manifest.refusal {
            bail!("{}: {refusal}", self.library.display());
        }
        Ok(manifest.kinds)
    }

    /// Loads one instance of one kind.
    pub(crate) fn load(
        &self,
        kind: Kind,
        executor: Executor,
        config: &Value,
    ) -> Result<Registry, LoadErrors> {
        let folder = self.library.parent().unwrap_or(Path::new("/"));
        let mut entry = json!({
            "name": NAME,
            "library": self.library,
            "executor": executor,
            "config": config,
        });
        if matches!(kind, Kind::AuthFilter | Kind::Decorator | Kind::Endorsement)
            && let Some(entry) = entry.as_object_mut()
        {
            entry.insert("timeoutMs".to_owned(), DEADLINE.into());
        }
        let mut section = json!({ "pluginDirs": [folder], "maxReloads": 1000 });
        if let Some(section) = section.as_object_mut() {
            let entries = match kind.is_named() {
                true => json!({ NAME: entry }),
                false => json!([entry]),
            };
            section.insert(kind.key().to_owned(), entries);
        }
        match serde_json::from_value::<Config>(section) {
            Ok(config) => Registry::load(&config, &[]),
            // the section is made right here
            Err(_impossible) => Err(LoadErrors(Vec::new())),
        }
    }

    pub(crate) fn good(&self, kind: Kind, executor: Executor) -> Result<Registry> {
        self.load(kind, executor, &self.config)
            .map_err(|errors| anyhow::anyhow!("{errors}"))
    }

    pub(crate) fn check_manifest(&self, kind: Kind, promises: &mut Promises) -> Result<()> {
        let manifest = inspect(&self.library).with_context(|| self.library.display().to_string())?;
        promises.check(!manifest.name.is_empty(), "the manifest names the plugin");
        promises.check(!manifest.version.is_empty(), "the manifest says a version");
        promises.check(manifest.unwinds, "the library is built with panic = \"unwind\"");
        promises.check(manifest.kinds.contains(&kind), "the manifest names the kind");
        let loaded = self.good(kind, Executor::Inline)?.list();
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
