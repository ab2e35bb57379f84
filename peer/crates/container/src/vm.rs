//! The seam between the peer and whatever runs chaincode: what is asked of a runtime, and what it answers.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::{Phase, VmError};

/// What has to be built and started: one chaincode package.
#[derive(Debug, Clone)]
pub struct ChaincodeSource {
    /// The id under which the chaincode registers, `name:version`.
    pub id: String,
    /// The chaincode's name.
    pub name: String,
    /// The chaincode's version.
    pub version: String,
    /// The language as the name of `ChaincodeSpec.Type`, upper case.
    pub chaincode_type: String,
    /// `ChaincodeDeploymentSpec` bytes, handed to the platform as they are.
    pub deployment_spec: Bytes,
    /// The code package, a tar.gz.
    pub code_package: Bytes,
}

/// How a platform wants one chaincode built and started.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BuildPlan {
    /// Builder image; unused by the process runtime.
    pub image: String,
    /// Shell command that reads `$CHAINCODE_INPUT` and writes `$CHAINCODE_OUTPUT`.
    pub cmd: String,
    /// `NAME=value` pairs for the build. Values from configuration travel here, never inside `cmd`.
    pub env: Vec<String>,
    /// Further files that are put beside the package: path relative to the input folder, content.
    pub files: Vec<(String, Vec<u8>)>,
    /// Argument vector of the built chaincode; `{peer.address}` stands for the address it dials.
    pub launch: Vec<String>,
    /// The same inside of the image that the Dockerfile makes; empty: Fabric's own for the language.
    pub container_launch: Vec<String>,
    /// Texts in `env` and `files` that must not be seen anywhere; see [`BuildPlan::redact`].
    pub secrets: Vec<String>,
    /// The build needs no network and gets none, where the runtime can take it away.
    pub offline: bool,
}

/// What stands for a secret.
const REDACTED: &str = "*****";

impl BuildPlan {
    /// A text without the secrets.
    pub fn redact(&self, text: String) -> String {
        redact(&self.secrets, text)
    }
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

/// A text without these secrets. The longest first: one may begin as another does.
pub(crate) fn redact(secrets: &[String], text: String) -> String {
    let mut secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    secrets.retain(|secret| !secret.is_empty() && text.contains(secret));
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
        .into_iter()
        .fold(text, |text, secret| text.replace(secret, REDACTED))
}

/// Why a platform refused to say how a chaincode is built.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BuildError {
    /// No platform with this name is loaded.
    #[error("Unknown chaincodeType: {0}")]
    UnknownType(String),
    /// The platform looked at the chaincode and refused.
    #[error("{0}")]
    Platform(String),
}

/// The platforms, as a runtime sees them. The composition root plugs the loaded platform plugins in here.
#[async_trait]
pub trait PlatformBuilder: Send + Sync {
    /// The platform's own lines of the Dockerfile.
    async fn dockerfile(&self, source: &ChaincodeSource) -> Result<String, BuildError>;
    /// How the chaincode is built and launched.
    async fn build_plan(&self, source: &ChaincodeSource) -> Result<BuildPlan, BuildError>;
}

/// The TLS identity that the peer issued for one chaincode instance.
#[derive(Clone)]
pub struct TlsFiles {
    /// The chaincode's client certificate.
    pub client_cert_pem: Vec<u8>,
    /// Its private key.
    pub client_key_pem: Vec<u8>,
    /// Root of the peer's chaincode listener.
    pub root_cert_pem: Vec<u8>,
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsFiles { .. }")
    }
}

/// `chaincode.logging.*`; an empty text leaves the variable out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChaincodeLogging {
    /// `CORE_CHAINCODE_LOGGING_LEVEL`.
    pub level: String,
    /// `CORE_CHAINCODE_LOGGING_SHIM`.
    pub shim: String,
    /// `CORE_CHAINCODE_LOGGING_FORMAT`.
    pub format: String,
}

