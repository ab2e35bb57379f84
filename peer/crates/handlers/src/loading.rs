//! [`Loader`]: from the entries of one configuration to instances, or to all that is wrong with them.

use crate::auth_chain::FilterInstance;
use crate::config::{BUILT_IN_ENDORSERS, BUILT_IN_VALIDATORS, BuiltIn, Config, Entry, OnError};
use crate::current::intern;
use crate::deadline::{LOADING, within};
use crate::decorator_chain::DecoratorInstance;
use crate::host::host;
use crate::instance::{Instance, PluginInfo};
use crate::kind::Kind;
use crate::load_error::{LoadError, LoadErrors, Refusal};
use crate::own_config::{Own, Split, split};
use crate::own_metrics::PluginMetrics;
use crate::platforms::Platform;
use crate::plugin_host::{Library, PluginDirs, PluginFile, Policy};
use crate::rejection::bounded;
use abi_stable::std_types::{ROption, RSlice, RStr, Tuple2};
use plugin_api::{Code, Init, OWN_CONFIG, PluginError, PluginMod_Ref, Res};
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tracing::debug;

/// What the entries have become.
pub(crate) struct Loaded {
    pub(crate) filters: Vec<Arc<FilterInstance>>,
    pub(crate) decorators: Vec<DecoratorInstance>,
    /// By chaincode type.
    pub(crate) platforms: BTreeMap<String, Platform>,
}

/// The loading of one configuration.
pub(crate) struct Loader<'a> {
    config: &'a Config,
    dirs: PluginDirs,
    /// Instance name to the entry that has it.
    names: BTreeMap<String, String>,
    refusals: Vec<Refusal>,
    metrics: Arc<PluginMetrics>,
}

/// An entry on its way to an instance.
struct Candidate<'a> {
    entry: &'a Entry,
    kind: Kind,
    config_path: String,
    file: Option<PathBuf>,
}

/// What a constructor gets.
struct Setup<'s> {
    name: String,
    config: &'s Value,
    facts: &'s [(&'s str, &'s str)],
}

impl<'a> Loader<'a> {
    /// For these entries; `own_dirs` are looked at after the folders of the configuration.
    pub(crate) fn new(config: &'a Config, own_dirs: &[PathBuf], metrics: Arc<PluginMetrics>) -> Self {
        Self {
            config,
            dirs: PluginDirs::new(&config.plugin_dirs, own_dirs),
            names: BTreeMap::new(),
            refusals: Vec::new(),
            metrics,
        }
    }

    /// Loads every entry, or reports every entry that cannot be loaded.
    pub(crate) fn load(mut self) -> Result<Loaded, LoadErrors> {
        let config = self.config;
        self.denied_toolchains();
        self.built_in("endorsers", &config.endorsers, BUILT_IN_ENDORSERS);
        self.built_in("validators", &config.validators, BUILT_IN_VALIDATORS);
        let filters = self.all(Kind::AuthFilter, &config.auth_filters, Self::auth_filter);
        let decorators = self.all(Kind::Decorator, &config.decorators, Self::decorator);
        let platforms = self.all(Kind::Platform, &config.platforms, Self::platform);
        let platforms = self.by_type(platforms);
        if !self.refusals.is_empty() {
            return Err(LoadErrors(self.refusals));
        }
        Ok(Loaded {
            filters,
            decorators,
            platforms,
        })
    }

    fn all<T>(
        &mut self,
        kind: Kind,
        entries: &'a [Entry],
        make: impl Fn(&Self, &mut Candidate<'a>) -> Result<T, LoadError>,
    ) -> Vec<T> {
        let mut made = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let config_path = format!("peer.handlers.{}[{index}]", kind.key());
            let mut candidate = Candidate {
                entry,
                kind,
                config_path,
                file: None,
            };
            match self
                .claim_name(&candidate)
                .and_then(|()| make(self, &mut candidate))
            {
                Ok(one) => made.push(one),
                Err(error) => self.refusals.push(Refusal {
                    config_path: candidate.config_path,
                    name: entry.name.clone(),
                    file: candidate.file,
                    error,
                }),
            }
        }
        made
    }

    fn claim_name(&mut self, candidate: &Candidate<'_>) -> Result<(), LoadError> {
        let name = &candidate.entry.name;
        if name.is_empty() {
            return Err(wrong("a name", "an empty one"));
        }
        match self.names.insert(name.clone(), candidate.config_path.clone()) {
            None => Ok(()),
            Some(first) => Err(wrong(
                "a unique name",
                format!("{name:?}, which {first} has already"),
            )),
        }
    }

    fn denied_toolchains(&mut self) {
        for (index, denied) in self.config.boundless_denials() {
            self.refusals.push(Refusal {
                config_path: format!("peer.handlers.denyToolchains[{index}]"),
                name: denied.clone(),
                file: None,
                error: wrong(
                    "a compiler with its version, such as \"rustc 1.98.0\"",
                    format!("{denied:?}"),
                ),
            });
        }
    }

