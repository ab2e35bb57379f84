//! What the loader refuses, and what it says then.

use crate::harness::{LIBRARY, filter, library_dir, load};
use handlers::LoadError;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// A plugin folder with one library of this content.
pub struct Folder(TempDir);

impl Folder {
    pub fn with(content: &[u8]) -> Self {
        // below the build folder: /tmp is writable by everybody, even if it is sticky
        let folder = tempfile::tempdir_in(library_dir()).unwrap();
        fs::write(folder.path().join("plugin.so"), content).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Loads the library as an auth filter and returns the one refusal.
    fn refusal(&self, change: impl FnOnce(&mut Value)) -> (LoadError, String) {
        let mut handlers = json!({
            "pluginDirs": [self.path()],
            "authFilters": [{ "name": "x", "library": "plugin.so", "config": { "mode": "pass" } }],
        });
        change(&mut handlers);
        let mut errors = load(handlers).unwrap_err();
        assert_eq!(errors.0.len(), 1, "{errors}");
        let text = errors.to_string();
        (errors.0.remove(0).error, text)
    }
}

pub fn library() -> Vec<u8> {
    fs::read(library_dir().join(LIBRARY)).unwrap()
}

/// Where the manifest starts.
fn manifest(library: &[u8]) -> usize {
    library
        .windows(12)
        .position(|bytes| bytes == b"FABPLUG\0\xe8\0\0\0")
        .unwrap()
}

/// The library with other bytes at an offset inside of its manifest.
fn forged(offset: usize, bytes: &[u8]) -> Folder {
    let mut library = library();
    let start = manifest(&library) + offset;
    library[start..start + bytes.len()].copy_from_slice(bytes);
    Folder::with(&library)
}

/// The library with every occurrence of a text replaced by one of the same length.
pub fn replaced(from: &str, to: &str) -> Folder {
    assert_eq!(from.len(), to.len());
    let mut library = library();
    let at: Vec<usize> = (0..library.len() - from.len())
        .filter(|at| library[*at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!at.is_empty());
    for at in at {
        library[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    Folder::with(&library)
}

#[test]
fn refuses_files_that_are_no_plugins() {
    let (error, text) = Folder::with(b"#!/bin/sh\n").refusal(|_| {});
    assert!(matches!(error, LoadError::NotElf { .. }), "{text}");
    let (error, text) = Folder::with(b"").refusal(|_| {});
    assert!(matches!(error, LoadError::NotElf { .. }), "{text}");
    let (error, text) = Folder::with(&library()[..20_000]).refusal(|_| {});
    assert!(matches!(error, LoadError::NotElf { .. }), "{text}");
    let (error, text) = replaced(".fabplug", ".nothing").refusal(|_| {});
    assert!(matches!(error, LoadError::NoManifest { .. }), "{text}");
    let mut other_machine = library();
    other_machine[18] ^= 0xff;
    let (error, text) = Folder::with(&other_machine).refusal(|_| {});
    assert!(matches!(error, LoadError::NotElf { .. }), "{text}");
}

#[test]
fn refuses_a_library_whose_end_is_missing() {
    let whole = library();
    let (error, text) = Folder::with(&whole[..whole.len() / 2]).refusal(|_| {});
    assert!(matches!(error, LoadError::NotElf { .. }), "{text}");
}

#[test]
fn refuses_forged_manifests() {
    let (error, text) = forged(0, b"X").refusal(|_| {});
    assert!(matches!(error, LoadError::NoManifest { .. }), "{text}");
    let (error, text) = forged(12, &2_u16.to_ne_bytes()).refusal(|_| {});
    assert!(matches!(error, LoadError::Api { .. }), "{text}");
    let ours = handlers::api_version();
    let minor = ours.split_once('.').unwrap().1;
    let both = format!("expected version 1.x (this peer has {ours}), found 2.{minor}");
    assert!(text.contains(&both), "{text}");
    let (error, text) = forged(20, &0_u32.to_ne_bytes()).refusal(|_| {});
    assert!(matches!(error, LoadError::Flags), "{text}");
    let (error, text) = forged(24, b"Other\0").refusal(|_| {});
    assert!(matches!(error, LoadError::Metadata { .. }), "{text}");
    assert!(text.contains(r#"name "Fault" instead of "Other""#), "{text}");
    let (error, text) = forged(184, b"riscv64-unknown-none\0").refusal(|_| {});
    assert!(matches!(error, LoadError::Target { .. }), "{text}");
    // claims to be a platform, and has no constructor for one
    let (error, text) = forged(16, &7_u32.to_ne_bytes()).refusal(|handlers| {
        let entry = handlers["authFilters"].take();
        *handlers = json!({ "pluginDirs": handlers["pluginDirs"], "platforms": entry });
    });
    assert!(matches!(error, LoadError::Kind { .. }), "{text}");
}

#[test]
fn refuses_incompatible_types() {
    let (error, text) = replaced("new_decorator", "old_decorator").refusal(|_| {});
    assert!(matches!(error, LoadError::Layout { .. }), "{text}");
    assert!(text.len() < 2000, "{text}");
}

#[test]
fn refuses_what_the_linker_refuses_and_missing_symbols() {
    let (error, text) = replaced("pthread_key_create", "pthread_key_missin").refusal(|_| {});
    assert!(matches!(error, LoadError::Dlopen { .. }), "{text}");
    assert!(text.contains("undefined symbol: pthread_key_missin"), "{text}");
    let (error, text) = replaced("FABRIC_PEER_PLUGIN_MODULE", "FABRIC_PEER_PLUGIN_MADULE").refusal(|_| {});
    assert!(matches!(error, LoadError::NoSymbol { .. }), "{text}");
}

/// Files of this process that were made for libraries, by what the kernel calls them.
fn copies() -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let named = open.filter_map(|file| fs::read_link(file.path()).ok());
    let ours = |file: &std::path::PathBuf| file.to_string_lossy().contains("fabric-peer-plugin");
    named.filter(ours).count()
}

#[test]
fn a_bad_file_that_is_tried_again_and_again_costs_no_more_than_once() {
    let unlinkable = replaced("pthread_key_create", "pthread_key_absent");
    let incompatible = replaced("new_decorator", "bad_decorator");
    let unmodular = replaced("FABRIC_PEER_PLUGIN_MODULE", "FABRIC_PEER_PLUGIN_MIDULE");
    for (folder, mapped) in [(unlinkable, 0), (incompatible, 1), (unmodular, 1)] {
        // other tests load libraries at the same time, this many times fewer
        let (before, rounds) = (copies(), 100);
        let (_, first) = folder.refusal(|_| {});
        for _ in 1..rounds {
            let (_, again) = folder.refusal(|_| {});
            // the linker's words name a file that is another one each time
            let same = |text: &str| text.split("/fabric-peer-plugin-").next().map(str::to_owned);
            assert_eq!(same(&again), same(&first), "the same reason");
            assert_eq!(
                again.rsplit("; ").next(),
                first.rsplit("; ").next(),
                "the same remedy"
            );
        }
        assert!(copies() < before + mapped + rounds / 2, "{first}");
    }
}

#[test]
fn refuses_the_wrong_kind_and_denied_compilers() {
    let folder = Folder::with(&library());
    let (error, text) = folder.refusal(|handlers| {
        let entry = handlers["authFilters"].take();
        *handlers = json!({ "pluginDirs": handlers["pluginDirs"], "platforms": entry });
    });
    assert!(matches!(error, LoadError::Kind { .. }), "{text}");
    assert!(
        text.contains("expected platform, found auth filter, decorator"),
        "{text}"
    );
    let manifest = handlers::inspect(&folder.path().join("plugin.so")).unwrap();
    let version = manifest.toolchain.split(" (").next().unwrap();
    let (error, text) = folder.refusal(|handlers| handlers["denyToolchains"] = json!([version]));
    assert!(matches!(error, LoadError::Toolchain { .. }), "{text}");
    for every in ["rustc", "rustc ", ""] {
        let (error, text) = folder.refusal(|handlers| {
            handlers["denyToolchains"] = json!([every]);
            handlers["authFilters"] = json!([]);
        });
        assert!(matches!(error, LoadError::Config { .. }), "{text}");
        assert!(text.contains("peer.handlers.denyToolchains[0]"), "{text}");
    }
}

#[test]
fn pins_are_compared() {
    let folder = Folder::with(&library());
    let pinned = |pin: &str| {
        let pin = pin.to_owned();
        folder.refusal(move |handlers| handlers["authFilters"][0]["sha256"] = json!(pin))
    };
    let (error, text) = pinned(&"0".repeat(64));
    let LoadError::Sha { found, .. } = error else {
        panic!("{text}")
    };
    let good = json!({
        "pluginDirs": [folder.path()],
        "requirePins": true,
        "authFilters": [
            { "name": "x", "library": "plugin.so", "sha256": found, "config": { "mode": "pass" } }
        ],
    });
    let loaded = load(good).unwrap();
    assert_eq!(loaded.list()[0].sha256, found);
    let (error, text) = pinned("00");
    assert!(matches!(error, LoadError::Sha { .. }), "{text}");
    assert!(
        text.contains("expected SHA-256 as 64 hexadecimal digits"),
        "{text}"
    );
    let (error, text) = folder.refusal(|handlers| handlers["requirePins"] = json!(true));
    assert!(matches!(error, LoadError::Sha { .. }), "{text}");
}

#[test]
fn refuses_files_that_others_can_change_or_that_lie_elsewhere() {
    let folder = Folder::with(&library());
    let file = folder.path().join("plugin.so");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let (error, text) = folder.refusal(|_| {});
    assert!(matches!(error, LoadError::Perm { .. }), "{text}");
    assert!(text.contains("found mode 0666"), "{text}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (error, text) = folder.refusal(|_| {});
    assert!(matches!(error, LoadError::Perm { .. }), "{text}");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (error, text) =
        folder.refusal(|handlers| handlers["authFilters"][0]["library"] = json!(library_dir().join(LIBRARY)));
    assert!(matches!(error, LoadError::Path { .. }), "{text}");
}

#[test]
fn constructors_that_fail_or_panic_refuse_the_entry() {
    for (mode, expected) in [
        ("panic in constructor", "plugin panicked: constructor fault"),
        ("refuse config", "mode is not to my taste"),
        ("fail in constructor", "no licence"),
    ] {
        let error = load(json!({ "authFilters": [filter("x", mode)] })).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_constructor_that_hangs_refuses_the_entry() {
    let error = load(json!({ "authFilters": [filter("hanging", "hang in constructor")] })).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error.0[0].error, LoadError::Ctor { .. }), "{text}");
    assert!(text.contains("took longer than 10s (hanging)"), "{text}");
    load(json!({ "authFilters": [filter("x", "pass")] })).unwrap();
}

#[test]
fn a_config_that_the_schema_forbids_is_refused() {
    for config in [
        json!(null),
        json!({ "mode": 7 }),
        json!({ "mode": "pass", "modes": 1 }),
        json!("pass"),
    ] {
        let mut entry = filter("x", "pass");
        entry["config"] = config.clone();
        let errors = load(json!({ "authFilters": [entry] })).unwrap_err();
        assert!(
            matches!(errors.0[0].error, LoadError::Config { .. }),
            "{config} {errors}"
        );
    }
}

#[test]
fn all_errors_are_reported_together() {
    let mut inlined = filter("d", "good");
    inlined["onError"] = json!("deny");
    let errors = load(json!({
        "authFilters": [
            filter("a", "pass"),
            { "name": "nowhere" },
            { "name": "gone", "library": "/nowhere/libgone.so" },
            filter("a", "pass"),
        ],
        "decorators": [inlined],
        "endorsers": { "escc": { "name": "Own", "library": "/opt/own.so" } },
    }))
    .unwrap_err();
    let text = errors.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6, "{text}");
    for (line, expected) in lines[1..].iter().zip([
        "peer.handlers.authFilters[1] (name \"nowhere\"): Could not find plugin at path nowhere",
        "Could not find plugin at path /nowhere/libgone.so: no such file; correct library",
        "\"a\", which peer.handlers.authFilters[0] has already",
        "peer.handlers.decorators[0]",
        "peer.handlers.endorsers.escc (name \"Own\"): Could not find plugin at path /opt/own.so",
    ]) {
        assert!(line.contains(expected), "{line}\n{expected}");
    }
}

#[test]
fn a_plugin_is_found_by_its_manifests_name() {
    let folder = Folder::with(&library());
    let by_name = |name: &str| {
        load(json!({
            "pluginDirs": [folder.path()],
            "aliases": { "FaultCheck": "Fault", "Fault": "Nowhere", "Lost": "Nowhere" },
            "authFilters": [{ "name": name, "config": { "mode": "pass" } }],
        }))
    };
    assert_eq!(by_name("Fault").unwrap().list()[0].plugin, "Fault");
    // by the name that other files have for it; its own goes before
    assert_eq!(by_name("FaultCheck").unwrap().list()[0].plugin, "Fault");
    let text = by_name("Lost").unwrap_err().to_string();
    assert!(
        text.contains(r#"no plugin "Nowhere" in the plugin folders"#),
        "{text}"
    );
    let text = by_name("fault").unwrap_err().to_string();
    assert!(
        text.contains(r#"which have ["Fault"]; did you mean "Fault"?"#),
        "{text}"
    );
    // the same bytes twice are no ambiguity, different ones are
    fs::copy(folder.path().join("plugin.so"), folder.path().join("copy.so")).unwrap();
    assert!(by_name("Fault").is_ok());
    let mut changed = library();
    changed.push(0);
    fs::write(folder.path().join("copy.so"), changed).unwrap();
    let errors = by_name("Fault").unwrap_err();
    assert!(
        matches!(errors.0[0].error, LoadError::Ambiguous { .. }),
        "{errors}"
    );
}

#[test]
fn the_same_bytes_are_mapped_once() {
    let registry =
        load(json!({ "authFilters": [filter("a", "pass"), filter("b", "deny")], "maxReloads": 50 })).unwrap();
    let list = registry.list();
    assert_eq!(list[0].sha256, list[1].sha256);
    let mut changed = library();
    changed.push(1);
    let (error, text) = Folder::with(&changed).refusal(|handlers| handlers["maxReloads"] = json!(0));
    assert!(matches!(error, LoadError::Limit { .. }), "{text}");
}

#[test]
fn plugins_beside_the_program_come_after_the_configured_folders() {
    let empty = tempfile::tempdir_in(library_dir()).unwrap();
    let own = Folder::with(&library());
    // another content, so that the two cannot be taken for one
    let mut other = library();
    other.push(2);
    let full = Folder::with(&other);
    let found_with = |configured: &Path| {
        let section = json!({
            "pluginDirs": [configured],
            "authFilters": [{ "name": "Fault", "config": { "mode": "pass" } }],
        });
        let config: handlers::Config = serde_json::from_value(section).unwrap();
        let registry = handlers::Registry::load(&config, &[own.path().to_owned()]).unwrap();
        registry.list()[0].file.clone()
    };
    let file = |folder: &Path| folder.join("plugin.so").display().to_string();
    assert_eq!(found_with(empty.path()), file(own.path()));
    assert_eq!(
        found_with(full.path()),
        file(full.path()),
        "what is configured wins"
    );
}
