//! Builds of chaincode that is no longer installed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use super::folders::{NEW, RUN};
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
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let builds = entry.file_type()?.is_dir() && !name.starts_with("cache-");
        if builds && !needed.contains(&name) && !(peer_runs && is_at_work(&entry.path())?) {
            found.push(Garbage {
                kind: GarbageKind::Build,
                chaincode: String::new(),
                id: entry.path().display().to_string(),
                name,
            });
        }
    }
    Ok(found)
}

/// Whether an instance or a build has its folder there.
fn is_at_work(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(NEW) || name.starts_with(RUN) {
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
        fs::create_dir_all(folder.path().join("cache-0")).unwrap();
        let installed = BTreeSet::from(["kept:1".to_owned()]);
        let names = || {
            let mut found = process_garbage(folder.path(), &naming, &installed).unwrap();
            found.sort();
            found.into_iter().map(|garbage| garbage.name).collect::<Vec<_>>()
        };
        assert_eq!(
            names(),
            [naming.folder_name("gone:1"), naming.folder_name("running:1")]
        );
        let file = File::create(folder.path().join("lock")).unwrap();
        let _held = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
        assert_eq!(names(), [naming.folder_name("gone:1")], "a peer runs");
        assert!(
            process_garbage(&folder.path().join("none"), &naming, &installed)
                .unwrap()
                .is_empty()
        );
    }
}
