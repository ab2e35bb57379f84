//! [`Platforms`]: the loaded chaincode languages.

use crate::hook::Hook;
use crate::instance::{Culprit, Instance, Origin, PluginInfo};
use crate::metrics::PluginStats;
use crate::rejection::bounded;
use abi_stable::std_types::{RResult, RSlice, Tuple2};
use bytes::Bytes;
use plugin_api::{OFFLINE, PEER_ADDRESS, PlatformObject, PluginError, Res, SECRET};
use prost::Message;
use protos::chaincode_type_number;
use protos::peer::{ChaincodeDeploymentSpec, ChaincodeSpec};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Deadline of a call that packs or plans, unless the entry says otherwise.
const LONG: Duration = Duration::from_secs(300);
/// Largest result of a platform: nothing larger fits into a message.
const MAX_RESULT: usize = protos::MAX_MESSAGE_SIZE;
/// Most arguments, variables and files of a plan.
const MAX_ITEMS: usize = 1000;

/// A platform's refusal or failure.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlatformError {
    /// No loaded platform serves the type.
    #[error("Unknown chaincodeType: {chaincode_type} (loaded: {loaded})")]
    Unknown {
        /// The type that was asked for.
        chaincode_type: String,
        /// The types that there are.
        loaded: String,
    },
    /// The platform says no.
    #[error("{message}")]
    Refused {
        /// gRPC status code, or one of the plugin contract.
        code: u32,
        /// The platform's text.
        message: String,
    },
}

/// Texts shorter than this are no secrets: their removal would say more than it hides.
const SHORTEST_SECRET: usize = 4;

/// How to build and start a chaincode.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BuildPlan {
    /// Image for the builder container; empty = the peer's `chaincode.builder`.
    pub image: String,
    /// Command for `/bin/sh -c`; reads `$CHAINCODE_INPUT`, writes `$CHAINCODE_OUTPUT`.
    pub cmd: String,
    /// `NAME=value` lines for the command.
    pub env: Vec<String>,
    /// Files (relative path, content) that lie beside the unpacked package.
    pub files: Vec<(String, Bytes)>,
    /// Arguments that start the built chaincode in its folder, see [`BuildPlan::launch_for`].
    pub launch: Vec<String>,
    /// Arguments that start the chaincode inside of its image, see [`BuildPlan::container_launch_for`].
    pub container_launch: Vec<String>,
    /// Texts in `env` and `files` that must not be seen in output, logs and errors.
    pub secrets: Vec<String>,
    /// Whether the build does without a network.
    pub offline: bool,
}

impl fmt::Debug for BuildPlan {
    /// Without anything that may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildPlan")
            .field("image", &self.image)
            .field("cmd", &self.cmd)
            .field("launch", &self.launch)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

impl BuildPlan {
    /// The arguments that start the chaincode against a peer at `address` (`host:port`).
    pub fn launch_for(&self, address: &str) -> Vec<String> {
        with_address(&self.launch, address)
    }

    /// The arguments that start the chaincode in a container against a peer at `address` (`host:port`).
    pub fn container_launch_for(&self, address: &str) -> Vec<String> {
        with_address(&self.container_launch, address)
    }
}

fn with_address(arguments: &[String], address: &str) -> Vec<String> {
    arguments
        .iter()
        .map(|argument| argument.replace(PEER_ADDRESS, address))
        .collect()
}

/// The loaded chaincode languages by their type. Cloning counts references.
#[derive(Clone, Default)]
pub struct Platforms {
    by_type: Arc<BTreeMap<String, Platform>>,
}

impl fmt::Debug for Platforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.types()).finish()
    }
}

impl Platforms {
    pub(crate) fn new(by_type: BTreeMap<String, Platform>) -> Self {
        Self {
            by_type: Arc::new(by_type),
        }
    }

    pub(crate) fn infos(&self) -> impl Iterator<Item = &PluginInfo> {
        self.by_type.values().map(|platform| &platform.info)
    }

    pub(crate) fn stats(&self) -> impl Iterator<Item = PluginStats> {
        let instances = |platform: &Platform| {
            let own: Vec<_> = platform.by_chaincode.values().cloned().collect();
            std::iter::once(Arc::clone(&platform.instance)).chain(own)
        };
        self.by_type
            .values()
            .flat_map(instances)
            .map(|instance| instance.stats())
    }

    /// The platform that an entry of this name has, if it can go on as that.
    pub(crate) fn kept(&self, name: &str, origin: &Origin) -> Option<Platform> {
        let mut platforms = self.by_type.values();
        let kept = platforms.find(|platform| platform.instance.name == name && platform.goes_on_as(origin));
        kept.cloned()
    }

