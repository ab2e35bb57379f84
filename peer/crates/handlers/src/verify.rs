//! [`verify`]: everything about the entries of `peer.handlers` that can be checked without running code of a plugin.

use crate::config::{Config, Entry};
use crate::kind::Kind;
use crate::load_error::LoadError;
use crate::loading::fits::misfits;
use crate::own_config::{Split, split};
use crate::pin::Pin;
use crate::plugin_host::{Exposure, Metadata, PluginDirs, PluginFile, Policy, Way, check_note};
use plugin_api::Note;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What was found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// The entries, in the order of the configuration.
    pub entries: Vec<VerifiedEntry>,
    /// What is not as it must be about the section itself, each with its place.
    pub deviations: Vec<String>,
}

impl Verification {
    /// How many things are not as they must be.
    #[must_use]
    pub fn deviations(&self) -> usize {
        let of_entries = self.entries.iter().map(|entry| entry.deviations.len());
        of_entries.sum::<usize>() + self.deviations.len()
    }
}

/// What was found out about one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedEntry {
    /// The entry, for example `peer.handlers.authFilters[2]`.
    pub config_path: String,
    /// The instance's name.
    pub name: String,
    /// The list that it is in.
    pub kind: Kind,
    /// The plugin's own name.
    pub plugin: Option<String>,
    /// The plugin's version.
    pub version: Option<String>,
    /// Version of the plugin API that it was built with.
    pub api: Option<String>,
    /// The file, all links resolved.
    pub file: Option<PathBuf>,
    /// The links that led to it.
    pub links: Vec<Link>,
    /// The file's SHA-256.
    pub sha256: Option<String>,
    /// What the entry's pin says about it.
    pub pin: Option<Pin>,
    /// Whether the configuration was checked against the plugin's schema; plugins built with API 1.0 have theirs only
    /// in their code.
    pub config_checked: bool,
    /// What is not as it must be.
    pub deviations: Vec<String>,
}

/// A symbolic link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Where it lies.
    pub link: PathBuf,
    /// What it says.
    pub target: PathBuf,
}

/// Checks every entry. `own_dirs` are looked at after the folders of the configuration.
#[must_use]
pub fn verify(config: &Config, own_dirs: &[PathBuf]) -> Verification {
    let dirs = PluginDirs::new(config, own_dirs);
    let mut names = BTreeMap::new();
    let entries = entries(config)
        .map(|(config_path, kind, name, entry)| {
            let mut verdict = VerifiedEntry::new(config_path, kind, name);
            if !kind.is_named() {
                verdict.name_is_free(&mut names);
            }
            verdict.fits(entry);
            if let Err(error) = verdict.library(config, &dirs, entry) {
                verdict.refused(&error);
            }
            verdict
        })
        .collect();
    Verification {
        entries,
        deviations: section(config),
    }
}

/// Every entry with its place and kind.
fn entries(config: &Config) -> impl Iterator<Item = (String, Kind, &str, &Entry)> {
    let lists = [
        (Kind::AuthFilter, &config.auth_filters),
        (Kind::Decorator, &config.decorators),
        (Kind::Platform, &config.platforms),
    ];
    let maps = [
        (Kind::Endorsement, &config.endorsers),
        (Kind::Validation, &config.validators),
    ];
    let listed = lists.into_iter().flat_map(|(kind, list)| {
        let place = move |index| format!("peer.handlers.{}[{index}]", kind.key());
        list.iter()
            .enumerate()
            .map(move |(index, entry)| (place(index), kind, entry.name.as_str(), entry))
    });
    let named = maps.into_iter().flat_map(|(kind, map)| {
        let place = move |name: &str| format!("peer.handlers.{}.{name}", kind.key());
        map.iter()
            .map(move |(name, entry)| (place(name), kind, name.as_str(), entry))
    });
    listed.chain(named)
}

/// What is wrong with the section beside its entries.
fn section(config: &Config) -> Vec<String> {
    let denials = config.boundless_denials().map(|(index, denied)| {
        format!("peer.handlers.denyToolchains[{index}]: {denied:?} denies every compiler; name one with its version")
    });
    let dirs = config.plugin_dirs.iter().enumerate().flat_map(|(index, dir)| {
        let faults = match Way::to(dir).and_then(|way| way.exposures()) {
            Ok(exposures) => exposures.iter().map(exposed).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => vec![format!("cannot look at {}: {error}", dir.display())],
        };
        faults
            .into_iter()
            .map(move |fault| format!("peer.handlers.pluginDirs[{index}]: {fault}"))
    });
    denials.chain(dirs).collect()
}

