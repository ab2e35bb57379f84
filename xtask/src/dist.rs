//! `cargo xtask dist`: the tree that an operator installs.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value yields null where there is nothing"
)]

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::steps::{self, announce, cargo, output, print, root};

/// Says that a folder is ours, and lists the files in it that are. Nothing else in it is touched.
const MARKER: &str = ".fabric-peer-dist";
/// The operator's own once it is there.
const CONFIG: &str = "config/core.yaml";

/// Builds in release mode and lays out `bin/`, `plugins/`, `plugin-api/` and `config/`.
pub fn run(to: &Path) -> Result<()> {
    let to = root().join(to);
    let config = lay_out("release", &to)?;
    let note = match config {
        Config::Written => "",
        Config::Kept => " (yours, kept; this version's is config/core.yaml.new)",
    };
    print(&format!(
        "{}\n  bin/peer\n  plugins/*.so\n  plugin-api (for peer plugin new)\n  config/core.yaml{note}",
        to.display()
    ));
    Ok(())
}

/// Builds the peer and the plugins with a cargo profile and copies them to `to`.
pub fn lay_out(profile: &str, to: &Path) -> Result<Config> {
    let target = Target::open(to)?;
    let plugins = build(profile)?;
    let built = target_dir()?.join(if profile == "dev" { "debug" } else { profile });
    let mut files = vec![(built.join("peer"), "bin/peer".to_owned())];
    files.extend(plugins.iter().map(|plugin| {
        let name = format!("plugins/{}", plugin.library);
        (built.join(&plugin.library), name)
    }));
    files.extend(plugin_api()?);
    target.fill(&files)?;
    target.configure(&root().join(CONFIG))
}

/// Builds the peer and the plugins with a cargo profile.
pub fn build(profile: &str) -> Result<Vec<PluginPackage>> {
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
    Ok(plugins)
}

/// The crate that plugins are written against, as it would be published.
fn plugin_api() -> Result<Vec<(PathBuf, String)>> {
    let packed = target_dir()?.join("plugin-api-package");
    // a version that is not there any more
    fs::remove_dir_all(&packed).ok();
    let package = [
        "package",
        "--package",
        "plugin-api",
        "--no-verify",
        "--allow-dirty",
        "--offline",
        "--quiet",
    ];
    steps::run(cargo(&package).arg("--target-dir").arg(&packed))?;
    let archive = only_entry(&packed.join("package"), "crate")?;
    let file = fs::File::open(&archive).with_context(|| archive.display().to_string())?;
    let unpacked = packed.join("unpacked");
    tar::Archive::new(flate2::read::GzDecoder::new(file))
        .unpack(&unpacked)
        .with_context(|| format!("could not unpack {}", archive.display()))?;
    let mut files = Vec::new();
    list(&only_entry(&unpacked, "")?, "plugin-api", &mut files)?;
    Ok(files)
}

/// The one entry of a folder with this extension; any, if that is empty.
fn only_entry(folder: &Path, extension: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    paths
        .find(|path| extension.is_empty() || path.extension().is_some_and(|other| other == extension))
        .with_context(|| format!("{} is empty", folder.display()))
}

/// Every file below a folder, with its name below `name`.
fn list(folder: &Path, name: &str, files: &mut Vec<(PathBuf, String)>) -> Result<()> {
    for entry in fs::read_dir(folder)?.flatten() {
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            list(&entry.path(), &name, files)?;
        } else {
            files.push((entry.path(), name));
        }
    }
    Ok(())
}

/// What became of the target's core.yaml.
#[derive(Debug, PartialEq, Eq)]
pub enum Config {
    /// It is this version's.
    Written,
    /// There was another one, which stays.
    Kept,
}

/// A folder that belongs to us: empty, or laid out by us before.
struct Target {
    folder: PathBuf,
    /// What an earlier run put there.
    earlier: Vec<String>,
}

