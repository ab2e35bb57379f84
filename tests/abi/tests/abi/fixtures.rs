//! The libraries that are kept of every released version of plugin-api.

use crate::exercise::{Build, exercise};
use crate::library::{Library, root, skipped};
use aws_lc_rs::digest::{SHA256, digest};
use std::fs;
use std::path::PathBuf;

/// The only target that libraries are kept for.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A kept library: the version that it was built with, and where it is.
struct Kept {
    version: String,
    file: PathBuf,
}

fn kept() -> Vec<Kept> {
    let folder = root().join("tests/fixtures/abi");
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".so") {
            let rest = stem.strip_prefix("plugin-").unwrap();
            assert!(rest.ends_with(TARGET), "{name}");
            kept.push(Kept {
                version: rest.split('-').next().unwrap().to_owned(),
                file: entry.path(),
            });
        }
    }
    kept.sort_by(|one, other| one.file.cmp(&other.file));
    kept
}

fn minor(version: &str) -> u32 {
    version.split('.').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn plugins_of_every_released_version_load_and_work() {
    if !cfg!(all(
        target_arch = "x86_64",
        target_os = "linux",
        target_env = "gnu"
    )) {
        skipped("plugin libraries are kept for x86_64-unknown-linux-gnu alone");
        return;
    }
    for Kept { version, file } in kept() {
        eprintln!("plugin-api {version}: {}", file.display());
        let build = Build {
            minor: minor(&version),
            ..Build::default()
        };
        exercise(&Library::copy_of(&file), build).await;
    }
}

#[test]
fn every_version_with_a_snapshot_but_the_present_one_has_a_library() {
    let kept = kept();
    let present = handlers::api_version();
    let mut versions = 0;
    for entry in fs::read_dir(root().join("plugin-api/abi")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let version = name.strip_suffix(".txt").unwrap();
        versions += 1;
        let has_library = kept.iter().any(|kept| kept.version == version);
        // the present one gets its library with its release
        assert!(
            has_library || version.starts_with(&format!("{present}.")),
            "no library of plugin-api {version} in tests/fixtures/abi: cargo xtask abi-fixture --commit … makes one"
        );
    }
    assert!(versions > 0 && kept.iter().any(|kept| kept.version == "1.0.0"));
}

#[test]
fn the_kept_libraries_are_what_their_notes_say() {
    for Kept { version, file } in kept() {
        let note = fs::read_to_string(file.with_extension("txt")).unwrap();
        let sum = hex::encode(digest(&SHA256, &fs::read(&file).unwrap()));
        assert!(note.contains(&format!("\nsha256: {sum}\n")), "{}", file.display());
        assert!(note.starts_with(&format!("A plugin built with plugin-api {version}.")));
    }
}
