//! [`Platform`]: everything the peer must know about one chaincode language.

#![allow(
    missing_docs,
    clippy::all,
    elided_lifetimes_in_paths,
    non_local_definitions,
    clippy::allow_attributes_without_reason,
    reason = "code that the sabi_trait macro generates"
)]

use crate::error::{Ext, Res, Result};
use crate::guard::{Instance, guard};
use abi_stable::StableAbi;
use abi_stable::erased_types::TD_Opaque;
use abi_stable::sabi_trait;
use abi_stable::std_types::{RBox, ROption, RResult, RSlice, RString, RVec, Tuple2};

/// Placeholder in [`Plan::launch`]: the peer's chaincode address as `host:port`.
pub const PEER_ADDRESS: &str = "{peer.address}";

/// Key of [`BuildPlan::ext`] for one text of [`Plan::secrets`].
pub const SECRET: &str = "secret";
/// Key of [`BuildPlan::ext`] for [`Plan::offline`].
pub const OFFLINE: &str = "offline";

/// How to turn a code package into something that runs. The peer runs it, in Docker or as a process.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct BuildPlan {
    /// Image for the builder container; empty = the peer's `chaincode.builder`.
    pub image: RString,
    /// Command for `/bin/sh -c`.
    pub cmd: RString,
    /// `NAME=value` lines for the command.
    pub env: RVec<RString>,
    /// Further files (path relative to the input folder, content) that the peer puts beside the package.
    pub files: RVec<Tuple2<RString, RVec<u8>>>,
    /// Arguments that start the built chaincode in the output folder without a container.
    pub launch: RVec<RString>,
    /// Arguments that start the chaincode inside of the image that the Dockerfile makes.
    pub container_launch: RVec<RString>,
    /// Room for later. So far: [`SECRET`] and [`OFFLINE`].
    pub ext: Ext,
}

