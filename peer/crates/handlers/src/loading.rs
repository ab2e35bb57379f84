//! [`Loader`]: from the entries of one configuration to instances, or to all that is wrong with them.

pub(crate) mod fits;
mod named;

use crate::auth_chain::BoundFilter;
use crate::binding::Binding;
use crate::config::{Config, Entry};
use crate::current::intern;
use crate::deadline::{LOADING, within};
use crate::decorator_chain::DecoratorInstance;
use crate::host::host;
use crate::instance::{Instance, Origin, PluginInfo};
use crate::kind::Kind;
use crate::load_error::{LoadError, LoadErrors, Refusal};
use crate::metrics::Counters;
use crate::own_config::{Own, Split, split};
use crate::own_metrics::PluginMetrics;
use crate::pin::Pin;
use crate::platforms::Platform;
use crate::plugin_host::{Library, PluginDirs, PluginFile, Policy};
use crate::plugin_set::PluginSet;
use crate::rejection::bounded;
use abi_stable::std_types::{ROption, RSlice, RStr, Tuple2};
use fits::fits;
use parking_lot::Mutex;
use plugin_api::{
    Code, EndorsementObject, Init, OWN_CONFIG, PluginError, PluginMod_Ref, Res, ValidationObject,
};
use protos::chaincode_type_number;
use serde_json::Value;
use std::collections::btree_map::Entry as Place;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tracing::debug;

/// How the names of facts begin that plugins of every kind get.
const FOR_ALL_KINDS: &str = "peer.";

/// What the entries have become.
pub(crate) struct Loaded {
    pub(crate) filters: Vec<BoundFilter>,
    pub(crate) decorators: Vec<DecoratorInstance>,
    /// By chaincode type.
    pub(crate) platforms: BTreeMap<String, Platform>,
    /// By the name that chaincode definitions spell.
    pub(crate) endorsers: Named<EndorsementObject>,
    /// By the name that chaincode definitions spell.
    pub(crate) validators: Named<ValidationObject>,
}

/// Instances by name.
pub(crate) type Named<T> = BTreeMap<String, Arc<Instance<T>>>;

/// The loading of one configuration.
pub(crate) struct Loader<'a> {
    config: &'a Config,
    dirs: PluginDirs,
    /// Instance name to the entry that has it.
    names: BTreeMap<String, String>,
    refusals: Vec<Refusal>,
    shared: &'a Shared,
    /// What runs already.
    running: &'a PluginSet,
}

/// What outlives a reload.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) metrics: Arc<PluginMetrics>,
    /// Counts go on when an instance of the same name takes over.
    counters: Mutex<BTreeMap<(Kind, &'static str), Arc<Counters>>>,
}

impl Shared {
    fn counters(&self, kind: Kind, name: &'static str) -> Arc<Counters> {
        let mut counters = self.counters.lock();
        let counters = counters
            .entry((kind, name))
            .or_insert_with(|| Arc::new(Counters::new(name, kind)));
        Arc::clone(counters)
    }

    /// Forgets what is about instances that are not there any more.
    pub(crate) fn retain(&self, set: &PluginSet) {
        let names: BTreeSet<String> = set.list().into_iter().map(|info| info.instance).collect();
        let is_there = |name: &str| {
            // an instance for one chaincode has the platform's name before the dot
            let of = name.split_once('.').map_or(name, |(of, _chaincode)| of);
            names.contains(name) || names.contains(of)
        };
        self.counters.lock().retain(|(_, name), _| is_there(name));
        self.metrics.retain(is_there);
    }
}

/// An entry on its way to an instance.
struct Candidate<'a> {
    entry: &'a Entry,
    kind: Kind,
    /// The instance's name.
    name: String,
    config_path: String,
    file: Option<PathBuf>,
}

/// What a constructor gets.
struct Setup<'s> {
    name: String,
    /// Where its configuration stands.
    at: String,
    config: &'s Value,
    facts: &'s [(&'s str, &'s str)],
}

impl<'a> Loader<'a> {
    /// For these entries; `own_dirs` are looked at after the folders of the configuration.
    pub(crate) fn new(
        config: &'a Config,
        own_dirs: &[PathBuf],
        shared: &'a Shared,
        running: &'a PluginSet,
    ) -> Self {
        Self {
            config,
            dirs: PluginDirs::new(config, own_dirs),
            names: BTreeMap::new(),
            refusals: Vec::new(),
            shared,
            running,
        }
    }

