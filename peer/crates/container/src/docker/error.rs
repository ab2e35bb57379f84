//! What goes wrong between the peer and a Docker Engine. Each text says what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error as EngineError;

use super::pull::PullError;
use crate::dockerfile::DockerfileError;
use crate::vm::ExitInfo;

/// Texts of an engine (an error message, a line of a build) are cut to this when they become part of an error.
const MAX_MESSAGE: usize = 4 * 1024;

/// Why the Docker Engine did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DockerError {
    /// Nobody listens at the endpoint.
    #[error(
        "Error creating docker client: no Docker Engine answers at {endpoint}: start it, correct vm.endpoint, or set \
         vm.runtime: process"
    )]
    Absent {
        /// Where it was looked for.
        endpoint: String,
        /// What connecting said.
        #[source]
        source: Arc<EngineError>,
    },
    /// The socket's permissions.
    #[error(
        "Error creating docker client: permission denied at {endpoint}: let the peer's user into the group of that \
         socket (usually docker), use a rootless engine, or set vm.runtime: process"
    )]
    Denied {
        /// The socket.
        endpoint: String,
        /// What connecting said.
        #[source]
        source: Arc<EngineError>,
    },
    /// The engine has an API that this peer does not speak.
    #[error("Error creating docker client: the engine's API {found} does not fit, this peer speaks {spoken}")]
    Version {
        /// What the engine offers.
        found: String,
        /// What the peer speaks.
        spoken: String,
    },
    /// No answer in time.
    #[error(
        "{action}: not done within {}s ({key}): see whether the engine and its network still answer, or raise the limit{}",
        limit.as_secs_f32(), Output(last_lines)
    )]
    Late {
        /// What was attempted.
        action: String,
        /// The limit.
        limit: Duration,
        /// Where the limit is set.
        key: &'static str,
        /// What was printed until then.
        last_lines: Vec<String>,
    },
    /// The connection ended before the answer did.
    #[error(
        "{action}: the connection to the engine broke off: see whether it still runs; the next call tries again"
    )]
    BrokeOff {
        /// What was attempted.
        action: String,
        /// What was seen.
        #[source]
        source: Arc<EngineError>,
    },
    /// The engine said no: as an answer, or as an error record in a stream.
    #[error("{action}: {message}{}", Output(last_lines))]
    Refused {
        /// What was attempted.
        action: String,
        /// The engine's words.
        message: String,
        /// The HTTP status; none for a record in a stream.
        status: Option<u16>,
        /// What was printed until then.
        last_lines: Vec<String>,
    },
    /// The build command ended with an error.
    #[error("{}", BuildFailed(.0))]
    Build(ExitInfo),
    /// The Dockerfile or the build context could not be made.
    #[error("{action}")]
    Context {
        /// What was attempted.
        action: String,
        /// Why it failed.
        #[source]
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// An answer larger than anything sensible.
    #[error("{action}: more than {limit} bytes")]
    TooLarge {
        /// What was attempted.
        action: String,
        /// The limit.
        limit: u64,
    },
    /// The image was not pulled for a reason that the configuration can change.
    #[error("Failed to pull {image}")]
    Pull {
        /// The image.
        image: String,
        /// The reason.
        #[source]
        source: PullError,
    },
}

impl DockerError {
    /// Judges an error of the client by what it was about.
    pub(super) fn of(endpoint: &str, action: impl Into<String>, error: EngineError) -> Self {
        let action = action.into();
        match error {
            EngineError::DockerResponseServerError { status_code, message } => Self::Refused {
                action,
                message: cut(&message),
                status: Some(status_code),
                last_lines: Vec::new(),
            },
            EngineError::DockerStreamError { error } => Self::Refused {
                action,
                message: cut(&error),
                status: None,
                last_lines: Vec::new(),
            },
            EngineError::SocketNotFoundError(_) => Self::Absent {
                endpoint: endpoint.to_owned(),
                source: Arc::new(error),
            },
            error => match connecting(&error) {
                Some(io::ErrorKind::PermissionDenied) => Self::Denied {
                    endpoint: endpoint.to_owned(),
                    source: Arc::new(error),
                },
                Some(_) => Self::Absent {
                    endpoint: endpoint.to_owned(),
                    source: Arc::new(error),
                },
                None => Self::BrokeOff {
                    action,
                    source: Arc::new(error),
                },
            },
        }
    }

