//! [`Way`]: how a path leads to a file. Whoever can change one folder or one link of it decides what gets loaded.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Links that are followed, as many as Linux follows.
const MAX_LINKS: usize = 40;

/// The way from a path to what lies at its end.
#[derive(Debug)]
pub(crate) struct Way {
    /// Where it ends: absolute, without links.
    pub(crate) real: PathBuf,
    /// The links on it and what they point to, in order.
    pub(crate) links: Vec<(PathBuf, PathBuf)>,
    /// The folders on it and its end, from the root downwards.
    passed: Vec<PathBuf>,
}

/// Something that others than root and the peer's user can change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exposure {
    pub(crate) component: PathBuf,
    pub(crate) found: String,
}

impl Way {
    /// Follows a path.
    pub(crate) fn to(path: &Path) -> io::Result<Self> {
        let mut way = Self {
            real: PathBuf::from("/"),
            links: Vec::new(),
            passed: vec![PathBuf::from("/")],
        };
        let mut ahead = VecDeque::new();
        put_in_front(&mut ahead, &std::path::absolute(path)?);
        while let Some(step) = ahead.pop_front() {
            match step {
                Step::Root => way.real = PathBuf::from("/"),
                Step::Up => {
                    way.real.pop();
                }
                Step::Down(name) => way.enter(&name, &mut ahead)?,
            }
        }
        Ok(way)
    }

    fn enter(&mut self, name: &OsString, ahead: &mut VecDeque<Step>) -> io::Result<()> {
        let next = self.real.join(name);
        if !fs::symlink_metadata(&next)?.is_symlink() {
            self.passed.push(next.clone());
            self.real = next;
            return Ok(());
        }
        if self.links.len() == MAX_LINKS {
            return Err(io::Error::other(format!("more than {MAX_LINKS} symbolic links")));
        }
        let target = fs::read_link(&next)?;
        put_in_front(ahead, &target);
        self.links.push((next, target));
        Ok(())
    }

    /// What on the way others could change.
    pub(crate) fn exposures(&self) -> io::Result<Vec<Exposure>> {
        let user = rustix::process::geteuid().as_raw();
        let end = self.end()?;
        let mut found: Vec<Exposure> = Vec::new();
        for component in self.links.iter().map(|(link, _)| link).chain(&self.passed) {
            let rights = Rights::of(&fs::symlink_metadata(component)?, component == end);
            let known = found.iter().any(|exposure| exposure.component == *component);
            if let (Some(text), false) = (exposure(&rights, user), known) {
                found.push(Exposure {
                    component: component.clone(),
                    found: text,
                });
            }
        }
        Ok(found)
    }

    /// The folder that libraries are looked for in: the last one.
    fn end(&self) -> io::Result<&Path> {
        let real = self.real.as_path();
        let is_folder = fs::symlink_metadata(real)?.is_dir();
        Ok(if is_folder {
            real
        } else {
            real.parent().unwrap_or(real)
        })
    }
}

enum Step {
    Root,
    Up,
    Down(OsString),
}

