//! Finds core.yaml, stacks the layers and reads the typed tree.

use std::{
    env, fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use figment::Figment;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    chaincode::ChaincodeConfig,
    effective::{self, EffectiveValue},
    environment, known,
    layers::{InvalidValue, InvalidValues, Layer, Override, Source},
    ledger::LedgerConfig,
    orderer::OrdererConfig,
    peer::PeerConfig,
    read::Folders,
    respell::Respelling,
    runtime_services::{LoggingConfig, MetricsConfig, OperationsConfig},
    unsupported,
    vm::VmConfig,
    yaml,
};

const FILE_NAME: &str = "core.yaml";
const FOLDER_VARIABLE: &str = "FABRIC_CFG_PATH";
/// Where Docker's own programs look for an engine.
const DOCKER_HOST: &str = "DOCKER_HOST";
/// Where a user's services, such as a rootless engine, have their sockets.
const RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";
/// Where Docker's own programs have the logins for registries.
const DOCKER_CONFIG: &str = "DOCKER_CONFIG";
const SYSTEM_FOLDER: &str = "/etc/hyperledger/fabric";

/// The variables that say how the machine is, not what the peer is; programs that the peer starts get them.
pub const MACHINE_VARIABLES: [&str; 5] = ["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"];

/// What [`CoreConfig::load`] needs to know about the process it runs in.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The environment.
    pub variables: Vec<(String, String)>,
    /// The folder the process was started in; overrides' relative paths start here.
    pub current_dir: PathBuf,
    /// The folders searched for `core.yaml` when `FABRIC_CFG_PATH` is not set, first hit wins.
    pub search: Vec<PathBuf>,
    /// The folder of the program, beside which the shipped plugins are.
    pub program_dir: Option<PathBuf>,
    /// Values from the command line.
    pub overrides: Vec<Override>,
}

impl LoadOptions {
    /// The running process: its environment, its current folder, `/etc/hyperledger/fabric`, and last
    /// `../config` beside the folder of the program, so that an unpacked distribution runs from anywhere.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the environment"
    )]
    pub fn of_process() -> io::Result<Self> {
        let current_dir = env::current_dir()?;
        let program_dir = env::current_exe()?.parent().map(Path::to_owned);
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let mut search = vec![current_dir.clone(), PathBuf::from(SYSTEM_FOLDER)];
        search.extend(program_dir.iter().map(|folder| folder.join("../config")));
        Ok(Self {
            variables: env::vars_os().filter_map(text).collect(),
            current_dir,
            search,
            program_dir,
            overrides: Vec::new(),
        })
    }

    /// The same with values that win over every layer.
    pub fn with_overrides(mut self, overrides: impl IntoIterator<Item = Override>) -> Self {
        self.overrides.extend(overrides);
        self
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(candidate, _)| candidate == name);
        found
            .map(|(_, text)| text.as_str())
            .filter(|text| !text.is_empty())
    }

    fn find_file(&self) -> Result<Option<PathBuf>, LoadError> {
        if let Some(folder) = self.variable(FOLDER_VARIABLE) {
            let folder = self.current_dir.join(folder);
            let file = folder.join(FILE_NAME);
            return if file.is_file() {
                Ok(Some(file))
            } else {
                Err(LoadError::NoFile { folder })
            };
        }
        let mut candidates = self
            .search
            .iter()
            .map(|folder| self.current_dir.join(folder).join(FILE_NAME));
        Ok(candidates.find(|file| file.is_file()))
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// `FABRIC_CFG_PATH` names a folder without the file.
    #[error("no core.yaml in {}, the folder that FABRIC_CFG_PATH names", folder.display())]
    NoFile {
        /// The folder.
        folder: PathBuf,
    },
    /// The file is there but cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file that this process was started with is not there any more, and another one, or none, would be read.
    #[error("{} is gone, which this process was started with", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The file said something when this process was started, and says nothing now: somebody is writing it.
    #[error("{} is empty, and was not when this process was started", path.display())]
    Emptied {
        /// The file.
        path: PathBuf,
    },
    /// The file is not YAML.
    #[error("{layer} is not valid YAML")]
    Yaml {
        /// Which file.
        layer: Source,
        /// Where and why.
        source: Box<yaml::YamlError>,
    },
    /// Values of the wrong form; all of them.
    #[error("wrong values in the configuration")]
    Invalid(#[source] InvalidValues),
    /// The layers together do not make a configuration.
    #[error("the layers do not make a configuration")]
    Incomplete(#[source] Box<figment::Error>),
}

/// The whole configuration, a section for each part of the peer.
#[derive(Debug, Clone, Deserialize)]
pub struct CoreConfig {
    /// The peer itself.
    pub peer: PeerConfig,
    /// Where chaincode runs.
    pub vm: VmConfig,
    /// Chaincode: launch, limits, lifecycle.
    pub chaincode: ChaincodeConfig,
    /// Ledger and state database.
    pub ledger: LedgerConfig,
    /// Log filter and format.
    pub logging: LoggingConfig,
    /// The operations listener.
    #[serde(default)]
    pub operations: OperationsConfig,
    /// Metrics.
    #[serde(default)]
    pub metrics: MetricsConfig,
    /// The embedded ordering service.
    pub orderer: OrdererConfig,
    #[serde(skip)]
    file: Option<PathBuf>,
    #[serde(skip)]
    effective: Vec<EffectiveValue>,
    #[serde(skip)]
    unsupported: Vec<String>,
    #[serde(skip)]
    program_dir: Option<PathBuf>,
    #[serde(skip)]
    machine_variables: Vec<(String, String)>,
    #[serde(skip)]
    origin: Origin,
}

/// How a configuration was read. The environment in there may hold secrets that are not the peer's to print.
#[derive(Clone, Default)]
struct Origin(Arc<LoadOptions>);

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin")
    }
}

