//! Where a library may lie, and who may be able to change it.

use super::file::{PluginFile, note_of};
use crate::config::Entry;
use crate::load_error::LoadError;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The plugin folders, resolved: those of the configuration, then the peer's own.
pub(crate) struct PluginDirs {
    configured: Vec<PathBuf>,
    own: Vec<PathBuf>,
    named: String,
}

impl PluginDirs {
    pub(crate) fn new(configured: &[PathBuf], own: &[PathBuf]) -> Self {
        let resolved = |dirs: &[PathBuf]| dirs.iter().filter_map(|dir| fs::canonicalize(dir).ok()).collect();
        let all = configured.iter().chain(own);
        let named: Vec<String> = all.map(|dir| dir.display().to_string()).collect();
        Self {
            configured: resolved(configured),
            own: resolved(own),
            named: format!("[{}]", named.join(", ")),
        }
    }

    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.configured.iter().chain(&self.own)
    }

    /// The one file that an entry means.
    pub(crate) fn locate(&self, entry: &Entry) -> Result<PathBuf, LoadError> {
        if entry.library.as_os_str().is_empty() {
            return self.by_name(&entry.name);
        }
        if entry.library.components().count() > 1 {
            return existing(&entry.library);
        }
        let mut candidates = self.all().map(|dir| dir.join(&entry.library));
        match candidates.find(|path| path.exists()) {
            Some(path) => existing(&path),
            None => Err(LoadError::Missing {
                path: entry.library.display().to_string(),
                found: format!("no such file in the plugin folders {}", self.named),
            }),
        }
    }

    /// Refuses files outside of the plugin folders and files that others could change.
    pub(crate) fn check(&self, path: &Path) -> Result<(), LoadError> {
        if !self.all().any(|dir| path.starts_with(dir)) {
            return Err(LoadError::Path {
                expected: self.named.clone(),
                found: path.to_owned(),
            });
        }
        let user = rustix::process::geteuid().as_raw();
        for component in path.ancestors() {
            let metadata = fs::metadata(component).map_err(LoadError::Io)?;
            if let Some(found) = exposure(&Rights::of(&metadata), user) {
                return Err(LoadError::Perm {
                    component: component.to_owned(),
                    found,
                });
            }
        }
        Ok(())
    }

    fn by_name(&self, name: &str) -> Result<PathBuf, LoadError> {
        let mut found: Vec<PathBuf> = Vec::new();
        let mut others: Vec<String> = Vec::new();
        for dirs in [&self.configured, &self.own] {
            for path in libraries(dirs) {
                match note_of(&path) {
                    Some(note) if note.name() == name => found.push(path),
                    Some(note) => others.push(format!("{:?}", note.name())),
                    None => {}
                }
            }
            // what the operator has put somewhere wins over what was shipped
            if !found.is_empty() {
                break;
            }
        }
        match found.as_slice() {
            [path] => existing(path),
            [first, rest @ ..] if same_content(first, rest) => existing(first),
            [] => Err(LoadError::Missing {
                path: name.to_owned(),
                found: format!(
                    "no plugin of that name in the plugin folders {}, which have [{}]",
                    self.named,
                    others.join(", ")
                ),
            }),
            several => {
                let several: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
                Err(LoadError::Ambiguous {
                    found: several.join(", "),
                })
            }
        }
    }
}

fn libraries(dirs: &[PathBuf]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = dirs
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flat_map(|entries| entries.filter_map(Result::ok))
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "so"))
        .collect();
    paths.sort();
    paths
}

fn same_content(first: &Path, rest: &[PathBuf]) -> bool {
    let digest = |path: &Path| PluginFile::read(path).ok().map(|file| file.sha256);
    let expected = digest(first);
    expected.is_some() && rest.iter().all(|path| digest(path) == expected)
}

fn existing(path: &Path) -> Result<PathBuf, LoadError> {
    fs::canonicalize(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => LoadError::Missing {
            path: path.display().to_string(),
            found: "no such file".to_owned(),
        },
        _ => LoadError::Io(source),
    })
}

/// Who else could replace or change this file or folder; `None` when nobody.
fn exposure(rights: &Rights, user: u32) -> Option<String> {
    let Rights {
        owner,
        mode,
        is_folder,
    } = *rights;
    if owner != 0 && owner != user {
        return Some(format!("owner {owner}"));
    }
    let sticky_folder = is_folder && mode & 0o1000 != 0;
    // a group of the user's own number counts as well: who else is in it, or will be, cannot be seen here
    (mode & 0o022 != 0 && !sticky_folder).then(|| format!("mode {:04o}", mode & 0o7777))
}

/// What decides who may write.
struct Rights {
    owner: u32,
    mode: u32,
    is_folder: bool,
}

impl Rights {
    fn of(metadata: &Metadata) -> Self {
        Self {
            owner: metadata.uid(),
            mode: metadata.mode(),
            is_folder: metadata.is_dir(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_but_root_and_the_user_may_write() {
        let found = |owner, mode, is_folder| {
            let rights = Rights {
                owner,
                mode,
                is_folder,
            };
            exposure(&rights, 1000)
        };
        for (owner, mode, is_folder) in [
            (1000, 0o644, false),
            (0, 0o755, true),
            (1000, 0o700, true),
            (0, 0o1777, true),
        ] {
            assert_eq!(found(owner, mode, is_folder), None, "{owner} {mode:o}");
        }
        assert_eq!(found(1001, 0o600, false), Some("owner 1001".to_owned()));
        // also where user and group have the same number
        assert_eq!(found(1000, 0o664, false), Some("mode 0664".to_owned()));
        assert_eq!(found(1000, 0o775, true), Some("mode 0775".to_owned()));
        assert_eq!(found(1000, 0o602, false), Some("mode 0602".to_owned()));
        assert_eq!(found(0, 0o1666, false), Some("mode 1666".to_owned()));
    }
}