fn put_in_front(ahead: &mut VecDeque<Step>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::RootDir => ahead.push_front(Step::Root),
            Component::ParentDir => ahead.push_front(Step::Up),
            Component::Normal(name) => ahead.push_front(Step::Down(name.to_owned())),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

/// What decides who may write.
#[derive(Clone, Copy)]
struct Rights {
    owner: u32,
    mode: u32,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    File,
    /// On the way to another one.
    Passage,
    /// With libraries in it.
    Folder,
    Link,
}

impl Rights {
    fn of(metadata: &Metadata, is_end: bool) -> Self {
        Self {
            owner: metadata.uid(),
            mode: metadata.mode(),
            what: match metadata {
                link if link.is_symlink() => What::Link,
                folder if folder.is_dir() && is_end => What::Folder,
                folder if folder.is_dir() => What::Passage,
                _ => What::File,
            },
        }
    }
}

/// Who else could replace or change this file, folder or link; `None` when nobody.
fn exposure(rights: &Rights, user: u32) -> Option<String> {
    let Rights { owner, mode, what } = *rights;
    if owner != 0 && owner != user {
        return Some(format!("owner {owner}"));
    }
    // nobody can replace what is another's in a sticky folder, but anybody can put libraries beside ours; the mode of a
    // link says nothing
    let sticky_passage = what == What::Passage && mode & 0o1000 != 0;
    let open = mode & 0o022 != 0 && !sticky_passage && what != What::Link;
    // a group of the user's own number counts as well: who else is in it, or will be, cannot be seen here
    open.then(|| format!("mode {:04o}", mode & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn nobody_but_root_and_the_user_may_write() {
        let found = |owner, mode, is_folder| {
            let what = if is_folder { What::Folder } else { What::File };
            exposure(&Rights { owner, mode, what }, 1000)
        };
        for (owner, mode, is_folder) in [(1000, 0o644, false), (0, 0o755, true), (1000, 0o700, true)] {
            assert_eq!(found(owner, mode, is_folder), None, "{owner} {mode:o}");
        }
        let sticky = |what| Rights {
            owner: 0,
            mode: 0o1777,
            what,
        };
        assert_eq!(exposure(&sticky(What::Passage), 1000), None);
        assert_eq!(
            exposure(&sticky(What::Folder), 1000),
            Some("mode 1777".to_owned())
        );
        assert_eq!(found(1001, 0o600, false), Some("owner 1001".to_owned()));
        // also where user and group have the same number
        assert_eq!(found(1000, 0o664, false), Some("mode 0664".to_owned()));
        assert_eq!(found(1000, 0o775, true), Some("mode 0775".to_owned()));
        assert_eq!(found(1000, 0o602, false), Some("mode 0602".to_owned()));
        assert_eq!(found(0, 0o1666, false), Some("mode 1666".to_owned()));
        let link = |owner| Rights {
            owner,
            mode: 0o777,
            what: What::Link,
        };
        assert_eq!(exposure(&link(1000), 1000), None);
        assert_eq!(exposure(&link(1001), 1000), Some("owner 1001".to_owned()));
    }

    #[test]
    fn a_way_knows_its_links_and_who_could_change_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let at = |name: &str| root.join(name);
        fs::create_dir_all(at("store/v2")).unwrap();
        fs::create_dir(at("open")).unwrap();
        fs::write(at("store/v2/a.so"), "x").unwrap();
        symlink("v2", at("store/current")).unwrap();
        symlink("../store/./current/a.so", at("open/a.so")).unwrap();
        fs::set_permissions(at("open"), fs::Permissions::from_mode(0o777)).unwrap();
        for private in ["store", "store/v2"] {
            fs::set_permissions(at(private), fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::set_permissions(at("store/v2/a.so"), fs::Permissions::from_mode(0o644)).unwrap();

        let way = Way::to(&at("open/a.so")).unwrap();
        assert_eq!(way.real, at("store/v2/a.so"));
        assert_eq!(way.real, at("open/a.so").canonicalize().unwrap());
        assert_eq!(
            way.links,
            [
                (at("open/a.so"), PathBuf::from("../store/./current/a.so")),
                (at("store/current"), PathBuf::from("v2")),
            ]
        );
        let exposed = |way: &Way| -> Vec<_> {
            let exposures = way.exposures().unwrap().into_iter();
            exposures
                .filter(|exposure| exposure.component.starts_with(&root))
                .map(|exposure| (exposure.component, exposure.found))
                .collect()
        };
        assert_eq!(exposed(&way), [(at("open"), "mode 0777".to_owned())]);
        assert_eq!(exposed(&Way::to(&way.real).unwrap()), []);

        symlink("loop", at("loop")).unwrap();
        assert_eq!(
            Way::to(&at("loop")).unwrap_err().to_string(),
            "more than 40 symbolic links"
        );
        assert_eq!(Way::to(&at("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
