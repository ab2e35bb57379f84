//! Runtimes for chaincode: the `Vm` trait, the process runtime with its sandbox, and what an image build needs
//! (names, Dockerfile, build context, arguments and environment).
#![forbid(unsafe_code)]

mod build_context;
mod container_command;
mod dockerfile;
mod error;
#[cfg(any(test, feature = "test-support"))]
pub mod fake;
mod job;
mod naming;
mod process;
pub mod sandbox;
mod unpack;
mod vm;

pub use build_context::{BuildContext, ContextError, ContextWriter, build_context};
pub use container_command::{ArgsError, TlsPaths, chaincode_env, container_args};
pub use dockerfile::{BuildLevel, DockerfileError, generate_dockerfile};
pub use error::{Phase, VmError};
pub use naming::{NameError, Naming};
pub use process::{Limits, OpenError, ProcessConfig, ProcessVm};
pub use sandbox::{Level, SandboxMode};
pub use unpack::{UnpackError, UnpackLimits, unpack};
pub use vm::{
    BuildError, BuildPlan, ChaincodeLogging, ChaincodeSource, ExitInfo, ExitWatch, PlatformBuilder,
    StartRequest, Started, TlsFiles, Vm,
};
