//! The `vm` section.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::typed::file;

/// `vm`: where chaincode runs.
#[derive(Debug, Clone, Deserialize)]
pub struct VmConfig {
    /// `runtime`, not Fabric's.
    pub runtime: VmRuntime,
    /// `endpoint` of the Docker engine; empty: none.
    pub endpoint: String,
    /// `docker`.
    pub docker: DockerConfig,
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

/// `vm.docker`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DockerConfig {
    /// `tls`, for a `tcp` endpoint.
    pub tls: DockerTlsConfig,
    /// `attachStdout`: chaincode's output goes to the peer's log.
    pub attach_stdout: bool,
    /// `hostConfig`: only the keys that are set, in Docker's spelling.
    #[serde(default)]
    pub host_config: Value,
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