/// One start of one chaincode.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// The id the chaincode registers with.
    pub chaincode_id: String,
    /// `host:port` of the chaincode listener, as seen by the chaincode.
    pub peer_address: String,
    /// The peer's MSP.
    pub local_msp_id: String,
    /// TLS identity; none when the chaincode listener has no TLS.
    pub tls: Option<TlsFiles>,
    /// Log settings passed on to the shim.
    pub logging: ChaincodeLogging,
    /// The package, for the case that it is not built yet.
    pub source: ChaincodeSource,
}

/// How a chaincode (or a build step) ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExitInfo {
    /// Exit code; 128 + signal when a signal ended it, as container engines report it.
    pub code: Option<i32>,
    /// The signal, if one ended it.
    pub signal: Option<i32>,
    /// The last lines of output, oldest first, cut to a limit.
    pub last_lines: Vec<String>,
    /// The memory limit was hit.
    pub out_of_memory: bool,
}

impl ExitInfo {
    /// `exit code`, then what else is known in brackets.
    pub(crate) fn write_status(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{code}")?,
            None => f.write_str("unknown status")?,
        }
        match (self.signal, self.out_of_memory) {
            (Some(signal), true) => write!(f, " (signal {signal}, out of memory)"),
            (Some(signal), false) => write!(f, " (signal {signal})"),
            (None, true) => f.write_str(" (out of memory)"),
            (None, false) => Ok(()),
        }
    }

    /// The exit as text that also says in which phase of which chaincode it happened.
    pub fn within<'a>(&'a self, phase: Phase, chaincode: &'a str) -> impl fmt::Display + 'a {
        Within(self, Some((phase, chaincode)))
    }
}

impl fmt::Display for ExitInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Within(self, None).fmt(f)
    }
}

struct Within<'a>(&'a ExitInfo, Option<(Phase, &'a str)>);

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(exit, place) = self;
        f.write_str("container exited with ")?;
        exit.write_status(f)?;
        if let Some((phase, chaincode)) = place {
            write!(f, " (phase {phase}; all output: peer chaincode logs {chaincode})")?;
        }
        if !exit.last_lines.is_empty() {
            write!(f, ", last output: {}", exit.last_lines.join("\n"))?;
        }
        Ok(())
    }
}

/// The exit of one instance; every clone can wait for it.
#[derive(Debug, Clone)]
pub struct ExitWatch(watch::Receiver<Option<ExitInfo>>);

impl ExitWatch {
    /// A watch and the end that publishes into it.
    pub fn new() -> (watch::Sender<Option<ExitInfo>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// Waits for the exit. Cancel-safe. A runtime that went away without an answer counts as an exit nothing is known of.
    pub async fn wait(&self) -> ExitInfo {
        let mut receiver = self.0.clone();
        match receiver.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone().unwrap_or_default(),
            Err(_gone) => ExitInfo::default(),
        }
    }

    /// The exit, if it has happened.
    pub fn try_get(&self) -> Option<ExitInfo> {
        self.0.borrow().clone()
    }
}

/// A started chaincode.
#[derive(Debug, Clone)]
pub struct Started {
    /// Resolves when the chaincode has ended, for whatever reason.
    pub exit: ExitWatch,
}

/// A runtime for chaincode, Fabric's `container.VM`.
#[async_trait]
pub trait Vm: Send + Sync {
    /// Builds the chaincode unless this very package is built already. Concurrent callers share one build,
    /// and a build outlives a caller that gives up.
    async fn deploy(&self, source: &ChaincodeSource) -> Result<(), VmError>;
    /// Ends an old instance of that id, builds when necessary, starts.
    async fn start(&self, request: &StartRequest) -> Result<Started, VmError>;
    /// Ends the instance with everything it started. An id that does not run is fine.
    async fn stop(&self, chaincode_id: &str) -> Result<(), VmError>;
    /// Ends the instance and removes what was built for it.
    async fn destroy(&self, chaincode_id: &str) -> Result<(), VmError>;
    /// What is being done for the id right now; none: nothing, or it is not known.
    fn phase(&self, _chaincode_id: &str) -> Option<Phase> {
        None
    }
    /// Fabric's container name for the id.
    fn name(&self, chaincode_id: &str) -> String;
}
