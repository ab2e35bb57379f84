//! The `chaincode` section.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::typed::{duration, optional_path};
use crate::vm::VmRuntime;

const LEAST_EXECUTE_TIMEOUT: Duration = Duration::from_secs(1);
const EXECUTE_TIMEOUT_INSTEAD: Duration = Duration::from_secs(30);
const LEAST_STARTUP_TIMEOUT: Duration = Duration::from_secs(5);
/// The level that chaincode is told when the configured one does not exist.
const LEVEL_INSTEAD: &str = "info";

/// `chaincode`: launch, limits, lifecycle.
#[derive(Debug, Clone, Deserialize)]
pub struct ChaincodeConfig {
    /// `builder`: the image that builds chaincode.
    pub builder: String,
    /// `pull`: ask the registry for newer images.
    pub pull: bool,
    /// `golang`.
    pub golang: GolangConfig,
    /// `car`, gone since 2.0.
    #[serde(default)]
    pub car: Option<RuntimeImage>,
    /// `java`.
    pub java: JavaConfig,
    /// `node`.
    pub node: NodeConfig,
    /// `process`: limits of chaincode that runs as a process of this machine.
    pub process: ProcessConfig,
    /// `overrides` by chaincode name, not Fabric's.
    #[serde(default)]
    pub overrides: BTreeMap<String, ChaincodeOverride>,
    /// `outputLogSize`: bytes of a chaincode's build log, and of its run log. Not Fabric's.
    #[serde(rename = "outputLogSize")]
    pub output_log_size: u64,
    /// `maxPackageSize`: the largest package that can be installed, in bytes.
    #[serde(rename = "maxPackageSize")]
    pub max_package_size: usize,
    /// `installTimeout`: limit for an install; the execute timeout when that is longer.
    #[serde(rename = "installTimeout", deserialize_with = "duration")]
    pub install_timeout: Duration,
    /// `startuptimeout`: from launch to registration; at least 5 s.
    #[serde(rename = "startuptimeout", deserialize_with = "startup_timeout")]
    pub startup_timeout: Duration,
    /// `executetimeout`: for one invocation; below 1 s it is 30 s.
    #[serde(rename = "executetimeout", deserialize_with = "execute_timeout")]
    pub execute_timeout: Duration,
    /// `mode`; see [`ChaincodeConfig::dev_mode`].
    pub mode: String,
    /// `keepalive`: pause between keepalive messages to chaincode, `None` is off.
    #[serde(default, deserialize_with = "keepalive")]
    pub keepalive: Option<Duration>,
    /// `system`: which system chaincodes there are; see [`ChaincodeConfig::system_enabled`].
    pub system: BTreeMap<String, String>,
    /// `logging`: what chaincode is told about logging.
    pub logging: ChaincodeLoggingConfig,
}

impl ChaincodeConfig {
    /// Whether users start chaincode themselves.
    pub fn dev_mode(&self) -> bool {
        self.mode == "dev"
    }

    /// Whether `chaincode.system` lists this system chaincode as enabled.
    pub fn system_enabled(&self, name: &str) -> bool {
        self.system.get(name).is_some_and(|word| enabled(word))
    }
}

/// `chaincode.overrides.<name>`: what one chaincode has otherwise.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ChaincodeOverride {
    /// `runtime`, instead of `vm.runtime`.
    #[serde(default)]
    pub runtime: Option<VmRuntime>,
    /// `hostConfig`: keys that replace those of `vm.docker.hostConfig`, one by one.
    #[serde(rename = "hostConfig", default)]
    pub host_config: Value,
    /// `process`: limits that replace those of `chaincode.process`, one by one.
    #[serde(default)]
    pub process: OwnLimits,
}

/// `chaincode.overrides.<name>.process`; what is not set is as in [`ProcessConfig`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnLimits {
    /// `memory`, in bytes.
    pub memory: Option<u64>,
    /// `pids`.
    pub pids: Option<u64>,
    /// `nofile`.
    pub nofile: Option<u64>,
    /// `buildMemory`, in bytes.
    pub build_memory: Option<u64>,
    /// `buildPids`.
    pub build_pids: Option<u64>,
    /// `buildNofile`.
    pub build_nofile: Option<u64>,
    /// `cpu`, of the chaincode and of its build.
    pub cpu: Option<f64>,
}

/// `chaincode.golang`.
#[derive(Debug, Clone, Deserialize)]
pub struct GolangConfig {
    /// `runtime`: the image that runs chaincode.
    pub runtime: String,
    /// `dynamicLink`: link against the image's C library.
    #[serde(rename = "dynamicLink")]
    pub dynamic_link: bool,
}

