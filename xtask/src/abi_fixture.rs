//! `cargo xtask abi-fixture`: a plugin library as this version's authors build it, kept so that every later peer can be
//! shown to load it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::steps::{self, announce, output, print, root};

/// The plugin's source; its own workspace.
const SOURCE: &str = "tests/abi/fixture";
/// Where the libraries are kept.
const KEPT: &str = "tests/fixtures/abi";
/// The only target that libraries are kept for.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Settings that make it small; the ABI does not depend on them.
const PROFILE: &str = "golden";

/// Builds the library of the present version of plugin-api, or of the one that a commit has.
pub fn run(commit: Option<&str>) -> Result<()> {
    let place = root().join("target/abi-fixture");
    fs::create_dir_all(&place)?;
    match commit {
        None => keep(&root(), None, &place),
        Some(commit) => {
            let checkout = place.join("checkout");
            check_out(commit, &checkout)?;
            let kept = keep(&checkout, Some(commit), &place);
            steps::run(git(&["worktree", "remove", "--force"]).arg(&checkout))?;
            kept
        }
    }
}

fn git(args: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.current_dir(root()).args(args);
    git
}

/// That commit with the plugin's present source: what is kept of every version does the same.
fn check_out(commit: &str, checkout: &Path) -> Result<()> {
    if checkout.exists() {
        steps::run(git(&["worktree", "remove", "--force"]).arg(checkout))?;
    }
    steps::run(git(&["worktree", "add", "--detach"]).arg(checkout).arg(commit))?;
    let source = checkout.join(SOURCE);
    if source.exists() {
        fs::remove_dir_all(&source)?;
    }
    fs::create_dir_all(source.join("src"))?;
    for folder in ["", "src"] {
        for entry in fs::read_dir(root().join(SOURCE).join(folder))? {
            let file = entry?;
            if file.file_type()?.is_file() {
                fs::copy(file.path(), source.join(folder).join(file.file_name()))?;
            }
        }
    }
    Ok(())
}

fn keep(checkout: &Path, commit: Option<&str>, place: &Path) -> Result<()> {
    let version = version_of(checkout)?;
    let compiler = Compiler::present()?;
    let kept = root().join(KEPT);
    fs::create_dir_all(&kept)?;
    let prefix = format!("plugin-{version}-");
    for entry in fs::read_dir(&kept)? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with(&prefix) {
            bail!(
                "{KEPT} has {} already. What a released version promised does not change: give plugin-api another \
                 version. If {version} has not been released, remove that file first",
                name.display()
            );
        }
    }
    announce(&format!("building {SOURCE} with plugin-api {version}"));
    let features = features(&version)?;
    let target = place.join("target");
    steps::run(
        Command::new(env!("CARGO"))
            .env("RUSTFLAGS", without_paths(checkout))
            .current_dir(checkout.join(SOURCE))
            .args([
                "build",
                "--profile",
                PROFILE,
                "--features",
                &features,
                "--target-dir",
            ])
            .arg(&target),
    )?;
    let name = format!("{prefix}rustc-{}-{TARGET}", compiler.release);
    let library = kept.join(format!("{name}.so"));
    fs::copy(target.join(PROFILE).join("libabi_fixture.so"), &library)?;
    let note = kept.join(format!("{name}.txt"));
    let told = describe(&version, &compiler, &features, commit, &library)?;
    fs::write(&note, told).with_context(|| format!("could not write {}", note.display()))?;
    print(&format!("{}\n{}", library.display(), note.display()));
    Ok(())
}

/// Options that keep the paths of this machine out of the library's panic messages.
#[expect(
    clippy::disallowed_methods,
    reason = "cargo says by a variable where it keeps its sources"
)]
fn without_paths(checkout: &Path) -> String {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let cargo = cargo.map(|cargo| format!("--remap-path-prefix={}=/cargo ", cargo.display()));
    let checkout = format!("--remap-path-prefix={}=/plugin", checkout.display());
    cargo.unwrap_or_default() + &checkout
}

/// The version in `plugin-api/Cargo.toml`.
fn version_of(checkout: &Path) -> Result<String> {
    let manifest: PathBuf = checkout.join("plugin-api/Cargo.toml");
    let text =
        fs::read_to_string(&manifest).with_context(|| format!("could not read {}", manifest.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("version = \""));
    let version = line.and_then(|rest| rest.strip_suffix('"'));
    version
        .map(str::to_owned)
        .with_context(|| format!("{} has no line version = \"…\"", manifest.display()))
}

/// The fixture's features, one for each minor version that has added something.
fn features(version: &str) -> Result<String> {
    let mut numbers = version.split('.');
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        bail!("plugin-api has the version {version}, which is none")
    };
    let minor: u32 = minor
        .parse()
        .with_context(|| format!("minor version of {version}"))?;
    let features: Vec<String> = (1..=minor).map(|minor| format!("api-{major}-{minor}")).collect();
    Ok(features.join(","))
}

struct Compiler {
    release: String,
    all: String,
}

impl Compiler {
    fn present() -> Result<Self> {
        let all = output(Command::new("rustc").arg("-vV").current_dir(root()))?;
        let value = |key: &str| {
            all.lines()
                .find_map(|line| line.strip_prefix(key))
                .map(str::to_owned)
        };
        if value("host: ").as_deref() != Some(TARGET) {
            bail!("libraries are kept for {TARGET} alone; build this one there");
        }
        let release = value("release: ").context("rustc -vV says no release")?;
        Ok(Self { release, all })
    }
}

fn describe(
    version: &str,
    compiler: &Compiler,
    features: &str,
    commit: Option<&str>,
    library: &Path,
) -> Result<String> {
    let sum = output(Command::new("sha256sum").arg(library))?;
    let sum = sum.split_whitespace().next().unwrap_or_default();
    let revision = match commit {
        Some(commit) => output(&mut git(&["rev-parse", commit]))?,
        None => output(&mut git(&["rev-parse", "HEAD"]))?,
    };
    let command = match commit {
        Some(commit) => format!("cargo xtask abi-fixture --commit {commit}"),
        None => "cargo xtask abi-fixture".to_owned(),
    };
    Ok(format!(
        "A plugin built with plugin-api {version}. Every later peer of the same major version must load and run it.\n\
         Never built again: it stands for the plugins that are out there.\n\n\
         sha256: {sum}\n\
         plugin-api of commit: {}\n\
         made by: {command}\n\
         source: {SOURCE}, profile {PROFILE}, features [{features}]\n\n{}",
        revision.trim(),
        compiler.all
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_minor_version_has_its_feature() {
        assert_eq!(features("1.0.0").unwrap(), "");
        assert_eq!(features("1.3.1").unwrap(), "api-1-1,api-1-2,api-1-3");
        assert!(features("1").is_err());
    }
}
