//! The types of the ABI are those that this version has promised, and those that every earlier version has promised.
//!
//! `abi/<version>.txt` holds them. See COMPATIBILITY.md for what may change when.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the exemptions for tests do not reach their helper functions"
)]

mod snapshot;
mod walk;

use plugin_api::manifest::{API_MAJOR, API_MINOR};
use snapshot::Version;
use std::fs;

/// Set to write the snapshot of a version that has not been released.
#[expect(clippy::disallowed_methods, reason = "a switch for whoever runs the test")]
fn update_is_asked_for() -> bool {
    std::env::var_os("UPDATE_ABI_SNAPSHOT").is_some()
}

#[test]
fn the_manifests_version_is_the_crates() {
    let Version(major, minor, _) = Version::present();
    assert_eq!(
        (u32::from(API_MAJOR), u32::from(API_MINOR)),
        (major, minor),
        "change version in plugin-api/Cargo.toml and API_MAJOR, API_MINOR in manifest.rs together"
    );
}

#[test]
fn the_types_are_those_of_this_versions_snapshot() {
    let (version, present) = (Version::present(), walk::present());
    let file = snapshot::folder().join(format!("{version}.txt"));
    if update_is_asked_for() {
        assert!(
            !snapshot::is_released(version),
            "{version} has been released (its library is in tests/fixtures/abi): what plugins were built with cannot \
             change any more; give plugin-api a new version"
        );
        fs::write(&file, snapshot::text(&present)).unwrap();
    }
    let Ok(promised) = fs::read_to_string(&file) else {
        panic!(
            "plugin-api {version} has no snapshot: {}",
            snapshot::advice(version)
        );
    };
    let differences = snapshot::differences(&snapshot::parse(&promised), &present);
    assert!(
        differences.is_empty(),
        "the types of the plugin ABI are not those of plugin-api/abi/{version}.txt:\n{}\n{}",
        differences.join("\n"),
        snapshot::advice(version)
    );
}

#[test]
fn the_types_of_every_earlier_version_still_fit() {
    let (version, present) = (Version::present(), walk::present());
    let earlier = snapshot::earlier(version);
    assert!(
        version == Version(version.0, 0, 0) || !earlier.is_empty(),
        "no snapshot of a version before {version} in plugin-api/abi"
    );
    for (old, promised) in earlier {
        let faults = snapshot::faults(&promised, &present, old.1 < version.1);
        assert!(
            faults.is_empty(),
            "plugins built with plugin-api {old} would not load any more:\n{}\nundo this, or make it a new major \
             version, see COMPATIBILITY.md",
            faults.join("\n")
        );
    }
}
