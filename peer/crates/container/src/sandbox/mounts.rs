//! The job's view of the file system: private `/tmp`, its own `/proc`, and empty folders in place of those it cannot or
//! must not enter, with only the paths that it needs put back in.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::enter::doing;
use super::spec::{Isolation, JobSpec};

/// Size of `/tmp` and `/dev/shm`; counts as the job's memory.
const SCRATCH: &str = "mode=1777,size=256m";
/// An empty folder that everybody may pass through.
const EMPTY: &str = "mode=0755,size=1m";

pub(super) fn arrange(spec: &JobSpec) -> io::Result<()> {
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .map_err(doing("make mounts private"))?;
    let needed: Vec<&PathBuf> = spec
        .readable
        .iter()
        .chain(&spec.writable)
        .filter(|path| path.exists())
        .collect();
    let closed = match spec.isolation {
        Isolation::Root { .. } => needed.iter().filter_map(|path| closed_ancestor(path)).collect(),
        _ => Vec::new(),
    };
    let empty = spec
        .hidden
        .iter()
        .cloned()
        .chain(closed)
        .map(|path| (path, EMPTY));
    let scratch = ["/tmp", "/dev/shm"].map(|path| (PathBuf::from(path), SCRATCH));
    let mut covers: Vec<_> = scratch.into_iter().chain(empty).collect();
    // Outer ones first; what lies in them is gone by then unless it is needed.
    covers.sort_by_key(|(path, _)| path.components().count());
    covers.dedup_by(|a, b| a.0 == b.0);
    for (path, options) in covers.iter().filter(|(path, _)| path.is_dir()) {
        cover(path, options, &needed, &spec.writable)?;
    }
    let proc_flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    // Not allowed inside containers that mask parts of it; then the old one stays, which shows more but gives no access.
    let _old_one_stays = mount(Some("proc"), "/proc", Some("proc"), proc_flags, None::<&str>).is_err();
    Ok(())
}

/// The outermost folder on the way to `path` that other users cannot enter.
fn closed_ancestor(path: &Path) -> Option<PathBuf> {
    let ancestors: Vec<&Path> = path.ancestors().skip(1).collect();
    let closed =
        |folder: &&&Path| fs::metadata(folder).is_ok_and(|meta| meta.permissions().mode() & 0o001 == 0);
    ancestors
        .iter()
        .rev()
        .find(closed)
        .map(|folder| folder.to_path_buf())
}

/// Puts an empty file system over `folder` and the needed paths below it back into it.
fn cover(folder: &Path, options: &str, needed: &[&PathBuf], writable: &[PathBuf]) -> io::Result<()> {
    let mut inside: Vec<&&PathBuf> = needed
        .iter()
        .filter(|path| path.starts_with(folder) && path.as_path() != folder)
        .collect();
    inside.sort_by_key(|path| path.components().count());
    // Held open, they stay reachable once they are covered.
    let open = |path: &&PathBuf| -> io::Result<(PathBuf, File)> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_PATH.bits())
            .open(path)?;
        Ok((path.to_path_buf(), file))
    };
    let kept: Vec<(PathBuf, File)> = inside
        .into_iter()
        .map(open)
        .collect::<io::Result<_>>()
        .map_err(doing("open a path"))?;
    mount(
        Some("tmpfs"),
        folder,
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some(options),
    )
    .map_err(doing("cover a folder"))?;
    for (path, file) in kept {
        // Already there as part of a folder that was put back before.
        if path.exists() {
            continue;
        }
        put_back(&path, &file).map_err(doing("put a path back"))?;
        // Landlock goes by the path, and may allow writing to what was covered.
        if !writable.iter().any(|writable| writable.starts_with(&path)) {
            make_read_only(&path).map_err(doing("make a path read-only"))?;
        }
    }
    Ok(())
}

fn put_back(path: &Path, file: &File) -> io::Result<()> {
    if file.metadata()?.is_dir() {
        fs::create_dir_all(path)?;
    } else {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        File::create(path)?;
    }
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    mount(
        Some(source.as_str()),
        path,
        None::<&str>,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        None::<&str>,
    )?;
    Ok(())
}

fn make_read_only(path: &Path) -> io::Result<()> {
    let flags = statvfs(path)?.flags();
    // What the mount already forbids must be forbidden again: inside a user namespace it is locked.
    let kept = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
    ];
    let kept = kept
        .into_iter()
        .filter(|(flag, _)| flags.contains(*flag))
        .map(|(_, flag)| flag);
    let all = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | kept.collect::<MsFlags>();
    mount(None::<&str>, path, None::<&str>, all, None::<&str>)?;
    Ok(())
}
