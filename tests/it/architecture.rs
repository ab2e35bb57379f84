//! The rules of the source tree that no compiler checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use integration::binaries::root;

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The workspace's crates that a manifest depends on, outside of dev-dependencies.
fn dependencies(manifest: &Path) -> Vec<String> {
    let text = fs::read_to_string(manifest).expect("a manifest");
    let section = text.split("\n[dependencies]").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn crates() -> BTreeMap<String, Vec<String>> {
    let folder = root().join("peer/crates");
    let entries = fs::read_dir(folder).expect("peer/crates").flatten();
    entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, dependencies(&entry.path().join("Cargo.toml")))
        })
        .collect()
}

#[test]
fn a_plugin_sees_nothing_of_the_peer_but_the_contract() {
    let ours = crates();
    for kind in [
        "auth-filters",
        "decorators",
        "endorsement",
        "platforms",
        "validation",
    ] {
        for plugin in fs::read_dir(root().join("plugins").join(kind))
            .expect("plugins")
            .flatten()
        {
            for dependency in dependencies(&plugin.path().join("Cargo.toml")) {
                assert!(
                    !ours.contains_key(&dependency),
                    "{:?} depends on {dependency}",
                    plugin.path()
                );
            }
        }
    }
}

#[test]
fn only_handlers_sees_the_plugin_contract() {
    for (name, dependencies) in crates() {
        let sees = dependencies.iter().any(|dependency| dependency == "plugin-api");
        assert_eq!(sees, name == "handlers", "{name}");
    }
}

#[test]
fn dependencies_point_downwards() {
    let level = |name: &str| match name {
        "protos" | "core-config" | "cryptogen" | "workers" => 0,
        "msp" | "handlers" | "container" => 1,
        "channelconfig" | "ledger" | "plugin-testkit" => 2,
        "deliver" | "committer" | "chaincode" => 3,
        "channel" | "orderer" => 4,
        "scc" | "endorser" => 5,
        other => panic!("{other} has no level: say which"),
    };
    let crates = crates();
    for (name, dependencies) in &crates {
        for dependency in dependencies
            .iter()
            .filter(|dependency| crates.contains_key(*dependency))
        {
            assert!(level(dependency) < level(name), "{name} depends on {dependency}");
        }
    }
}

#[test]
fn the_peer_spells_no_plugins_name() {
    let mut files = Vec::new();
    rust_files(&root().join("peer"), &mut files);
    for file in files {
        if file
            .components()
            .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
        {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a source file");
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        for name in [
            "DefaultAuth",
            "ExpirationCheck",
            "DefaultDecorator",
            "DefaultEndorsement",
            "DefaultValidation",
        ] {
            assert!(!shipped.contains(name), "{} names {name}", file.display());
        }
    }
}

#[test]
fn every_path_that_the_documents_name_exists() {
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(root().join(document)).expect("a document");
        for word in text.split('`').skip(1).step_by(2) {
            let is_path = word.contains('/')
                && word
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            let first = word.split('/').next().unwrap_or_default();
            if is_path && !first.is_empty() && root().join(first).exists() && first != "target" {
                assert!(root().join(word).exists(), "{document} names {word}");
            }
        }
    }
}
