//! Builds of chaincode that is no longer installed, and what those builds kept for the next.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use super::folders::{CACHE, NEW, RUN};
use crate::garbage::{Garbage, GarbageKind};
use crate::naming::Naming;

/// Folders below `root`, the process runtime's, that belong to no `installed` chaincode. What a running peer works
/// in at the moment is left out. Blocks.
pub fn process_garbage(
    root: &Path,
    naming: &Naming,
    installed: &BTreeSet<String>,
) -> io::Result<Vec<Garbage>> {
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let needed: BTreeSet<String> = installed.iter().map(|id| naming.folder_name(id)).collect();
    let peer_runs = is_locked(&root.join("lock"))?;
    let names: BTreeSet<String> = installed
        .iter()
        .map(|id| id.split_once(':').map_or(id.as_str(), |(name, _)| name))
        .map(|name| naming.folder_name(name))
        .collect();
    let mut found = Vec::new();
    let mut caches = Vec::new();
    let mut builds_at_work = false;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type()?.is_dir() {
            continue;
        }
        if name.starts_with(CACHE) {
            caches.push(entry.path());
            continue;
        }
        let builds = peer_runs && has(&entry.path(), NEW)?;
        builds_at_work |= builds;
        let at_work = builds || (peer_runs && has(&entry.path(), RUN)?);
        if !needed.contains(&name) && !at_work {
            found.push(garbage(GarbageKind::Build, &entry.path(), name));
        }
    }
    // nothing says which of them a build works with
    if !builds_at_work {
        for cache in caches {
            unneeded_caches(&cache, &names, &mut found)?;
        }
    }
    Ok(found)
}

/// Caches of chaincodes that no version is installed of, among those that one user built with.
fn unneeded_caches(folder: &Path, needed: &BTreeSet<String>, found: &mut Vec<Garbage>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !needed.contains(&name) {
            found.push(garbage(GarbageKind::Cache, &entry.path(), name));
        }
    }
    Ok(())
}

fn garbage(kind: GarbageKind, path: &Path, name: String) -> Garbage {
    Garbage {
        kind,
        chaincode: String::new(),
        id: path.display().to_string(),
        name,
    }
}

/// Whether a build or an instance has its folder there.
fn has(folder: &Path, kind: &str) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        if entry?.file_name().to_string_lossy().starts_with(kind) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_locked(lock: &Path) -> io::Result<bool> {
    match File::open(lock) {
        Ok(file) => Ok(Flock::lock(file, FlockArg::LockSharedNonblock).is_err()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_of_what_is_installed_and_folders_at_work_stay() {
        let folder = tempfile::tempdir().unwrap();
        let naming = Naming {
            network_id: "dev".into(),
            peer_id: "peer0".into(),
        };
        let at = |id: &str| folder.path().join(naming.folder_name(id));
        for id in ["kept:1", "gone:1", "running:1"] {
            fs::create_dir_all(at(id).join("build-x")).unwrap();
        }
        fs::create_dir_all(at("running:1").join("run-0")).unwrap();
        let caches = folder.path().join("cache-0");
        for name in ["kept", "gone"] {
            fs::create_dir_all(caches.join(naming.folder_name(name))).unwrap();
        }
        let installed = BTreeSet::from(["kept:1".to_owned()]);
        let names = || {
            let mut found = process_garbage(folder.path(), &naming, &installed).unwrap();
            found.sort();
            found.into_iter().map(|garbage| garbage.name).collect::<Vec<_>>()
        };
        let (build, cache) = (naming.folder_name("gone:1"), naming.folder_name("gone"));
        let running = naming.folder_name("running:1");
        assert_eq!(names(), [build.clone(), running, cache.clone()]);
        let file = File::create(folder.path().join("lock")).unwrap();
        let _held = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
        assert_eq!(names(), [build.clone(), cache], "a peer runs");
        fs::create_dir_all(at("kept:1").join("new-0")).unwrap();
        assert_eq!(names(), [build], "a build may work in its cache");
        assert!(
            process_garbage(&folder.path().join("none"), &naming, &installed)
                .unwrap()
                .is_empty()
        );
    }
}
