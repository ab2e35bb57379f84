//! Where a library may lie, and who may be able to change it.

use super::file::{PluginFile, note_of};
use super::way::{Exposure, Way};
use crate::advice::closest;
use crate::config::{Config, Entry};
use crate::load_error::LoadError;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The plugin folders: those of the configuration, then the peer's own.
pub(crate) struct PluginDirs {
    configured: Vec<Dir>,
    own: Vec<Dir>,
    named: String,
    aliases: BTreeMap<String, String>,
}

/// A plugin folder that exists.
struct Dir {
    /// As it was stated; links on the way to it count.
    stated: PathBuf,
    /// All links resolved.
    real: PathBuf,
}

impl PluginDirs {
    pub(crate) fn new(config: &Config, own: &[PathBuf]) -> Self {
        let configured = &config.plugin_dirs;
        let existing = |dirs: &[PathBuf]| {
            let real = |stated: &PathBuf| {
                let real = fs::canonicalize(stated).ok()?;
                let stated = stated.clone();
                Some(Dir { stated, real })
            };
            dirs.iter().filter_map(real).collect()
        };
        let all = configured.iter().chain(own);
        let named: Vec<String> = all.map(|dir| dir.display().to_string()).collect();
        Self {
            configured: existing(configured),
            own: existing(own),
            named: format!("[{}]", named.join(", ")),
            aliases: config.aliases.clone(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Dir> {
        self.configured.iter().chain(&self.own)
    }

    /// The one file that an entry means, and the way to it.
    pub(crate) fn locate(&self, entry: &Entry) -> Result<Way, LoadError> {
        if entry.library.as_os_str().is_empty() {
            return match (self.by_name(&entry.name), self.aliases.get(&entry.name)) {
                (Err(LoadError::Missing { .. }), Some(own_name)) => self.by_name(own_name),
                (found, _) => found,
            };
        }
        if entry.library.components().count() > 1 {
            return existing(&entry.library);
        }
        let mut candidates = self.all().map(|dir| dir.stated.join(&entry.library));
        match candidates.find(|path| path.exists()) {
            Some(path) => existing(&path),
            None => Err(LoadError::Missing {
                path: entry.library.display().to_string(),
                found: format!("no such file in the plugin folders {}", self.named),
            }),
        }
    }

    /// Refuses files outside of the plugin folders and files that others could change.
    pub(crate) fn check(&self, way: &Way) -> Result<(), LoadError> {
        self.contains(&way.real)?;
        match way.exposures().map_err(LoadError::Io)?.into_iter().next() {
            Some(Exposure { component, found }) => Err(LoadError::Perm { component, found }),
            None => Ok(()),
        }
    }

    /// Refuses files outside of the plugin folders.
    pub(crate) fn contains(&self, real: &Path) -> Result<(), LoadError> {
        if self.all().any(|dir| real.starts_with(&dir.real)) {
            return Ok(());
        }
        Err(LoadError::Path {
            expected: self.named.clone(),
            found: real.to_owned(),
        })
    }

    fn by_name(&self, name: &str) -> Result<Way, LoadError> {
        let mut found: Vec<PathBuf> = Vec::new();
        let mut others: Vec<String> = Vec::new();
        for dirs in [&self.configured, &self.own] {
            for path in libraries(dirs) {
                match note_of(&path) {
                    Some(note) if note.name() == name => found.push(path),
                    Some(note) => others.push(note.name().to_owned()),
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
            [] => Err(self.no_such_plugin(name, &others)),
            several => {
                let several: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
                Err(LoadError::Ambiguous {
                    found: several.join(", "),
                })
            }
        }
    }

    fn no_such_plugin(&self, name: &str, others: &[String]) -> LoadError {
        let meant = match closest(name, others.iter().map(String::as_str)) {
            Some(meant) => format!("; did you mean {meant:?}?"),
            None => String::new(),
        };
        LoadError::Missing {
            path: name.to_owned(),
            found: format!(
                "no plugin {name:?} in the plugin folders {}, which have {others:?}{meant}",
                self.named
            ),
        }
    }
}

fn libraries(dirs: &[Dir]) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = dirs
        .iter()
        .filter_map(|dir| fs::read_dir(&dir.stated).ok())
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

fn existing(path: &Path) -> Result<Way, LoadError> {
    Way::to(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => LoadError::Missing {
            path: path.display().to_string(),
            found: "no such file".to_owned(),
        },
        _ => LoadError::Io(source),
    })
}
