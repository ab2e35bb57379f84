//! Runtimes for chaincode: the `Vm` trait, the process runtime with its sandbox, the Docker runtime, and what an image build needs
//! (names, Dockerfile, build context, arguments and environment).
#![forbid(unsafe_code)]

mod build_context;
mod build_hash;
mod container_command;
mod docker;
mod dockerfile;
mod error;
#[cfg(any(test, feature = "test-support"))]
pub mod fake;
mod garbage;
mod job;
mod log_store;
mod naming;
mod output;
mod process;
pub mod sandbox;
mod single_flight;
mod stage;
mod unpack;
mod vm;

pub use build_context::{BuildContext, ContextError, ContextWriter, build_context};
pub use container_command::{ArgsError, TlsPaths, chaincode_env, container_args};
pub use docker::{
    DockerConfig, DockerError, DockerGarbage, DockerOpenError, DockerVm, Endpoint, EndpointError,
    EngineHints, EngineTls, HostConfigError, LoginError, PullError, PullPolicy, RegistryLogin,
    RegistryLogins,
};
pub use dockerfile::{BuildLevel, DockerfileError, generate_dockerfile};
pub use error::{Phase, VmError};
pub use garbage::{Garbage, GarbageKind};
pub use log_store::{ChaincodeLogs, LogStore};
pub use naming::{NameError, Naming};
pub use process::process_garbage;
pub use process::{Limits, OpenError, OwnLimits, ProcessConfig, ProcessVm};
pub use sandbox::{Level, SandboxMode};
pub use unpack::{PackageTarget, UnpackError, UnpackLimits, read_package, unpack};
pub use vm::{
    BuildError, BuildPlan, ChaincodeLogging, ChaincodeSource, ExitInfo, ExitWatch, PlatformBuilder,
    StartRequest, Started, TlsFiles, Vm,
};