fn exposed(exposure: &Exposure) -> String {
    let error = LoadError::Perm {
        component: exposure.component.clone(),
        found: exposure.found.clone(),
    };
    format!("{error}; {}", error.remedy())
}

impl VerifiedEntry {
    fn new(config_path: String, kind: Kind, name: &str) -> Self {
        Self {
            config_path,
            name: name.to_owned(),
            kind,
            plugin: None,
            version: None,
            api: None,
            file: None,
            links: Vec::new(),
            sha256: None,
            pin: None,
            config_checked: false,
            deviations: Vec::new(),
        }
    }

    fn refused(&mut self, error: &LoadError) {
        let cause = match error {
            LoadError::Io(source) => format!(": {source}"),
            _ => String::new(),
        };
        self.deviations
            .push(format!("{error}{cause}; {}", error.remedy()));
    }

    fn name_is_free(&mut self, names: &mut BTreeMap<String, String>) {
        if self.name.is_empty() {
            self.deviations.push("it has no name".to_owned());
        } else if let Some(first) = names.insert(self.name.clone(), self.config_path.clone()) {
            self.deviations
                .push(format!("{first} has the name {:?} already", self.name));
        }
    }

    fn fits(&mut self, entry: &Entry) {
        if self.kind.is_named() && entry.name.is_empty() {
            self.deviations.push("it has no name".to_owned());
        }
        for misfit in misfits(self.kind, entry) {
            self.refused(&misfit);
        }
    }

    /// Goes on as long as there is something to check; an error is the last thing that was found.
    fn library(&mut self, config: &Config, dirs: &PluginDirs, entry: &Entry) -> Result<(), LoadError> {
        let way = dirs.locate(entry)?;
        self.file = Some(way.real.clone());
        self.links = links(&way);
        if let Err(outside) = dirs.contains(&way.real) {
            self.refused(&outside);
        }
        let exposures = way.exposures().map_err(LoadError::Io)?;
        self.deviations.extend(exposures.iter().map(exposed));
        let file = PluginFile::read(&way.real)?;
        self.sha256 = Some(file.sha256.clone());
        self.pin = Some(Pin::of(entry, &file.sha256));
        if let Err(other) = Pin::check(entry, &file.sha256, config.require_pins) {
            self.refused(&other);
        }
        let note = file.note()?;
        self.plugin = Some(note.name().to_owned());
        self.version = Some(note.version().to_owned());
        self.api = Some(format!("{}.{}", note.api_major, note.api_minor));
        let policy = Policy {
            deny_toolchains: &config.deny_toolchains,
            max_libraries: config.max_reloads,
            try_out: false,
        };
        if let Err(unusable) = check_note(&note, self.kind, &policy) {
            self.refused(&unusable);
        }
        match file.metadata(&note)? {
            Some(metadata) => self.config(&metadata, &note, entry),
            None => Ok(()),
        }
    }

    fn config(&mut self, metadata: &Metadata, note: &Note, entry: &Entry) -> Result<(), LoadError> {
        let schema = metadata.schema().map_err(|found| LoadError::Metadata {
            found: format!("a configSchema that is none: {found}"),
        })?;
        self.config_checked = true;
        let at = format!("{}.config", self.config_path);
        if self.kind != Kind::Platform {
            return schema.check(note.name(), &or_empty(&entry.config), &at);
        }
        let Split { general, own } = split(&entry.config)?;
        schema.check(note.name(), &general, &at)?;
        own.iter().try_for_each(|(chaincode, own)| {
            schema.check(note.name(), &own.merged, &format!("{at}.chaincodes.{chaincode}"))
        })
    }
}

fn or_empty(config: &Value) -> Value {
    match config {
        Value::Null => Value::Object(serde_json::Map::new()),
        given => given.clone(),
    }
}

fn links(way: &Way) -> Vec<Link> {
    let owned = |(link, target): &(PathBuf, PathBuf)| Link {
        link: Path::new(link).to_owned(),
        target: Path::new(target).to_owned(),
    };
    way.links.iter().map(owned).collect()
}