    /// The types that have a platform.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.by_type.keys().map(String::as_str)
    }

    /// The platform of a type: its name, in any case, or the digits of its number, which is all that a package has of a
    /// language that Fabric does not know.
    pub fn by_type(&self, chaincode_type: &str) -> Result<&Platform, PlatformError> {
        let numbered = |number: i32| {
            let mut types = self.by_type.iter();
            let (_, platform) = types.find(|(name, _)| chaincode_type_number(name) == number)?;
            Some(platform)
        };
        self.by_type
            .get(&chaincode_type.to_ascii_uppercase())
            .or_else(|| numbered(chaincode_type.parse().ok()?))
            .ok_or_else(|| {
                let loaded: Vec<&str> = self.types().collect();
                let loaded = if loaded.is_empty() {
                    "none".to_owned()
                } else {
                    loaded.join(", ")
                };
                PlatformError::Unknown {
                    chaincode_type: chaincode_type.to_owned(),
                    loaded,
                }
            })
    }
}

/// A chaincode language. Messages go in as their protobuf encoding. Calls run on threads of its own, a few at a time.
#[derive(Clone)]
pub struct Platform {
    instance: Arc<Instance<PlatformObject>>,
    info: PluginInfo,
    /// Instances for chaincodes that have a configuration of their own, by name.
    by_chaincode: Arc<BTreeMap<String, Arc<Instance<PlatformObject>>>>,
    chaincode_type: String,
    long: Duration,
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Platform({}: {})", self.instance.name, self.chaincode_type)
    }
}

impl Platform {
    /// `timeout` is what the entry says, if it says something.
    pub(crate) fn new(
        (instance, info): (Arc<Instance<PlatformObject>>, PluginInfo),
        by_chaincode: BTreeMap<String, Arc<Instance<PlatformObject>>>,
        chaincode_type: String,
        timeout: Option<Duration>,
    ) -> Self {
        Self {
            instance,
            info,
            by_chaincode: Arc::new(by_chaincode),
            chaincode_type,
            long: timeout.unwrap_or(LONG),
        }
    }

    fn goes_on_as(&self, origin: &Origin) -> bool {
        let mut all = std::iter::once(&self.instance).chain(self.by_chaincode.values());
        all.all(|instance| instance.goes_on_as(origin))
    }

    /// The same for an entry at another place.
    pub(crate) fn described(self, info: PluginInfo) -> Self {
        let number = self.instance.number;
        let info = PluginInfo { number, ..info };
        Self { info, ..self }
    }

    /// The type that this platform serves.
    pub fn chaincode_type(&self) -> &str {
        &self.chaincode_type
    }

    /// Checks a `ChaincodeSpec`.
    pub async fn validate_spec(&self, chaincode_spec: Bytes) -> Result<(), PlatformError> {
        let instance = self.for_spec(&chaincode_spec);
        let call = move |platform: &PlatformObject| platform.validate_spec(slice(&chaincode_spec));
        self.run(instance, Hook::ValidateSpec, call).await
    }

    /// The path that goes into the package of a `ChaincodeSpec`; none: the one that is in the spec.
    pub async fn normalize_path(&self, chaincode_spec: Bytes) -> Result<Option<String>, PlatformError> {
        let instance = self.for_spec(&chaincode_spec);
        let call = move |platform: &PlatformObject| platform.normalize_path(slice(&chaincode_spec));
        let path = self.run(instance, Hook::NormalizePath, call).await?;
        Ok(path.into_option().map(String::from))
    }

    /// Checks a `ChaincodeDeploymentSpec` with its code package.
    pub async fn validate_deployment_spec(&self, deployment_spec: Bytes) -> Result<(), PlatformError> {
        let instance = self.for_deployment_spec(&deployment_spec);
        let call =
            move |platform: &PlatformObject| platform.validate_deployment_spec(slice(&deployment_spec));
        self.run(instance, Hook::ValidateDeploymentSpec, call).await
    }

    /// Packs the source that a `ChaincodeSpec` points to.
    pub async fn deployment_payload(&self, chaincode_spec: Bytes) -> Result<Bytes, PlatformError> {
        let instance = self.for_spec(&chaincode_spec);
        let culprit = instance.culprit();
        let call = move |platform: &PlatformObject| {
            let payload = platform
                .deployment_payload(slice(&chaincode_spec))
                .into_result()?;
            within_limits(culprit, payload.len(), 0).map(|()| payload)
        };
        let payload = self.run(instance, Hook::DeploymentPayload, move |platform| {
            call(platform).into()
        });
        Ok(Bytes::from_owner(payload.await?))
    }

    /// The first lines of the Dockerfile.
    pub async fn dockerfile(&self, deployment_spec: Bytes) -> Result<String, PlatformError> {
        let instance = self.for_deployment_spec(&deployment_spec);
        let culprit = instance.culprit();
        let call = move |platform: &PlatformObject| {
            let lines = platform.dockerfile(slice(&deployment_spec)).into_result()?;
            within_limits(culprit, lines.len(), 0).map(|()| lines)
        };
        let lines = self.run(instance, Hook::Dockerfile, move |platform| call(platform).into());
        Ok(lines.await?.into_string())
    }