    /// Loads every entry, or reports every entry that cannot be loaded.
    pub(crate) fn load(mut self) -> Result<Loaded, LoadErrors> {
        let config = self.config;
        self.denied_toolchains();
        let filters = self.all(Kind::AuthFilter, &config.auth_filters, Self::auth_filter);
        let decorators = self.all(Kind::Decorator, &config.decorators, Self::decorator);
        let platforms = self.all(Kind::Platform, &config.platforms, Self::platform);
        let platforms = self.by_type(platforms);
        let running = self.running;
        let endorsers = self.named(
            Kind::Endorsement,
            &config.endorsers,
            |name, origin| running.endorsers.kept(name, origin),
            |module| module.new_endorsement().unwrap_or(ROption::RNone),
        );
        let validators = self.named(
            Kind::Validation,
            &config.validators,
            |name, origin| running.validators.kept(name, origin),
            |module| module.new_validation().unwrap_or(ROption::RNone),
        );
        if !self.refusals.is_empty() {
            return Err(LoadErrors(self.refusals));
        }
        Ok(Loaded {
            filters,
            decorators,
            platforms,
            endorsers,
            validators,
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
            let candidate = Candidate {
                entry,
                kind,
                name: entry.name.clone(),
                config_path,
                file: None,
            };
            made.extend(self.one(candidate, &make));
        }
        made
    }

    fn one<T>(
        &mut self,
        mut candidate: Candidate<'a>,
        make: impl Fn(&Self, &mut Candidate<'a>) -> Result<T, LoadError>,
    ) -> Option<T> {
        let made = self
            .claim_name(&candidate)
            .and_then(|()| make(self, &mut candidate));
        made.map_err(|error| {
            self.refusals.push(Refusal {
                config_path: candidate.config_path,
                name: candidate.entry.name.clone(),
                file: candidate.file,
                error,
            });
        })
        .ok()
    }

    fn claim_name(&mut self, candidate: &Candidate<'_>) -> Result<(), LoadError> {
        let name = &candidate.name;
        if name.is_empty() || candidate.entry.name.is_empty() {
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

    fn auth_filter(&self, candidate: &mut Candidate<'a>) -> Result<BoundFilter, LoadError> {
        fits(candidate.kind, candidate.entry)?;
        let kept = |name: &str, origin: &Origin| self.running.auth.kept(name, origin);
        let (instance, info) = self.instance(candidate, kept, |module| module.new_auth_filter())?;
        Ok(BoundFilter {
            instance,
            info,
            binding: Binding::new(&candidate.entry.applies_to),
        })
    }

    fn decorator(&self, candidate: &mut Candidate<'a>) -> Result<DecoratorInstance, LoadError> {
        let on_error = fits(candidate.kind, candidate.entry)?;
        let kept = |name: &str, origin: &Origin| self.running.decorators.kept(name, origin);
        let (instance, info) = self.instance(candidate, kept, |module| module.new_decorator())?;
        Ok(DecoratorInstance {
            instance,
            info,
            binding: Binding::new(&candidate.entry.applies_to),
            on_error,
        })
    }

    fn platform(&self, candidate: &mut Candidate<'a>) -> Result<(Platform, String), LoadError> {
        fits(candidate.kind, candidate.entry)?;
        let library = self.library(candidate)?;
        let facts = self.config.facts.clone();
        let contents = library.contents(&candidate.entry.config);
        let origin = Origin::new(candidate.entry, &library.sha256, facts, contents);
        if let Some(kept) = self.running.platforms.kept(&candidate.entry.name, &origin) {
            let kept = kept.described(describe(candidate, &library));
            return Ok((kept, candidate.config_path.clone()));
        }
        let Split { general, own } = split(&candidate.entry.config)?;
        let facts: Vec<(&str, &str)> = self
            .config
            .facts
            .iter()
            .map(|(name, fact)| (name.as_str(), fact.as_str()))
            .collect();
        let at = format!("{}.config", candidate.config_path);
        let platform = |name: String, at: String, config: &Value, facts: &[(&str, &str)]| {
            let setup = Setup {
                name,
                at,
                config,
                facts,
            };
            self.construct(candidate, &library, setup, origin.clone(), |module| {
                module.new_platform()
            })
        };
        let instance = platform(candidate.entry.name.clone(), at.clone(), &general, &facts)?;
        let mut by_chaincode = BTreeMap::new();
        for (chaincode, Own { stated, merged }) in own {
            let stated = stated.to_string();
            let mut facts = facts.clone();
            facts.push((OWN_CONFIG, stated.as_str()));
            let name = format!("{}.{chaincode}", candidate.entry.name);
            let at = format!("{at}.chaincodes.{chaincode}");
            let own = platform(name, at, &merged, &facts).map_err(|error| of_chaincode(error, &chaincode))?;
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
        // a name that begins with a digit could be taken for the number of another one
        let named = chaincode_type.starts_with(|first: char| first.is_ascii_alphabetic());
        if !named || chaincode_type.len() > 64 {
            return Err(LoadError::Ctor {
                reason: format!("it serves the type {chaincode_type:?}"),
            });
        }
        let timeout = candidate.entry.timeout_ms.map(Duration::from_millis);
        let info = described_as(candidate, &library, &instance);
        Ok((
            Platform::new((instance, info), by_chaincode, chaincode_type, timeout),
            candidate.config_path.clone(),
        ))
    }

    /// Two platforms of one type are refused.
    fn by_type(&mut self, platforms: Vec<(Platform, String)>) -> BTreeMap<String, Platform> {
        let mut by_type: BTreeMap<String, Platform> = BTreeMap::new();
        for (platform, config_path) in platforms {
            let number = chaincode_type_number(platform.chaincode_type());
            let same = by_type
                .keys()
                .find(|other| chaincode_type_number(other) == number);
            let key = same.cloned();
            match by_type.entry(key.unwrap_or_else(|| platform.chaincode_type().to_owned())) {
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
        kept: impl Fn(&str, &Origin) -> Option<Arc<Instance<T>>>,
        constructor: impl Fn(PluginMod_Ref) -> ROption<extern "C" fn(Init<'_>) -> Res<T>>,
    ) -> Result<(Arc<Instance<T>>, PluginInfo), LoadError> {
        let library = self.library(candidate)?;
        let facts: BTreeMap<String, String> = self
            .config
            .facts
            .iter()
            .filter(|(name, _)| name.starts_with(FOR_ALL_KINDS))
            .map(|(name, fact)| (name.clone(), fact.clone()))
            .collect();
        let contents = library.contents(&candidate.entry.config);
        let origin = Origin::new(candidate.entry, &library.sha256, facts.clone(), contents);
        if let Some(kept) = kept(&candidate.name, &origin) {
            let info = described_as(candidate, &library, &kept);
            return Ok((kept, info));
        }
        let config = match &candidate.entry.config {
            Value::Null => Value::Object(serde_json::Map::new()),
            given => given.clone(),
        };
        let setup = Setup {
            name: candidate.name.clone(),
            at: format!("{}.config", candidate.config_path),
            config: &config,
            facts: &facts
                .iter()
                .map(|(name, fact)| (name.as_str(), fact.as_str()))
                .collect::<Vec<_>>(),
        };
        let instance = self.construct(candidate, &library, setup, origin, constructor)?;
        let info = described_as(candidate, &library, &instance);
        Ok((instance, info))
    }

    fn construct<T: Send + 'static>(
        &self,
        candidate: &Candidate<'a>,
        library: &Library,
        setup: Setup<'_>,
        origin: Origin,
        constructor: impl Fn(PluginMod_Ref) -> ROption<extern "C" fn(Init<'_>) -> Res<T>>,
    ) -> Result<Arc<Instance<T>>, LoadError> {
        let new = constructor(library.module)
            .into_option()
            .ok_or_else(|| LoadError::Kind {
                expected: candidate.kind.name(),
                found: "a manifest that names the kind, and no constructor for it".to_owned(),
            })?;
        library.check_config(setup.config, &setup.at)?;
        let (name, json) = (intern(&setup.name), setup.config.to_string());
        let facts: Vec<(String, String)> = setup
            .facts
            .iter()
            .map(|(name, fact)| ((*name).to_owned(), (*fact).to_owned()))
            .collect();
        // made here, where the peer's runtime is at hand
        let host = host(name, Arc::clone(&self.shared.metrics));
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
        let counters = self.shared.counters(candidate.kind, name);
        let info = describe(candidate, library);
        Ok(Arc::new(Instance::new(name, info, origin, counters, object)))
    }

    fn library(&self, candidate: &mut Candidate<'a>) -> Result<Arc<Library>, LoadError> {
        let way = self.dirs.locate(candidate.entry)?;
        candidate.file = Some(way.real.clone());
        self.dirs.check(&way)?;
        let file = PluginFile::read(&way.real)?;
        Pin::check(candidate.entry, &file.sha256, self.config.require_pins)?;
        let policy = Policy {
            deny_toolchains: &self.config.deny_toolchains,
            max_libraries: self.config.max_reloads,
            // at the start there is nothing to lose, and no time
            try_out: self.running.generation > 0,
        };
        // a plugin that ends the process is named by the crash handler, one that never ends by its deadline: this line
        // has the rest, for whoever asks for it
        debug!(
            plugin = candidate.entry.name,
            file = %way.real.display(),
            sha256 = file.sha256,
            "loading plugin"
        );
        Library::load(file, candidate.kind, &policy)
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

fn refused_by_constructor(error: PluginError) -> LoadError {
    let message = bounded(&error.message);
    if error.code == Code::CONFIG {
        return wrong("a config that the plugin can use", message);
    }
    LoadError::Ctor { reason: message }
}

/// What an entry looks like whose instance may have been there before.
fn described_as<T: Send>(candidate: &Candidate<'_>, library: &Library, instance: &Instance<T>) -> PluginInfo {
    PluginInfo {
        number: instance.number,
        ..describe(candidate, library)
    }
}

fn describe(candidate: &Candidate<'_>, library: &Library) -> PluginInfo {
    let entry = candidate.entry;
    let timeout = candidate.kind.default_timeout();
    let file = candidate.file.as_deref().unwrap_or(Path::new(""));
    PluginInfo {
        instance: candidate.name.clone(),
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
        mode: entry.mode,
        applies_to: Binding::new(&entry.applies_to).to_string(),
        quarantine: entry.quarantine,
        number: 0,
    }
}
