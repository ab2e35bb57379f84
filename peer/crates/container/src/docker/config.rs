//! Settings of the Docker runtime.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::endpoint::{Endpoint, EngineHints, EngineTls};
use super::host_config::{HostConfigError, host_config};
use super::login::RegistryLogins;
use super::pull::PullPolicy;
use crate::dockerfile::BuildLevel;
use crate::log_store::LogStore;
use crate::unpack::UnpackLimits;

/// Settings of the Docker runtime.
#[derive(Debug, Clone)]
pub struct DockerConfig {
    /// Where the engine listens.
    pub endpoint: Endpoint,
    /// TLS for an engine that is found by `DOCKER_HOST`.
    pub tls: Option<EngineTls>,
    /// Where to look for an engine when the default endpoint does not exist.
    pub hints: EngineHints,
    /// A folder for results of builds on their way into an image. Emptied at start.
    pub folder: PathBuf,
    /// Whether the peer's log shows what chaincode prints.
    pub attach_stdout: bool,
    /// `vm.docker.hostConfig`.
    pub host_config: Value,
    /// Keys of `hostConfig` for single chaincodes, by name.
    pub overrides: BTreeMap<String, Value>,
    /// The image for builds whose plan names none.
    pub builder: String,
    /// Ask the registry for newer base images in every image build.
    pub pull: bool,
    /// When images are pulled.
    pub pull_policy: PullPolicy,
    /// What stands in front of the names of images that are pulled.
    pub mirror: String,
    /// Logins for registries.
    pub auth: RegistryLogins,
    /// For pulling one image.
    pub pull_timeout: Duration,
    /// For the build command and the image together.
    pub build_timeout: Duration,
    /// For each answer of the engine on the way from a built image to a running container.
    pub start_timeout: Duration,
    /// Between the signal that asks a chaincode to end and the one that makes it.
    pub stop_grace: Duration,
    /// What a package may unpack to.
    pub unpack: UnpackLimits,
    /// What images say about the peer.
    pub level: BuildLevel,
    /// Where all output is kept.
    pub logs: Option<LogStore>,
}

impl DockerConfig {
    /// Defaults for an engine and a folder.
    #[must_use]
    pub fn new(endpoint: Endpoint, folder: PathBuf) -> Self {
        Self {
            endpoint,
            tls: None,
            hints: EngineHints::default(),
            folder,
            attach_stdout: true,
            host_config: Value::Null,
            overrides: BTreeMap::new(),
            builder: String::new(),
            pull: false,
            pull_policy: PullPolicy::Missing,
            mirror: String::new(),
            auth: RegistryLogins::default(),
            pull_timeout: Duration::from_secs(600),
            build_timeout: Duration::from_secs(600),
            start_timeout: Duration::from_secs(60),
            stop_grace: Duration::from_secs(5),
            unpack: UnpackLimits::default(),
            level: BuildLevel::default(),
            logs: None,
        }
    }

    /// Finds values that no container could be made with.
    ///
    /// # Errors
    /// The first of them.
    pub fn check(&self) -> Result<(), HostConfigError> {
        for own in std::iter::once(None).chain(self.overrides.values().map(Some)) {
            host_config(&self.host_config, own)?;
        }
        Ok(())
    }

    /// The host config's keys of one chaincode.
    pub(super) fn own(&self, chaincode: &str) -> Option<&Value> {
        self.overrides.get(chaincode)
    }
}
