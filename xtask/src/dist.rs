//! `cargo xtask dist`: the tree that an operator installs.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value yields null where there is nothing"
)]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::steps::{self, announce, cargo, output, print, root};

/// Builds with stripped symbols and lays out `bin/`, `plugins/` and `config/`.
pub fn run(to: &Path) -> Result<()> {
    let to = root().join(to);
    lay_out("dist", &to)?;
    print(&format!(
        "{}\n  bin/peer\n  plugins/*.so\n  config/core.yaml",
        to.display()
    ));
    Ok(())
}

/// Builds the peer and the plugins with a cargo profile and copies them to `to`.
pub fn lay_out(profile: &str, to: &Path) -> Result<()> {
    let plugins = plugin_packages()?;
    announce(&format!(
        "building the peer and {} plugins (profile {profile})",
        plugins.len()
    ));
    let mut build = cargo(&["build", "--profile", profile, "--package", "peer"]);
    for plugin in &plugins {
        build.args(["--package", &plugin.package]);
    }
    steps::run(&mut build)?;
    let built = target_dir()?.join(if profile == "dev" { "debug" } else { profile });
    for folder in ["bin", "plugins", "config"] {
        let folder = to.join(folder);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("could not clear {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
    }
    copy(&built.join("peer"), &to.join("bin/peer"))?;
    for plugin in &plugins {
        copy(
            &built.join(&plugin.library),
            &to.join("plugins").join(&plugin.library),
        )?;
    }
    copy(&root().join("config/core.yaml"), &to.join("config/core.yaml"))
}

struct PluginPackage {
    package: String,
    library: String,
}

/// The shipped plugins: every cdylib below `plugins/`.
fn plugin_packages() -> Result<Vec<PluginPackage>> {
    let metadata = metadata()?;
    let below = root().join("plugins");
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let cdylib = package["targets"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|target| {
                target["kind"]
                    .as_array()
                    .is_some_and(|kinds| kinds.iter().any(|kind| kind == "cdylib"))
            });
        if let (true, Some(target)) = (manifest.starts_with(&below), cdylib) {
            let name = target["name"].as_str().unwrap_or_default().replace('-', "_");
            found.push(PluginPackage {
                package: package["name"].as_str().unwrap_or_default().to_owned(),
                library: format!("lib{name}.so"),
            });
        }
    }
    Ok(found)
}

/// Where cargo builds.
pub fn target_dir() -> Result<PathBuf> {
    Ok(PathBuf::from(
        metadata()?["target_directory"]
            .as_str()
            .context("cargo metadata names no target directory")?,
    ))
}

fn metadata() -> Result<Value> {
    let text = output(&mut cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--offline",
    ]))?;
    serde_json::from_str(&text).context("cargo metadata printed something else than JSON")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("could not copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