    /// How to build and start the chaincode.
    pub async fn build_plan(&self, deployment_spec: Bytes) -> Result<BuildPlan, PlatformError> {
        let instance = self.for_deployment_spec(&deployment_spec);
        let culprit = instance.culprit();
        let call = move |platform: &PlatformObject| {
            let plan = platform.build_plan(slice(&deployment_spec)).into_result()?;
            checked(culprit, &plan).map(|()| plan)
        };
        let plan = self.run(instance, Hook::BuildPlan, move |platform| call(platform).into());
        let plan = plan.await?;
        let files = plan.files.into_iter();
        Ok(BuildPlan {
            image: plan.image.into_string(),
            cmd: plan.cmd.into_string(),
            env: plan.env.into_iter().map(String::from).collect(),
            files: files
                .map(|Tuple2(path, content)| (path.into_string(), Bytes::from_owner(content)))
                .collect(),
            launch: plan.launch.into_iter().map(String::from).collect(),
            container_launch: plan.container_launch.into_iter().map(String::from).collect(),
            secrets: plan
                .ext
                .iter()
                .filter(|Tuple2(key, secret)| key.as_str() == SECRET && secret.len() >= SHORTEST_SECRET)
                .map(|Tuple2(_, secret)| String::from_utf8_lossy(secret).into_owned())
                .collect(),
            offline: plan.ext.iter().any(|Tuple2(key, _)| key.as_str() == OFFLINE),
        })
    }

    fn for_spec(&self, chaincode_spec: &Bytes) -> Arc<Instance<PlatformObject>> {
        // What does not decode is the plugin's to refuse.
        self.instance_for(|| ChaincodeSpec::decode(chaincode_spec.clone()).ok())
    }

    fn for_deployment_spec(&self, deployment_spec: &Bytes) -> Arc<Instance<PlatformObject>> {
        self.instance_for(|| {
            ChaincodeDeploymentSpec::decode(deployment_spec.clone())
                .ok()?
                .chaincode_spec
        })
    }

    /// The instance with the chaincode's own configuration, if it has one.
    fn instance_for(&self, spec: impl FnOnce() -> Option<ChaincodeSpec>) -> Arc<Instance<PlatformObject>> {
        let own = if self.by_chaincode.is_empty() {
            None
        } else {
            spec()
                .and_then(|spec| spec.chaincode_id)
                .and_then(|id| self.by_chaincode.get(&id.name))
        };
        Arc::clone(own.unwrap_or(&self.instance))
    }

    async fn run<R: Send + 'static>(
        &self,
        instance: Arc<Instance<PlatformObject>>,
        hook: Hook,
        call: impl FnOnce(&PlatformObject) -> Res<R> + Send + 'static,
    ) -> Result<R, PlatformError> {
        let limit = match hook {
            Hook::DeploymentPayload | Hook::BuildPlan => self.long,
            _ => instance.timeout,
        };
        let call = move |instance: &Instance<PlatformObject>| match instance.call(call) {
            Ok(answer) => answer,
            Err(gone) => RResult::RErr(gone),
        };
        Ok(instance.run_blocking(hook, limit, call).await?)
    }
}

/// Refuses a plan that is too large.
fn checked(culprit: Culprit, plan: &plugin_api::BuildPlan) -> Result<(), PluginError> {
    let items = plan
        .env
        .len()
        .max(plan.files.len())
        .max(plan.launch.len())
        .max(plan.container_launch.len())
        .max(plan.ext.len());
    let texts = plan
        .env
        .iter()
        .chain(plan.launch.iter())
        .chain(plan.container_launch.iter())
        .map(|text| text.len());
    let files = plan
        .files
        .iter()
        .map(|Tuple2(path, content)| path.len().saturating_add(content.len()));
    let further = plan
        .ext
        .iter()
        .map(|Tuple2(key, value)| key.len().saturating_add(value.len()));
    let files = files.chain(further);
    let named = plan.cmd.len().saturating_add(plan.image.len());
    let bytes = texts.chain(files).fold(named, usize::saturating_add);
    within_limits(culprit, bytes, items)
}

fn within_limits(culprit: Culprit, bytes: usize, items: usize) -> Result<(), PluginError> {
    if bytes > MAX_RESULT || items > MAX_ITEMS {
        return Err(culprit.failure("answered more than a message may carry"));
    }
    Ok(())
}

fn slice(bytes: &Bytes) -> RSlice<'_, u8> {
    RSlice::from_slice(bytes)
}

impl From<PluginError> for PlatformError {
    fn from(error: PluginError) -> Self {
        Self::Refused {
            code: error.code.0,
            message: bounded(&error.message),
        }
    }
}