    fn built_in(&mut self, key: &str, entries: &BTreeMap<String, BuiltIn>, known: (&str, &str)) {
        for (name, built_in) in entries {
            if (name.as_str(), built_in.name.as_str()) == known && built_in.library.is_empty() {
                continue;
            }
            let (known_name, known_factory) = known;
            self.refusals.push(Refusal {
                config_path: format!("peer.handlers.{key}.{name}"),
                name: built_in.name.clone(),
                file: None,
                error: wrong(
                    format!("only {known_name} with name {known_factory} and no library (others come later)"),
                    format!(
                        "{name} with name {} and library {:?}",
                        built_in.name, built_in.library
                    ),
                ),
            });
        }
    }

    fn auth_filter(&self, candidate: &mut Candidate<'a>) -> Result<Arc<FilterInstance>, LoadError> {
        on_error(candidate, &[OnError::Deny])?;
        self.instance(candidate, |module| module.new_auth_filter())
            .map(Arc::new)
    }

    fn decorator(&self, candidate: &mut Candidate<'a>) -> Result<DecoratorInstance, LoadError> {
        let on_error = on_error(candidate, &[OnError::Fail, OnError::Skip])?;
        let instance = self
            .instance(candidate, |module| module.new_decorator())
            .map(Arc::new)?;
        Ok(DecoratorInstance { instance, on_error })
    }

    fn platform(&self, candidate: &mut Candidate<'a>) -> Result<(Platform, String), LoadError> {
        on_error(candidate, &[OnError::Fail])?;
        let library = self.library(candidate)?;
        let Split { general, own } = split(&candidate.entry.config)?;
        let facts: Vec<(&str, &str)> = self
            .config
            .facts
            .iter()
            .map(|(name, fact)| (name.as_str(), fact.as_str()))
            .collect();
        let platform = |name: String, config: &Value, facts: &[(&str, &str)]| {
            let setup = Setup { name, config, facts };
            self.construct(candidate, &library, setup, |module| module.new_platform())
                .map(Arc::new)
        };
        let instance = platform(candidate.entry.name.clone(), &general, &facts)?;
        let mut by_chaincode = BTreeMap::new();
        for (chaincode, Own { stated, merged }) in own {
            let stated = stated.to_string();
            let mut facts = facts.clone();
            facts.push((OWN_CONFIG, stated.as_str()));
            let name = format!("{}.{chaincode}", candidate.entry.name);
            let own = platform(name, &merged, &facts).map_err(|error| of_chaincode(error, &chaincode))?;
            by_chaincode.insert(chaincode, own);
        }
        let asked = Arc::clone(&instance);
        let chaincode_type = within(LOADING, instance.name, "its chaincode type", move || {
            asked.call(|platform| platform.chaincode_type())
        })?;
        let chaincode_type = chaincode_type
            .map_err(|error| LoadError::Ctor {
                reason: bounded(&error.message),
            })?
            .to_ascii_uppercase();
        if chaincode_type.is_empty() || chaincode_type.len() > 64 {
            return Err(LoadError::Ctor {
                reason: format!("it serves the type {chaincode_type:?}"),
            });
        }
        let timeout = candidate.entry.timeout_ms.map(Duration::from_millis);
        Ok((
            Platform::new(instance, by_chaincode, chaincode_type, timeout),
            candidate.config_path.clone(),
        ))
    }

    /// Two platforms of one type are refused.
    fn by_type(&mut self, platforms: Vec<(Platform, String)>) -> BTreeMap<String, Platform> {
        let mut by_type: BTreeMap<String, Platform> = BTreeMap::new();
        for (platform, config_path) in platforms {
            match by_type.entry(platform.chaincode_type().to_owned()) {
                Place::Vacant(place) => {
                    place.insert(platform);
                }
                Place::Occupied(taken) => self.refusals.push(Refusal {
                    config_path,
                    name: platform.chaincode_type().to_owned(),
                    file: None,
                    error: wrong(
                        "one platform for each type",
                        format!("a second one for {}", taken.key()),
                    ),
                }),
            }
        }
        by_type
    }

    fn instance<T: Send + 'static>(
        &self,
        candidate: &mut Candidate<'a>,
        constructor: impl Fn(PluginMod_Ref) -> ROption<extern "C" fn(Init<'_>) -> Res<T>>,
    ) -> Result<Instance<T>, LoadError> {
        let library = self.library(candidate)?;
        let config = match &candidate.entry.config {
            Value::Null => Value::Object(serde_json::Map::new()),
            given => given.clone(),
        };
        let setup = Setup {
            name: candidate.entry.name.clone(),
            config: &config,
            facts: &[],
        };
        self.construct(candidate, &library, setup, constructor)
    }