    /// The engine does not know the thing.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                status: Some(404),
                ..
            }
        )
    }

    /// The image of a container to be created is not there. Old engines say so with another status.
    pub(super) fn is_no_such_image(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message.to_ascii_lowercase().contains("no such image"))
    }

    /// Adds what was printed until the error came.
    pub(super) fn with_output(mut self, lines: Vec<String>) -> Self {
        if let Self::Late { last_lines, .. } | Self::Refused { last_lines, .. } = &mut self {
            *last_lines = lines;
        }
        self
    }

    pub(super) fn context(action: &str, source: impl StdError + Send + Sync + 'static) -> Self {
        Self::Context {
            action: action.to_owned(),
            source: Arc::new(source),
        }
    }
}

impl From<DockerfileError> for DockerError {
    fn from(error: DockerfileError) -> Self {
        Self::context("docker image build failed", error)
    }
}

/// The kind of a failure to connect; none if a connection was there.
fn connecting(error: &EngineError) -> Option<io::ErrorKind> {
    let EngineError::HyperLegacyError { err } = error else {
        return None;
    };
    if !err.is_connect() {
        return None;
    }
    let mut cause: Option<&(dyn StdError + 'static)> = Some(err);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    Some(io::ErrorKind::Other)
}

fn cut(text: &str) -> String {
    let text = text.trim_end();
    if text.len() <= MAX_MESSAGE {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MAX_MESSAGE / 4).collect();
    short.push('…');
    short
}

/// The last lines of output in quotes, as Fabric adds them; nothing if there are none.
struct Output<'a>(&'a [String]);

impl fmt::Display for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, " \"{}\"", self.0.join("\n"))
    }
}

/// Fabric's text for a build command that failed, with memory added.
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

    #[test]
    fn answers_and_records_keep_the_engines_words() {
        let refused = DockerError::of(
            "e",
            "Error creating container",
            EngineError::DockerResponseServerError {
                status_code: 404,
                message: "No such image: x\n".into(),
            },
        );
        assert_eq!(refused.to_string(), "Error creating container: No such image: x");
        assert!(refused.is_not_found() && refused.is_no_such_image());
        let record = DockerError::of(
            "e",
            "docker image build failed",
            EngineError::DockerStreamError {
                error: "ADD failed".into(),
            },
        );
        let told = record
            .with_output(vec!["Step 1".into(), "Step 2".into()])
            .to_string();
        assert_eq!(told, "docker image build failed: ADD failed \"Step 1\nStep 2\"");
        let long = DockerError::of(
            "e",
            "x",
            EngineError::DockerStreamError {
                error: "ü".repeat(MAX_MESSAGE),
            },
        );
        assert!(long.to_string().len() < MAX_MESSAGE);
    }

    #[test]
    fn every_failure_says_what_to_do() {
        let absent = DockerError::of("unix:///x", "a", EngineError::SocketNotFoundError("/x".into()));
        let text = absent.to_string();
        assert!(
            text.contains("unix:///x") && text.contains("vm.runtime: process"),
            "{text}"
        );
        let broken = DockerError::of(
            "e",
            "Error attaching to container",
            EngineError::RequestTimeoutError,
        );
        assert!(broken.to_string().contains("broke off"), "{broken}");
        let late = DockerError::Late {
            action: "Failed to pull x".into(),
            limit: Duration::from_secs(3),
            key: "vm.docker.pullTimeout",
            last_lines: Vec::new(),
        };
        let text = late.to_string();
        assert!(
            text.starts_with("Failed to pull x: not done within 3s (vm.docker.pullTimeout)"),
            "{text}"
        );
    }
}
