//! The `vm` section.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::typed::{duration, file, optional_path};

/// `vm`: where chaincode runs.
#[derive(Debug, Clone, Deserialize)]
pub struct VmConfig {
    /// `runtime`, not Fabric's.
    pub runtime: VmRuntime,
    /// `endpoint` of the Docker engine; empty: none.
    pub endpoint: String,
    /// `docker`.
    pub docker: DockerConfig,
    /// `DOCKER_HOST`: where an engine is when `endpoint` is the default and nobody listens there.
    #[serde(skip)]
    pub docker_host: Option<String>,
    /// `XDG_RUNTIME_DIR`: where a rootless engine's socket is, likewise.
    #[serde(skip)]
    pub runtime_dir: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the folder of the `config.json` with logins, when `docker.auth.configFile` names none.
    #[serde(skip)]
    pub docker_config: Option<PathBuf>,
}

/// `vm.runtime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VmRuntime {
    /// Processes of this machine.
    Process,
    /// Containers.
    Docker,
}

/// `vm.docker.pullPolicy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullPolicy {
    /// Images are there already.
    Never,
    /// What is not there is pulled.
    Missing,
    /// Every build pulls.
    Always,
}

/// `vm.docker`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DockerConfig {
    /// `tls`, for a `tcp` endpoint.
    pub tls: DockerTlsConfig,
    /// `attachStdout`: chaincode's output goes to the peer's log.
    pub attach_stdout: bool,
    /// `pullPolicy`, not Fabric's.
    pub pull_policy: PullPolicy,
    /// `mirror`: what stands in front of the names of images that are pulled. Not Fabric's.
    pub mirror: String,
    /// `auth`: logins for registries. Not Fabric's.
    pub auth: RegistryAuthConfig,
    /// `pullTimeout`, not Fabric's.
    #[serde(deserialize_with = "duration")]
    pub pull_timeout: Duration,
    /// `buildTimeout`, not Fabric's.
    #[serde(deserialize_with = "duration")]
    pub build_timeout: Duration,
    /// `startTimeout`, not Fabric's.
    #[serde(deserialize_with = "duration")]
    pub start_timeout: Duration,
    /// `hostConfig`: only the keys that are set, in Docker's spelling.
    #[serde(default)]
    pub host_config: Value,
}

/// `vm.docker.auth`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryAuthConfig {
    /// `configFile`: a file in the form of Docker's `config.json`; `None`: see [`VmConfig::docker_config`].
    #[serde(default, deserialize_with = "optional_path")]
    pub config_file: Option<PathBuf>,
    /// `registries`: logins that go before those in the file.
    #[serde(default)]
    pub registries: Vec<RegistryLoginConfig>,
}

/// One of `vm.docker.auth.registries`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistryLoginConfig {
    /// `registry`: `host` or `host:port`, as in the names of images.
    pub registry: String,
    /// `username`.
    pub username: String,
    /// `passwordFile`: holds the password or token.
    pub password_file: PathBuf,
}

/// `vm.docker.tls`.
#[derive(Debug, Clone, Deserialize)]
pub struct DockerTlsConfig {
    /// `enabled`.
    pub enabled: bool,
    /// `ca.file`.
    #[serde(rename = "ca", deserialize_with = "file")]
    pub ca_file: Option<PathBuf>,
    /// `cert.file`.
    #[serde(rename = "cert", deserialize_with = "file")]
    pub cert_file: Option<PathBuf>,
    /// `key.file`.
    #[serde(rename = "key", deserialize_with = "file")]
    pub key_file: Option<PathBuf>,
}