    fn construct<T: Send + 'static>(
        &self,
        candidate: &Candidate<'a>,
        library: &Library,
        setup: Setup<'_>,
        constructor: impl Fn(PluginMod_Ref) -> ROption<extern "C" fn(Init<'_>) -> Res<T>>,
    ) -> Result<Instance<T>, LoadError> {
        let new = constructor(library.module)
            .into_option()
            .ok_or_else(|| LoadError::Kind {
                expected: candidate.kind.name(),
                found: "a manifest that names the kind, and no constructor for it".to_owned(),
            })?;
        library.check_config(setup.config)?;
        let (name, json) = (intern(&setup.name), setup.config.to_string());
        let facts: Vec<(String, String)> = setup
            .facts
            .iter()
            .map(|(name, fact)| ((*name).to_owned(), (*fact).to_owned()))
            .collect();
        // made here, where the peer's runtime is at hand
        let host = host(name, Arc::clone(&self.metrics));
        let object = within(LOADING, name, "it", move || {
            let facts: Vec<_> = facts
                .iter()
                .map(|(name, fact)| Tuple2(RStr::from(name.as_str()), RStr::from(fact.as_str())))
                .collect();
            new(Init {
                host,
                instance: RStr::from(name),
                config_json: RStr::from(json.as_str()),
                ext: RSlice::from_slice(&facts),
            })
        })?;
        let object = object.into_result().map_err(refused_by_constructor)?;
        Ok(Instance::new(name, describe(candidate, library), object))
    }

    fn library(&self, candidate: &mut Candidate<'a>) -> Result<Arc<Library>, LoadError> {
        let path = self.dirs.locate(candidate.entry)?;
        candidate.file = Some(path.clone());
        self.dirs.check(&path)?;
        let file = PluginFile::read(&path)?;
        self.check_pin(candidate.entry, &file)?;
        let policy = Policy {
            deny_toolchains: &self.config.deny_toolchains,
            max_libraries: self.config.max_reloads,
        };
        // a plugin that ends the process is named by the crash handler, one that never ends by its deadline: this line
        // has the rest, for whoever asks for it
        debug!(
            plugin = candidate.entry.name,
            file = %path.display(),
            sha256 = file.sha256,
            "loading plugin"
        );
        Library::load(file, candidate.kind, &policy)
    }

    fn check_pin(&self, entry: &Entry, file: &PluginFile) -> Result<(), LoadError> {
        match &entry.sha256 {
            Some(pin) if pin.eq_ignore_ascii_case(&file.sha256) => Ok(()),
            Some(pin) => Err(LoadError::Sha {
                expected: pin.clone(),
                found: file.sha256.clone(),
            }),
            None if self.config.require_pins => Err(LoadError::Sha {
                expected: "in the entry, because requirePins is set".to_owned(),
                found: format!("none (the file has {})", file.sha256),
            }),
            None => Ok(()),
        }
    }
}

/// Says for which chaincode a configuration is wrong.
fn of_chaincode(error: LoadError, chaincode: &str) -> LoadError {
    match error {
        LoadError::Config { expected, found } => LoadError::Config {
            expected,
            found: format!("for chaincode {chaincode} {found}"),
        },
        other => other,
    }
}

fn wrong(expected: impl Into<String>, found: impl Into<String>) -> LoadError {
    LoadError::Config {
        expected: expected.into(),
        found: found.into(),
    }
}

/// The entry's choice among those that its kind allows; the first is the default.
fn on_error(candidate: &Candidate<'_>, allowed: &[OnError]) -> Result<OnError, LoadError> {
    match (candidate.entry.on_error, allowed.first()) {
        (Some(chosen), _) if allowed.contains(&chosen) => Ok(chosen),
        (None, Some(default)) => Ok(*default),
        (chosen, _) => {
            let kind = candidate.kind.name();
            Err(wrong(
                format!("onError of {kind}s to be one of {allowed:?}"),
                format!("{chosen:?}"),
            ))
        }
    }
}

fn refused_by_constructor(error: PluginError) -> LoadError {
    let message = bounded(&error.message);
    if error.code == Code::CONFIG {
        return wrong("a config that the plugin can use", message);
    }
    LoadError::Ctor { reason: message }
}

fn describe(candidate: &Candidate<'_>, library: &Library) -> PluginInfo {
    let entry = candidate.entry;
    let timeout = candidate.kind.default_timeout();
    let file = candidate.file.as_deref().unwrap_or(Path::new(""));
    PluginInfo {
        instance: entry.name.clone(),
        kind: candidate.kind,
        plugin: library.note.name().to_owned(),
        version: library.note.version().to_owned(),
        description: library.description.clone(),
        api: format!("{}.{}", library.note.api_major, library.note.api_minor),
        toolchain: library.note.toolchain().to_owned(),
        file: file.display().to_string(),
        sha256: library.sha256.clone(),
        executor: entry.executor,
        timeout_ms: entry
            .timeout_ms
            .unwrap_or_else(|| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        config_path: candidate.config_path.clone(),
    }
}
