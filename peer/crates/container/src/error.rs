//! What goes wrong while a chaincode is built, started or stopped, with the phase it happened in.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::docker::DockerError;
use crate::naming::NameError;
use crate::unpack::UnpackError;
use crate::vm::{BuildError, ExitInfo};

/// Where on the way to a running chaincode something failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Asking the platform how to build.
    Plan,
    /// Unpacking the code package.
    Unpack,
    /// Fetching an image that others made.
    Pull,
    /// Running the platform's build command, which does not say what it is at.
    Build,
    /// Running the platform's build command: finding and fetching what the chaincode depends on.
    Dependencies,
    /// Running the platform's build command: compiling.
    Compile,
    /// Making the chaincode's image.
    Image,
    /// Starting the built chaincode.
    Start,
    /// Waiting for the started chaincode to register.
    Register,
    /// Ending it or removing its build.
    Stop,
}

impl Phase {
    /// Its name in texts.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Unpack => "unpack",
            Self::Pull => "pull",
            Self::Build => "build",
            Self::Dependencies => "dependencies",
            Self::Compile => "compile",
            Self::Image => "image",
            Self::Start => "start",
            Self::Register => "register",
            Self::Stop => "stop",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A runtime could not do what was asked. Cloned to every caller that waited for the same build.
#[derive(Debug, Clone, thiserror::Error)]
pub enum VmError {
    /// The id does not give a usable name.
    #[error("the chaincode cannot be named")]
    Name(#[source] NameError),
    /// The platform did not say how to build.
    #[error("platform builder failed")]
    Plan(#[source] BuildError),
    /// The code package was refused.
    #[error("unpacking the code package failed")]
    Unpack(#[source] Arc<UnpackError>),
    /// The build command ended with an error.
    #[error("{}: {}", Place(*phase, chaincode), BuildFailed(exit))]
    Build {
        /// What it was at.
        phase: Phase,
        /// For which chaincode.
        chaincode: String,
        /// How it ended.
        exit: ExitInfo,
    },
    /// The build did not end in time and was killed.
    #[error(
        "{}: Error waiting for container to complete: build killed after {}s (chaincode.process.buildTimeout) \"{}\"",
        Place(*phase, chaincode), limit.as_secs(), last_lines.join("\n")
    )]
    BuildTimeout {
        /// What it was at.
        phase: Phase,
        /// For which chaincode.
        chaincode: String,
        /// The limit from configuration.
        limit: Duration,
        /// The last lines of output.
        last_lines: Vec<String>,
    },
    /// The machine failed, not the chaincode.
    #[error("{phase}: {action}")]
    Io {
        /// When.
        phase: Phase,
        /// What was attempted.
        action: String,
        /// Why it failed.
        #[source]
        source: Arc<io::Error>,
    },
    /// The Docker Engine did not do what was asked, or what it ran failed.
    #[error("{}", Place(*phase, chaincode))]
    Docker {
        /// When.
        phase: Phase,
        /// For which chaincode.
        chaincode: String,
        /// What happened.
        #[source]
        source: Arc<DockerError>,
    },
    /// The platform's launch arguments cannot be used.
    #[error("start-could not start container: {0}")]
    Launch(String),
    /// The runtime is shutting down.
    #[error("the chaincode runtime is shutting down")]
    ShuttingDown,
}

impl VmError {
    /// The phase the error belongs to.
    pub fn phase(&self) -> Phase {
        match self {
            Self::Name(_) | Self::Plan(_) => Phase::Plan,
            Self::Unpack(_) => Phase::Unpack,
            Self::Launch(_) | Self::ShuttingDown => Phase::Start,
            Self::Io { phase, .. }
            | Self::Build { phase, .. }
            | Self::BuildTimeout { phase, .. }
            | Self::Docker { phase, .. } => *phase,
        }
    }

    /// For `map_err`: names what was attempted.
    pub(crate) fn io(phase: Phase, action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io {
            phase,
            action,
            source: Arc::new(source),
        }
    }

    /// For `map_err`: names the phase and the chaincode.
    pub(crate) fn docker(phase: Phase, chaincode: &str) -> impl FnOnce(DockerError) -> Self {
        let chaincode = chaincode.to_owned();
        move |source| Self::Docker {
            phase,
            chaincode,
            source: Arc::new(source),
        }
    }

    /// For work whose own task was lost.
    pub(crate) fn lost(phase: Phase, source: impl Error + Send + Sync + 'static) -> Self {
        Self::io(phase, "the task ended without an answer")(io::Error::other(source))
    }
}

/// Where something failed, and where to read on.
struct Place<'a>(Phase, &'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(phase, chaincode) = self;
        write!(
            f,
            "phase {phase} of {chaincode} (all output: peer chaincode logs {chaincode})"
        )
    }
}

/// Fabric's text for a build command that failed, with signal and memory added.
struct BuildFailed<'a>(&'a ExitInfo);

impl fmt::Display for BuildFailed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Error returned from build: ")?;
        self.0.write_status(f)?;
        write!(f, " \"{}\"", self.0.last_lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protos::wire_message;

    #[test]
    fn texts_name_the_exit_and_the_last_lines() {
        let exit = ExitInfo {
            code: Some(1),
            last_lines: vec!["a".into(), "b".into()],
            ..ExitInfo::default()
        };
        let build = VmError::Build {
            phase: Phase::Compile,
            chaincode: "cc:1".into(),
            exit: exit.clone(),
        };
        assert_eq!(
            build.to_string(),
            "phase compile of cc:1 (all output: peer chaincode logs cc:1): Error returned from build: 1 \"a\nb\""
        );
        assert_eq!(build.phase(), Phase::Compile);
        assert_eq!(exit.to_string(), "container exited with 1, last output: a\nb");
        let killed = ExitInfo {
            code: Some(137),
            signal: Some(9),
            out_of_memory: true,
            last_lines: vec![],
        };
        assert_eq!(
            killed.to_string(),
            "container exited with 137 (signal 9, out of memory)"
        );
        assert_eq!(
            ExitInfo::default().to_string(),
            "container exited with unknown status"
        );
    }

    #[test]
    fn every_error_knows_its_phase_and_keeps_its_cause_apart() {
        let plan = VmError::Plan(BuildError::UnknownType("UNDEFINED".into()));
        assert_eq!(
            wire_message(&plan),
            "platform builder failed: Unknown chaincodeType: UNDEFINED"
        );
        assert_eq!(plan.phase(), Phase::Plan);
        let io = VmError::io(Phase::Start, "create folder")(io::Error::other("full"));
        assert_eq!(wire_message(&io), "start: create folder: full");
        assert_eq!(io.phase(), Phase::Start);
        let late = VmError::BuildTimeout {
            phase: Phase::Dependencies,
            chaincode: "cc:1".into(),
            limit: Duration::from_secs(3),
            last_lines: vec!["x".into()],
        };
        assert_eq!(late.phase(), Phase::Dependencies);
        let told = late.to_string();
        assert!(told.starts_with("phase dependencies of cc:1 "), "{told}");
        assert!(
            told.ends_with("build killed after 3s (chaincode.process.buildTimeout) \"x\""),
            "{told}"
        );
    }
}