impl CoreConfig {
    /// Reads every layer. All wrong values are reported at once.
    pub fn load(options: &LoadOptions) -> Result<Self, LoadError> {
        let file = options.find_file()?;
        let config_dir = file
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(&options.current_dir)
            .to_owned();
        let mut stack = Stack {
            config_dir: &config_dir,
            layers: Vec::new(),
            unknown: Vec::new(),
            invalid: Vec::new(),
        };
        let program_dir = options.program_dir.as_deref().unwrap_or(&config_dir);
        stack.push_yaml(Source::Shipped, crate::SHIPPED_CORE_YAML, program_dir)?;
        if let Some(path) = &file {
            let text = fs::read_to_string(path).map_err(|source| LoadError::Read {
                path: path.clone(),
                source,
            })?;
            stack.push_yaml(Source::File(path.clone()), &text, &config_dir)?;
        }
        stack.push_variables(options);
        stack.push_overrides(options);
        let mut config = stack.into_config(file)?;
        config.program_dir.clone_from(&options.program_dir);
        let of_machine = |(name, _): &&(String, String)| MACHINE_VARIABLES.contains(&name.as_str());
        config.machine_variables = options.variables.iter().filter(of_machine).cloned().collect();
        config.origin = Origin(Arc::new(options.clone()));
        config.vm.docker_host = options.variable(DOCKER_HOST).map(str::to_owned);
        config.vm.runtime_dir = options.variable(RUNTIME_DIR).map(PathBuf::from);
        config.vm.docker_config = options.variable(DOCKER_CONFIG).map(PathBuf::from);
        Ok(config)
    }

    /// Reads every layer once more, as this configuration was read: for what may change while the peer runs. A file that is
    /// gone or empty now is an error: the layers below it would come into force, and who moves or writes a file does not
    /// mean that.
    pub fn load_again(&self) -> Result<Self, LoadError> {
        let again = Self::load(&self.origin.0)?;
        match &self.file {
            Some(path) if again.file != self.file => Err(LoadError::Gone { path: path.clone() }),
            Some(path) if self.file_says_something() && !again.file_says_something() => {
                Err(LoadError::Emptied { path: path.clone() })
            }
            _ => Ok(again),
        }
    }

    fn file_says_something(&self) -> bool {
        let mut sources = self.effective.iter().map(|value| &value.source);
        sources.any(|source| matches!(source, Source::File(_)))
    }

    /// The file that was read, if there was one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Every value in force with the place that stated it, in the order of the keys. Secrets are masked.
    pub fn effective(&self) -> &[EffectiveValue] {
        &self.effective
    }

    /// Where the value at a key, or at the closest key above or below it, was stated.
    pub fn source_of(&self, key: &str) -> Option<&Source> {
        let continues = |longer: &str, shorter: &str| {
            let rest = longer.strip_prefix(shorter);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let above = self.effective.iter().find(|value| continues(key, &value.key));
        let below = || self.effective.iter().find(|value| continues(&value.key, key));
        above.or_else(below).map(|value| &value.source)
    }

    /// The folder of the program, if the process has told.
    pub fn program_dir(&self) -> Option<&Path> {
        self.program_dir.as_deref()
    }

    /// Those of [`MACHINE_VARIABLES`] that are set.
    pub fn machine_variables(&self) -> &[(String, String)] {
        &self.machine_variables
    }

    /// Stated keys that this peer does not know or does not support, dotted, in order; for one warning.
    pub fn unsupported_keys(&self) -> &[String] {
        &self.unsupported
    }
}

struct Stack<'a> {
    config_dir: &'a Path,
    layers: Vec<Layer>,
    unknown: Vec<String>,
    invalid: Vec<InvalidValue>,
}

