//! Folders of the process runtime:
//! `<root>/lock`, `<root>/cache-<user>/<chaincode>/` (shared by all builds of that name), and per version
//! `<root>/<name>/build-<hash>-<user>/output/`, `<root>/<name>/new-*/` (a build at work), `<root>/<name>/run-*/` (an instance).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg};
use nix::unistd::{Gid, Uid, fchownat};

use super::OpenError;

/// Work in progress; removed at the start of a peer.
pub(super) const NEW: &str = "new-";
pub(super) const RUN: &str = "run-";
/// What builds keep for the next, by who builds.
pub(super) const CACHE: &str = "cache-";

pub(crate) struct Folders {
    root: PathBuf,
    /// Who builds and runs chaincode, user and group, if not the peer's own.
    user: Option<(u32, u32)>,
    next: AtomicU64,
    _lock: Flock<File>,
}

impl Folders {
    /// Makes and locks the root and removes what a crashed peer left.
    pub(super) fn open(root: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Folder(root.display().to_string(), error);
        private_folder(root).map_err(failed)?;
        let root = fs::canonicalize(root).map_err(failed)?;
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(root.join("lock"))
            .map_err(failed)?;
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => return Err(OpenError::Locked(root.display().to_string())),
            Err((_, errno)) => return Err(failed(errno.into())),
        };
        let folders = Self {
            root,
            user: None,
            next: AtomicU64::new(0),
            _lock: lock,
        };
        folders.sweep().map_err(failed)?;
        Ok(folders)
    }

    pub(super) fn owned_by(self, user: Option<(u32, u32)>) -> Self {
        Self { user, ..self }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the build with that hash ends up. By user: what another one built could not be read.
    pub(super) fn build(&self, name: &str, hash: &str) -> PathBuf {
        self.root
            .join(name)
            .join(format!("build-{hash}-{}", self.builder()))
    }

    /// A fresh folder for a build at work.
    pub(super) fn new_build(&self, name: &str) -> io::Result<PathBuf> {
        self.fresh(name, NEW)
    }

    /// A fresh folder for an instance.
    pub(super) fn new_run(&self, name: &str) -> io::Result<PathBuf> {
        self.fresh(name, RUN)
    }

    /// The cache that the versions of one chaincode share: packages are fetched once. Not across chaincodes: whoever
    /// builds may write to it, and what is in it ends up in what is built.
    pub(super) fn cache(&self, chaincode: &str) -> io::Result<PathBuf> {
        let caches = self.root.join(format!("{CACHE}{}", self.builder()));
        let cache = caches.join(chaincode);
        private_folder(&cache)?;
        self.hand_over(&cache)?;
        Ok(cache)
    }

    /// Makes a folder that belongs to whoever runs chaincode.
    pub(super) fn owned_folder(&self, path: &Path) -> io::Result<()> {
        private_folder(path)?;
        self.hand_over(path)
    }

    /// Gives one file or folder to whoever runs chaincode.
    pub(super) fn hand_over(&self, path: &Path) -> io::Result<()> {
        let Some((user, group)) = self.user else {
            return Ok(());
        };
        let (uid, gid) = (Some(Uid::from_raw(user)), Some(Gid::from_raw(group)));
        fchownat(nix::fcntl::AT_FDCWD, path, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok(())
    }

    /// Gives a tree that the peer itself wrote to whoever runs chaincode.
    pub(super) fn hand_over_tree(&self, path: &Path) -> io::Result<()> {
        if self.user.is_none() {
            return Ok(());
        }
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            self.hand_over(&path)?;
            if fs::symlink_metadata(&path)?.is_dir() {
                for entry in fs::read_dir(&path)? {
                    open.push(entry?.path());
                }
            }
        }
        Ok(())
    }

    /// Removes all that belongs to one chaincode.
    pub(super) async fn remove(&self, name: String) -> io::Result<()> {
        remove_tree(self.root.join(name)).await
    }

    fn builder(&self) -> u32 {
        self.user
            .map_or_else(|| Uid::effective().as_raw(), |(user, _)| user)
    }

    fn fresh(&self, name: &str, kind: &str) -> io::Result<PathBuf> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.root.join(name).join(format!("{kind}{number}"));
        private_folder(&path)?;
        self.hand_over(&path)?;
        Ok(path)
    }

    fn sweep(&self) -> io::Result<()> {
        for chaincode in fs::read_dir(&self.root)? {
            let chaincode = chaincode?;
            if !chaincode.file_type()?.is_dir() || chaincode.file_name().to_string_lossy().starts_with(CACHE)
            {
                continue;
            }
            for entry in fs::read_dir(chaincode.path())? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if name.starts_with(NEW) || name.starts_with(RUN) {
                    fs::remove_dir_all(entry.path())?;
                }
            }
        }
        Ok(())
    }
}

/// Removes a tree on a blocking thread; a missing one is fine.
pub(super) async fn remove_tree(path: PathBuf) -> io::Result<()> {
    let remove = move || match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    tokio::task::spawn_blocking(remove)
        .await
        .map_err(io::Error::other)?
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
