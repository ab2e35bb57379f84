//! What can be said of libraries and entries without running code of any plugin.

use crate::refusals::{Folder, library, replaced};
use handlers::{Kind, LoadError, Pin, Verification, VerifiedEntry, inspect, verify};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

const GOOD: &str = "plugin.so";

fn verified(section: Value) -> Verification {
    verify(&serde_json::from_value(section).unwrap(), &[])
}

/// The verdict on one filter in a folder with one library.
fn verdict(folder: &Folder, change: impl FnOnce(&mut Value)) -> VerifiedEntry {
    let mut section = json!({
        "pluginDirs": [folder.path()],
        "authFilters": [{ "name": "x", "library": GOOD, "config": { "mode": "pass" } }],
    });
    change(&mut section);
    let mut found = verified(section);
    assert_eq!(found.entries.len(), 1);
    found.entries.remove(0)
}

#[test]
fn a_library_tells_everything_without_being_run() {
    // the linker would refuse it, so nothing of it can have run
    let folder = replaced("pthread_key_create", "pthread_key_missin");
    let manifest = inspect(&folder.path().join(GOOD)).unwrap();
    assert_eq!(
        (manifest.name.as_str(), manifest.version.as_str()),
        ("Fault", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(
        manifest.kinds,
        [
            Kind::AuthFilter,
            Kind::Decorator,
            Kind::Endorsement,
            Kind::Validation
        ]
    );
    assert_eq!(manifest.api, "1.1");
    assert_eq!(manifest.description.as_deref(), Some("Misbehaves as configured."));
    assert_eq!(
        manifest.config_schema.unwrap()["properties"]["mode"]["type"],
        "string"
    );
    assert_eq!(manifest.size, library().len());
    assert_eq!(
        (manifest.sha256.len(), manifest.unwinds, manifest.refusal),
        (64, true, None)
    );
}

#[test]
fn a_library_of_the_first_api_version_keeps_its_schema_to_itself() {
    let folder = replaced(".fabplug.meta", ".nothing.meta");
    let manifest = inspect(&folder.path().join(GOOD)).unwrap();
    assert_eq!((manifest.description, manifest.config_schema), (None, None));
    let wrong = verdict(&folder, |section| {
        section["authFilters"][0]["config"] = json!({ "mdoe": 1 })
    });
    assert_eq!(
        (wrong.config_checked, wrong.deviations.len()),
        (false, 0),
        "{wrong:?}"
    );
}

#[test]
fn hostile_files_get_their_error() {
    let error = |path: &Path| match inspect(path) {
        Err(
            LoadError::NotElf { found, .. } | LoadError::NoManifest { found } | LoadError::Metadata { found },
        ) => found,
        other => panic!("{other:?}"),
    };
    let folder = Folder::with(b"#!/bin/sh\n");
    let path = folder.path().join(GOOD);
    error(&path);
    assert_eq!(error(folder.path()), "no regular file");
    let pipe = folder.path().join("pipe.so");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(error(&pipe), "no regular file");
    assert_eq!(error(Path::new("/dev/zero")), "no regular file");
    let huge = fs::File::create(folder.path().join("huge.so")).unwrap();
    huge.set_len((1 << 40) + 1).unwrap();
    assert_eq!(error(&folder.path().join("huge.so")), "1099511627777");
    let whole = library();
    for length in (0..whole.len()).step_by(whole.len() / 50) {
        fs::write(&path, &whole[..length]).unwrap();
        error(&path);
    }
    assert!(matches!(
        inspect(Path::new("/there/is/none")),
        Err(LoadError::Io(_))
    ));
    // no byte of the headers makes it fall over
    let mut bytes = library();
    for at in 0..64 {
        let good = std::mem::replace(&mut bytes[at], 0xff);
        fs::write(&path, &bytes).unwrap();
        let _either = inspect(&path);
        bytes[at] = good;
    }
    let found = error(&replaced("\"description\"", "'description'").path().join(GOOD));
    assert!(found.contains("line 1 column"), "{found}");
}

#[test]
fn a_good_entry_has_no_deviation_and_its_pin_is_compared() {
    let folder = Folder::with(&library());
    let good = verdict(&folder, |_| {});
    assert_eq!(
        (good.deviations.len(), good.config_checked),
        (0, true),
        "{good:?}"
    );
    assert_eq!(
        (good.pin, good.plugin.as_deref()),
        (Some(Pin::Missing), Some("Fault"))
    );
    let hash = good.sha256.unwrap();
    let pinned = |pin: String| {
        verdict(&folder, move |section| {
            section["requirePins"] = json!(true);
            section["authFilters"][0]["sha256"] = json!(pin);
        })
    };
    for pin in [hash.clone(), format!("sha256:{hash}")] {
        let verdict = pinned(pin);
        assert_eq!((verdict.pin, verdict.deviations.len()), (Some(Pin::Matches), 0));
    }
    let other = pinned("0".repeat(64));
    assert_eq!(other.pin, Some(Pin::Differs));
    assert!(other.deviations[0].contains("expected SHA-256 0000"), "{other:?}");
    let unpinned = verdict(&folder, |section| section["requirePins"] = json!(true));
    assert!(unpinned.deviations[0].contains("requirePins"), "{unpinned:?}");
}

#[test]
fn every_deviation_of_an_entry_is_named() {
    let folder = Folder::with(&library());
    let wrong = verdict(&folder, |section| {
        section["authFilters"][0]["config"] = json!({ "mdoe": "pass" });
        section["authFilters"][0]["onError"] = json!("skip");
        section["denyToolchains"] = json!(["rustc 1"]);
    });
    let text = wrong.deviations.join("\n");
    assert_eq!(wrong.deviations.len(), 3, "{text}");
    assert!(
        text.contains("expected onError of auth filters to be one of [Deny], found Skip"),
        "{text}"
    );
    assert!(text.contains("refused compiler"), "{text}");
    assert!(
        text.contains("peer.handlers.authFilters[0].config.mdoe: unknown key; did you mean \"mode\"?"),
        "{text}"
    );
    let platform = verdict(&folder, |section| {
        let entry = section["authFilters"].take();
        *section = json!({ "pluginDirs": section["pluginDirs"], "platforms": entry });
    });
    assert!(platform.deviations[0].contains("wrong kind"), "{platform:?}");
    let gone = verdict(&folder, |section| {
        section["authFilters"][0] = json!({ "name": "Fualt" })
    });
    assert!(gone.deviations[0].contains("did you mean \"Fault\"?"), "{gone:?}");
    let twice = verified(json!({
        "pluginDirs": [folder.path()],
        "authFilters": [
            { "name": "a", "library": GOOD, "config": { "mode": "pass" } },
            { "name": "a", "library": GOOD, "config": { "mode": "pass" } },
        ],
        "denyToolchains": ["rustc"],
    }));
    assert!(twice.entries[1].deviations[0].contains("peer.handlers.authFilters[0] has the name"));
    assert!(twice.deviations[0].starts_with("peer.handlers.denyToolchains[0]: "));
    // such a denial refuses both as well
    assert_eq!(twice.deviations(), 4);
}

/// What the peer would refuse when it starts must not pass here.
#[test]
fn whatever_the_loader_refuses_in_an_entry_is_a_deviation() {
    let folder = Folder::with(&library());
    let entry = |key: &str, value: Value| {
        let mut entry = json!({ "name": "x", "library": GOOD, "config": { "mode": "pass" } });
        entry[key] = value;
        entry
    };
    let named = |entry: Value| json!({ "x": entry });
    for (list, entries, text) in [
        (
            "authFilters",
            json!([entry("quarantine", json!({ "failures": 0 }))]),
            "quarantine.failures to be at least 1",
        ),
        (
            "authFilters",
            json!([entry("quarantine", json!({ "policy": "bypass" }))]),
            "quarantine.policy of auth filters",
        ),
        ("authFilters", json!([entry("sha256", Value::Null)]), "found \"\""),
        ("platforms", json!([entry("mode", json!("shadow"))]), "found mode"),
        (
            "endorsers",
            named(entry("match", json!({ "channel": "a" }))),
            "found match",
        ),
        (
            "endorsers",
            named(entry("quarantine", json!({ "failures": 0 }))),
            "quarantine.failures",
        ),
        ("endorsers", named(entry("name", json!(""))), "name"),
        (
            "validators",
            named(entry("quarantine", json!({ "failures": 7 }))),
            "found quarantine",
        ),
        ("validators", named(entry("onError", json!("skip"))), "onError"),
    ] {
        let section = json!({ "pluginDirs": [folder.path()], list: entries });
        let found = verified(section.clone());
        let deviations = found.entries[0].deviations.join("\n");
        assert!(deviations.contains(text), "{section}\n{deviations}");
        assert!(crate::harness::load(section).is_err(), "{list} {text}");
    }
}

#[test]
fn a_sticky_folder_may_be_on_the_way_and_not_its_end() {
    let folder = Folder::with(&library());
    let open = |section: &Value| {
        let verdict = verified(section.clone());
        (
            verdict.entries[0].deviations.join("\n"),
            verdict.deviations.join("\n"),
        )
    };
    let section = json!({
        "pluginDirs": [folder.path()],
        "authFilters": [{ "name": "x", "library": GOOD, "config": { "mode": "pass" } }],
    });
    assert_eq!(open(&section), (String::new(), String::new()));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let (of_entry, of_section) = open(&section);
    assert!(of_entry.contains("mode 1777"), "{of_entry}");
    assert!(
        of_section.starts_with("peer.handlers.pluginDirs[0]: "),
        "{of_section}"
    );
    let errors = crate::harness::load(section).unwrap_err();
    assert!(matches!(errors.0[0].error, LoadError::Perm { .. }), "{errors}");
}

#[test]
fn links_are_reported_and_so_is_who_could_change_them() {
    let store = Folder::with(&library());
    let folder = Folder::with(b"");
    fs::remove_file(folder.path().join(GOOD)).unwrap();
    symlink(store.path().join(GOOD), folder.path().join(GOOD)).unwrap();
    let both = |section: &mut Value| section["pluginDirs"] = json!([folder.path(), store.path()]);
    let linked = verdict(&folder, both);
    assert_eq!(linked.file.as_deref(), Some(store.path().join(GOOD).as_path()));
    assert_eq!(linked.links[0].link, folder.path().join(GOOD));
    assert_eq!(
        (linked.links.len(), linked.deviations.len()),
        (1, 0),
        "{linked:?}"
    );
    let outside = verdict(&folder, |_| {});
    assert!(
        outside.deviations[0].contains("expected a file below the plugin folders"),
        "{outside:?}"
    );
    // the file cannot be changed, but which file it is can
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let open = verdict(&folder, both);
    assert!(open.deviations[0].contains("mode 0777"), "{open:?}");
    let section = json!({
        "pluginDirs": [folder.path(), store.path()],
        "authFilters": [{ "name": "x", "library": GOOD, "config": { "mode": "pass" } }],
    });
    assert!(verified(section.clone()).deviations[0].starts_with("peer.handlers.pluginDirs[0]: "));
    let errors = crate::harness::load(section).unwrap_err();
    assert!(
        matches!(errors.0[0].error, LoadError::Perm { .. }),
        "the loader refuses it, too"
    );
}