impl Stack<'_> {
    fn push_yaml(&mut self, source: Source, text: &str, layer_dir: &Path) -> Result<(), LoadError> {
        let tree: Option<Map<String, Value>> = yaml::parse(text).map_err(|error| LoadError::Yaml {
            layer: source.clone(),
            source: Box::new(error),
        })?;
        let folders = Folders {
            config: self.config_dir,
            layer: layer_dir,
        };
        let mut respelling = Respelling::new(&source, folders);
        let tree = respelling.tree(tree.unwrap_or_default());
        self.unknown.append(&mut respelling.unknown);
        self.invalid.append(&mut respelling.invalid);
        self.layers.push(Layer { source, tree });
        Ok(())
    }

    fn push_variables(&mut self, options: &LoadOptions) {
        let below: Vec<&Map<String, Value>> = self.layers.iter().map(|layer| &layer.tree).collect();
        let mut found = environment::read(options.variables.iter().cloned(), &below);
        let folders = Folders {
            config: self.config_dir,
            layer: self.config_dir,
        };
        for setting in found.settings {
            self.push_value(
                Source::Variable(setting.variable),
                folders,
                &setting.path,
                setting.text.into(),
            );
        }
        self.unknown.append(&mut found.unsupported);
        self.invalid
            .extend(found.not_handlers.into_iter().map(|variable| InvalidValue {
                key: "peer.handlers".to_owned(),
                value: "a key that does not exist".to_owned(),
                source_layer: Source::Variable(variable),
                expected: environment::HANDLERS_EXPECTED,
            }));
    }

    fn push_overrides(&mut self, options: &LoadOptions) {
        let folders = Folders {
            config: &options.current_dir,
            layer: &options.current_dir,
        };
        for item in &options.overrides {
            let path: Vec<String> = item.key.split('.').map(str::to_owned).collect();
            self.push_value(
                Source::Override(item.source.clone()),
                folders,
                &path,
                item.value.clone(),
            );
        }
    }

    fn push_value(&mut self, source: Source, folders: Folders<'_>, path: &[String], value: Value) {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let Some(known) = known::at(&names) else {
            self.unknown.push(path.join("."));
            return;
        };
        let mut respelling = Respelling::new(&source, folders);
        if let Some(value) = respelling.value_at(known, &path.join("."), value) {
            let nested = names.iter().rev().fold(value, |value, name| {
                Value::Object(Map::from_iter([((*name).to_owned(), value)]))
            });
            let Value::Object(nested) = nested else { return };
            // once more from the root, for the spelling of the path itself; canonical values stay as they are
            let tree = Respelling::new(&source, folders).tree(nested);
            self.invalid.append(&mut respelling.invalid);
            self.layers.push(Layer { source, tree });
            return;
        }
        self.invalid.append(&mut respelling.invalid);
    }

    /// Switch lists are replaced as a whole: only the highest layer that states one keeps it.
    fn keep_highest_switches(&mut self) {
        let mut stated = false;
        for layer in self.layers.iter_mut().rev() {
            if let Some(Value::Object(chaincode)) = layer.tree.get_mut("chaincode") {
                if stated {
                    chaincode.remove("system");
                }
                stated |= chaincode.contains_key("system");
            }
        }
    }

    /// Options of a log driver are for that driver: where a layer names another one, those of the files below it are
    /// left out. Engines refuse options that a driver does not have.
    fn keep_options_of_log_driver(&mut self) {
        const DRIVER: &str = "/docker/hostConfig/LogConfig";
        let mut driver: Option<Value> = None;
        for layer in self.layers.iter_mut().rev() {
            let vm = layer.tree.get_mut("vm");
            let Some(Value::Object(section)) = vm.and_then(|vm| vm.pointer_mut(DRIVER)) else {
                continue;
            };
            let own = section.get("Type").cloned();
            let of_file = matches!(layer.source, Source::Shipped | Source::File(_));
            if of_file && driver.is_some() && own != driver {
                section.remove("Config");
            }
            driver = driver.or(own);
        }
    }

    fn into_config(mut self, file: Option<PathBuf>) -> Result<CoreConfig, LoadError> {
        if !self.invalid.is_empty() {
            return Err(LoadError::Invalid(InvalidValues(self.invalid)));
        }
        self.keep_highest_switches();
        self.keep_options_of_log_driver();
        let sources: Vec<Source> = self.layers.iter().map(|layer| layer.source.clone()).collect();
        let figment = self.layers.into_iter().fold(Figment::new(), Figment::merge);
        let incomplete = |error| LoadError::Incomplete(Box::new(error));
        let mut config: CoreConfig = figment.extract().map_err(incomplete)?;
        let merged: Map<String, Value> = figment.extract().map_err(incomplete)?;
        config.file = file;
        config.effective = effective::values(&figment, &sources).map_err(LoadError::Incomplete)?;
        config.unsupported = unsupported::keys(&merged, self.unknown);
        Ok(config)
    }
}

#[cfg(test)]
mod tests;