impl Target {
    fn open(folder: &Path) -> Result<Self> {
        let marker = folder.join(MARKER);
        let earlier = match fs::read_to_string(&marker) {
            Ok(text) => text.lines().map(str::to_owned).collect(),
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("could not read {}", marker.display())),
        };
        let used = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        if used && !marker.exists() {
            bail!(
                "{} has files in it that are not ours (there is no {MARKER}): give an empty folder with --to, or \
                 remove what is in this one",
                folder.display()
            );
        }
        Ok(Self {
            folder: folder.to_owned(),
            earlier,
        })
    }

    /// Puts the files in, each by a rename, so that a peer that runs from here keeps what it has opened; takes out
    /// what an earlier run put in and this one does not.
    fn fill(&self, files: &[(PathBuf, String)]) -> Result<()> {
        for (from, name) in files {
            let to = self.folder.join(name);
            let parent = to.parent().unwrap_or(&self.folder);
            fs::create_dir_all(parent).with_context(|| format!("could not create {}", parent.display()))?;
            let new = to.with_extension("new");
            copy(from, &new)?;
            fs::rename(&new, &to).with_context(|| format!("could not replace {}", to.display()))?;
        }
        let ours = |name: &String| files.iter().any(|(_, ours)| ours == name);
        for gone in self.earlier.iter().filter(|name| !ours(name)) {
            let plain = Path::new(gone)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            if plain && fs::remove_file(self.folder.join(gone)).is_ok() {
                announce(&format!("removed {gone}, which this version does not have"));
            }
        }
        let list: String = files.iter().map(|(_, name)| format!("{name}\n")).collect();
        let marker = self.folder.join(MARKER);
        fs::write(&marker, list).with_context(|| format!("could not write {}", marker.display()))
    }

    fn configure(&self, shipped: &Path) -> Result<Config> {
        let to = self.folder.join(CONFIG);
        let parent = to.parent().unwrap_or(&self.folder);
        fs::create_dir_all(parent).with_context(|| format!("could not create {}", parent.display()))?;
        match fs::read(&to) {
            Ok(present) if present != fs::read(shipped)? => {
                copy(shipped, &to.with_extension("yaml.new"))?;
                Ok(Config::Kept)
            }
            Ok(_) => Ok(Config::Written),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                copy(shipped, &to)?;
                Ok(Config::Written)
            }
            Err(error) => Err(error).with_context(|| format!("could not read {}", to.display())),
        }
    }
}

/// A shipped plugin.
pub struct PluginPackage {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, content: &str) -> (PathBuf, String) {
        let from = folder.join(name.replace('/', "-"));
        fs::write(&from, content).unwrap();
        (from, name.to_owned())
    }

    fn text(path: PathBuf) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::write(folder.path().join("bin/ls"), "theirs").unwrap();
        let refused = Target::open(folder.path()).err().unwrap().to_string();
        assert!(
            refused.contains("not ours") && refused.contains("--to"),
            "{refused}"
        );
        assert_eq!(text(folder.path().join("bin/ls")), "theirs");
    }

    #[test]
    fn a_second_run_replaces_its_own_files_and_no_others() {
        let (built, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let place = place.path().join("new");
        let peer = file(built.path(), "bin/peer", "1");
        let plugin = file(built.path(), "plugins/libgone.so", "1");
        Target::open(&place).unwrap().fill(&[peer, plugin]).unwrap();
        fs::write(place.join("plugins/libmine.so"), "mine").unwrap();
        let peer = file(built.path(), "bin/peer", "2");
        Target::open(&place).unwrap().fill(&[peer]).unwrap();
        assert_eq!(text(place.join("bin/peer")), "2");
        assert_eq!(text(place.join("plugins/libmine.so")), "mine");
        assert!(!place.join("plugins/libgone.so").exists());
    }

    #[test]
    fn a_core_yaml_that_is_there_stays() {
        let (built, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let shipped = file(built.path(), "core.yaml", "shipped").0;
        let target = Target::open(place.path()).unwrap();
        assert_eq!(target.configure(&shipped).unwrap(), Config::Written);
        assert_eq!(target.configure(&shipped).unwrap(), Config::Written);
        assert!(!place.path().join("config/core.yaml.new").exists());
        fs::write(place.path().join("config/core.yaml"), "theirs").unwrap();
        assert_eq!(target.configure(&shipped).unwrap(), Config::Kept);
        assert_eq!(text(place.path().join("config/core.yaml")), "theirs");
        assert_eq!(text(place.path().join("config/core.yaml.new")), "shipped");
    }
}