/// A section with only the image that runs chaincode.
#[derive(Debug, Clone, Deserialize)]
pub struct RuntimeImage {
    /// `runtime`.
    pub runtime: String,
}

/// `chaincode.node`.
#[derive(Debug, Clone, Deserialize)]
pub struct NodeConfig {
    /// `runtime`: the image that builds and runs chaincode.
    pub runtime: String,
    /// `registry`, not Fabric's, which the variable `NODE_REGISTRY` sets, too: URL of the npm registry.
    #[serde(default)]
    pub registry: Option<String>,
}

/// `chaincode.java`.
#[derive(Debug, Clone, Deserialize)]
pub struct JavaConfig {
    /// `runtime`: the image that builds and runs chaincode.
    pub runtime: String,
    /// `Dockerfile`: the form of 1.1.
    #[serde(rename = "Dockerfile", default)]
    pub dockerfile: Option<String>,
}

/// `chaincode.process`, not Fabric's.
#[derive(Debug, Clone, Deserialize)]
pub struct ProcessConfig {
    /// `nodePath`: the node program; `None`: the one in `PATH`.
    #[serde(rename = "nodePath", default, deserialize_with = "optional_path")]
    pub node_path: Option<PathBuf>,
    /// `memory` of all processes of one chaincode, in bytes.
    pub memory: u64,
    /// `pids`: processes and threads of one chaincode.
    pub pids: u64,
    /// `nofile`: open files of one process.
    pub nofile: u64,
    /// `buildMemory`: like `memory`, of one build.
    #[serde(rename = "buildMemory")]
    pub build_memory: u64,
    /// `buildPids`: like `pids`, of one build.
    #[serde(rename = "buildPids")]
    pub build_pids: u64,
    /// `buildNofile`: like `nofile`, of one build.
    #[serde(rename = "buildNofile")]
    pub build_nofile: u64,
    /// `buildTimeout`: for the build command.
    #[serde(rename = "buildTimeout", deserialize_with = "duration")]
    pub build_timeout: Duration,
    /// `cpu`: processors that one chaincode may use; `None` is no limit.
    #[serde(default)]
    pub cpu: Option<f64>,
    /// `sandbox`.
    pub sandbox: Sandbox,
    /// `uid`: who chaincode runs as when the peer is root.
    pub uid: u32,
    /// `gid`: its group.
    pub gid: u32,
}

/// `chaincode.process.sandbox`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// As much as the machine allows.
    Auto,
    /// No isolation: resource limits and a process group only.
    Off,
    /// All of it, or the peer does not start.
    Required,
}

/// `chaincode.logging`, handed to chaincode as `CORE_CHAINCODE_LOGGING_*`.
#[derive(Debug, Clone, Deserialize)]
pub struct ChaincodeLoggingConfig {
    /// `level`: an existing one, else `info`.
    #[serde(deserialize_with = "level")]
    pub level: String,
    /// `shim`: likewise.
    #[serde(deserialize_with = "level")]
    pub shim: String,
    /// `format`.
    pub format: String,
}

/// The words of 2.x for "on"; they include those of 1.1.
pub(crate) fn enabled(word: &str) -> bool {
    matches!(
        word.trim().to_ascii_lowercase().as_str(),
        "true" | "t" | "1" | "enable" | "enabled" | "yes"
    )
}

fn execute_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let stated = duration(deserializer)?;
    Ok(if stated < LEAST_EXECUTE_TIMEOUT {
        EXECUTE_TIMEOUT_INSTEAD
    } else {
        stated
    })
}

fn startup_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Ok(duration(deserializer)?.max(LEAST_STARTUP_TIMEOUT))
}

/// Whole seconds, unlike every other duration; what is not a number above zero is off.
fn keepalive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let seconds = String::deserialize(deserializer)?.parse::<u64>().ok();
    Ok(seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

/// The name of the level as Fabric hands it on: its synonyms become the level they stand for.
fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let stated = String::deserialize(deserializer)?;
    let one_case = stated == stated.to_lowercase() || stated == stated.to_uppercase();
    let level = match stated.to_lowercase().as_str() {
        level @ ("payload" | "debug" | "info" | "error" | "dpanic" | "panic" | "fatal") if one_case => {
            level.to_owned()
        }
        "warn" | "warning" if one_case => "warn".to_owned(),
        "critical" if one_case => "error".to_owned(),
        _ => LEVEL_INSTEAD.to_owned(),
    };
    Ok(level)
}