/// The border's side of platforms. Authors write [`Platform`] instead.
#[sabi_trait]
pub trait LanguagePlatform: Send + Sync {
    /// The chaincode type that this platform serves.
    fn chaincode_type(&self) -> RString;
    /// Checks an encoded `ChaincodeSpec`.
    fn validate_spec(&self, chaincode_spec: RSlice<'_, u8>) -> Res<()>;
    /// Checks an encoded `ChaincodeDeploymentSpec`, its code package above all.
    fn validate_deployment_spec(&self, deployment_spec: RSlice<'_, u8>) -> Res<()>;
    /// Packs the source that an encoded `ChaincodeSpec` points to.
    fn deployment_payload(&self, chaincode_spec: RSlice<'_, u8>) -> Res<RVec<u8>>;
    /// The Dockerfile's first lines.
    fn dockerfile(&self, deployment_spec: RSlice<'_, u8>) -> Res<RString>;
    /// How to build and start the chaincode.
    #[sabi(last_prefix_field)]
    fn build_plan(&self, deployment_spec: RSlice<'_, u8>) -> Res<BuildPlan>;
    /// What stands as path in the package of an encoded `ChaincodeSpec`; none: what stands there already.
    fn normalize_path(&self, _chaincode_spec: RSlice<'_, u8>) -> Res<ROption<RString>> {
        RResult::ROk(ROption::RNone)
    }
}

/// A platform as the peer holds it.
pub type PlatformObject = LanguagePlatform_TO<'static, RBox<()>>;

/// [`BuildPlan`] in ordinary types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Image for the builder container; empty = the peer's `chaincode.builder`.
    pub image: String,
    /// Command for `/bin/sh -c`. It reads the unpacked package from `$CHAINCODE_INPUT` and writes the result
    /// to `$CHAINCODE_OUTPUT` (`/chaincode/input` and `/chaincode/output` in a builder container, private
    /// folders for the process runtime), so that one plan serves both. Values from configuration never
    /// stand in here: they travel in [`Plan::env`]. It may say which phase it is in, see [`PHASE_MARK`](crate::PHASE_MARK).
    pub cmd: String,
    /// `NAME=value` lines for the command.
    pub env: Vec<String>,
    /// Further files that the peer puts beside the package, for the eyes of the build alone (mode 0600).
    pub files: Vec<(String, Vec<u8>)>,
    /// Arguments that start the built chaincode with the output folder as working directory and no
    /// container; the peer replaces [`PEER_ADDRESS`] inside of any argument.
    pub launch: Vec<String>,
    /// Arguments that start the chaincode inside of the image that the Dockerfile makes; same placeholder.
    pub container_launch: Vec<String>,
    /// Texts in [`Plan::env`] and [`Plan::files`] that nobody may read, such as tokens: the peer removes them
    /// from the build's output, and a new token does not make another build necessary.
    pub secrets: Vec<String>,
    /// Whether the build needs nothing but the package, so that the peer may cut it off from the network.
    pub offline: bool,
}

/// A chaincode language. Messages come in their protobuf encoding (`protos.ChaincodeSpec`,
/// `protos.ChaincodeDeploymentSpec`); the chaincode's name is in there, for settings by chaincode.
///
/// Calls block: the peer makes them on a thread pool, with a deadline. Input is hostile: limits, no panics.
pub trait Platform: Send + Sync + 'static {
    /// The type, upper case: `GOLANG`, `NODE`, `JAVA` or a name of your own that begins with a letter. Packages of the
    /// 1.x lifecycle carry a number instead, which the peer makes of the name.
    fn chaincode_type(&self) -> String;
    /// Checks a `ChaincodeSpec`, in particular its path, before it is packed.
    fn validate_spec(&self, chaincode_spec: &[u8]) -> Result<()>;
    /// Checks a `ChaincodeDeploymentSpec`, in particular its code package. No package is valid.
    fn validate_deployment_spec(&self, deployment_spec: &[u8]) -> Result<()>;
    /// Packs the folder of a `ChaincodeSpec` as tar.gz; equal sources give equal bytes.
    fn deployment_payload(&self, chaincode_spec: &[u8]) -> Result<Vec<u8>>;
    /// The Dockerfile's first lines: base image, and where `binpackage.tar` goes.
    fn dockerfile(&self, deployment_spec: &[u8]) -> Result<String>;
    /// How to build and start the chaincode.
    fn build_plan(&self, deployment_spec: &[u8]) -> Result<Plan>;
    /// The path that goes into the package of a `ChaincodeSpec`, such as the import path of a folder. None:
    /// the one that is in the spec.
    fn normalize_path(&self, _chaincode_spec: &[u8]) -> Result<Option<String>> {
        Ok(None)
    }
}

struct PlatformAdapter<T>(Instance<T>);

/// Puts an author's platform behind the border.
pub fn platform_object<T: Platform>(platform: T) -> PlatformObject {
    LanguagePlatform_TO::from_value(PlatformAdapter(Instance::new(platform)), TD_Opaque)
}

impl From<Plan> for BuildPlan {
    fn from(plan: Plan) -> Self {
        Self {
            image: plan.image.into(),
            cmd: plan.cmd.into(),
            env: plan.env.into_iter().map(RString::from).collect(),
            files: plan
                .files
                .into_iter()
                .map(|(path, content)| Tuple2(path.into(), content.into()))
                .collect(),
            launch: plan.launch.into_iter().map(RString::from).collect(),
            container_launch: plan.container_launch.into_iter().map(RString::from).collect(),
            ext: plan
                .secrets
                .into_iter()
                .map(|secret| Tuple2(SECRET.into(), secret.into_bytes().into()))
                .chain(plan.offline.then(|| Tuple2(RString::from(OFFLINE), RVec::new())))
                .collect(),
        }
    }
}

impl<T: Platform> LanguagePlatform for PlatformAdapter<T> {
    fn chaincode_type(&self) -> RString {
        guard(|| Ok(self.0.get().chaincode_type().into())).unwrap_or(RString::new())
    }

    fn validate_spec(&self, chaincode_spec: RSlice<'_, u8>) -> Res<()> {
        guard(|| self.0.get().validate_spec(chaincode_spec.as_slice()))
    }

    fn validate_deployment_spec(&self, deployment_spec: RSlice<'_, u8>) -> Res<()> {
        guard(|| self.0.get().validate_deployment_spec(deployment_spec.as_slice()))
    }

    fn deployment_payload(&self, chaincode_spec: RSlice<'_, u8>) -> Res<RVec<u8>> {
        guard(|| {
            self.0
                .get()
                .deployment_payload(chaincode_spec.as_slice())
                .map(RVec::from)
        })
    }

    fn dockerfile(&self, deployment_spec: RSlice<'_, u8>) -> Res<RString> {
        guard(|| {
            self.0
                .get()
                .dockerfile(deployment_spec.as_slice())
                .map(RString::from)
        })
    }

    fn build_plan(&self, deployment_spec: RSlice<'_, u8>) -> Res<BuildPlan> {
        guard(|| {
            self.0
                .get()
                .build_plan(deployment_spec.as_slice())
                .map(BuildPlan::from)
        })
    }

    fn normalize_path(&self, chaincode_spec: RSlice<'_, u8>) -> Res<ROption<RString>> {
        guard(|| {
            self.0
                .get()
                .normalize_path(chaincode_spec.as_slice())
                .map(|path| path.map(RString::from).into())
        })
    }
}
