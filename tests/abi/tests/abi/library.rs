//! A plugin library under test.

use handlers::{Config, Kind, Manifest, Registry, inspect};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// In CI nothing is skipped.
#[expect(clippy::disallowed_methods, reason = "CI says by a variable that it is one")]
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// Says why a test cannot run here; in CI it must.
pub fn skipped(why: &str) {
    assert!(!in_ci(), "CI cannot do without: {why}");
    eprintln!("skipped: {why}");
}

/// Where this package's tests may write.
pub fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// The checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// A library in a folder that the peer loads from, whatever the rights in the checkout are.
pub struct Library {
    folder: TempDir,
}

impl Library {
    pub fn copy_of(file: &Path) -> Self {
        Self::with(&fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
    }

    pub fn with(content: &[u8]) -> Self {
        let folder = tempfile::tempdir_in(scratch()).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let library = Self { folder };
        fs::write(library.file(), content).unwrap();
        fs::set_permissions(library.file(), fs::Permissions::from_mode(0o644)).unwrap();
        library
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("plugin.so")
    }

    pub fn manifest(&self) -> Manifest {
        inspect(&self.file()).unwrap()
    }

    /// An entry of `peer.handlers` for it.
    pub fn entry(&self, name: &str, config: &Value) -> Value {
        // the machine may be busy with something else
        json!({
            "name": name, "library": "plugin.so", "config": config, "executor": "inline", "timeoutMs": 60_000,
        })
    }

    /// Loads entries of one kind.
    pub fn try_load(&self, kind: Kind, entries: &[Value]) -> Result<Registry, handlers::LoadErrors> {
        let mut section = json!({ "pluginDirs": [self.folder.path()], "maxReloads": 100 });
        section[kind.key()] = json!(entries);
        let config: Config = serde_json::from_value(section).unwrap();
        Registry::load(&config, &[])
    }

    pub fn load(&self, kind: Kind, entries: &[Value]) -> Registry {
        self.try_load(kind, entries)
            .unwrap_or_else(|errors| panic!("{errors}"))
    }
}
