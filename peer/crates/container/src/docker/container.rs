//! What builder containers and chaincode containers share: output, exit, and the end.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error as EngineError;
use bollard::query_parameters::{RemoveContainerOptionsBuilder, WaitContainerOptionsBuilder};
use futures::{Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::engine::Session;
use super::error::DockerError;
use crate::output::{Lines, Output, STDOUT};
use crate::vm::ExitInfo;

/// Where the limit of creating, filling and starting a container is set.
pub(super) const START_KEY: &str = "vm.docker.startTimeout";
/// Time for the output to run dry once the container has ended.
const DRAIN: Duration = Duration::from_secs(5);

/// How often, and with what pause, a container is looked at that is being removed already.
const LOOKS: usize = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How often an engine that broke off is asked again how a container fares, and the pause between.
const ASK_AGAIN: usize = 5;
const PAUSE: Duration = Duration::from_secs(2);

/// A container that goes away with its guard, whatever happened to the work that made it.
pub(super) struct Guard {
    session: Session,
    id: Option<String>,
    unfinished: watch::Receiver<()>,
}

impl Guard {
    pub(super) fn new(session: Session, id: String) -> Self {
        Self {
            unfinished: session.mark_unfinished(),
            session,
            id: Some(id),
        }
    }

    pub(super) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// Removes it now, and waits for that.
    pub(super) async fn remove(mut self) {
        if let Some(id) = self.id.take() {
            remove(&self.session, &id).await;
        }
    }

    /// The container stays; returns its id.
    pub(super) fn keep(mut self) -> String {
        self.id.take().unwrap_or_default()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let (Some(id), Ok(runtime)) = (self.id.take(), Handle::try_current()) else {
            return;
        };
        let (session, unfinished) = (self.session.clone(), self.unfinished.clone());
        runtime.spawn(async move {
            remove(&session, &id).await;
            drop(unfinished);
        });
    }
}

/// Ends a container if it runs, and removes it with its volumes. Failures are logged. If the engine is gone, the next
/// one who needs it tries again; the next start of a peer finds what is left by its labels.
pub(super) async fn remove(session: &Session, id: &str) {
    match try_remove(session, id).await {
        Ok(()) => {}
        Err(error) => {
            tracing::warn!(error = %Chain(&error), container = id, "container was not removed");
            if !matches!(error, DockerError::Refused { .. }) {
                session.leave(id);
            }
        }
    }
}

/// The same; one that is not there is fine, one that somebody else removes is waited for: its name is taken until then.
pub(super) async fn try_remove(session: &Session, id: &str) -> Result<(), DockerError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    let removed = session
        .ask(
            "remove container",
            session.docker().remove_container(id, Some(options)),
        )
        .await;
    match removed {
        Err(DockerError::Refused {
            status: Some(404), ..
        }) => Ok(()),
        Err(DockerError::Refused {
            status: Some(409), ..
        }) => gone(session, id).await,
        removed => removed,
    }
}

/// Waits until the engine no longer knows a container; an engine that takes very long is not waited for.
async fn gone(session: &Session, id: &str) -> Result<(), DockerError> {
    for _ in 0..LOOKS {
        let looked = session.docker().inspect_container(id, None);
        match session.ask("inspect container", looked).await {
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
            Ok(_still_there) => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
    Ok(())
}

/// Waits for the end of a container.
pub(super) async fn wait_for_exit(
    session: &Session,
    id: &str,
    action: &str,
) -> Result<ExitInfo, DockerError> {
    let options = WaitContainerOptionsBuilder::new()
        .condition("not-running")
        .build();
    let mut answers = std::pin::pin!(session.docker().wait_container(id, Some(options)));
    let code = match answers.next().await {
        Some(Ok(answer)) => answer.status_code,
        Some(Err(EngineError::DockerContainerWaitError { code, .. })) => code,
        Some(Err(error)) => return Err(session.error(action, error)),
        None => {
            let source = EngineError::IOError {
                err: std::io::ErrorKind::UnexpectedEof.into(),
            };
            return Err(session.error(action, source));
        }
    };
    let code = i32::try_from(code).unwrap_or(i32::MAX);
    Ok(ExitInfo {
        code: Some(code),
        signal: (129..=192).contains(&code).then(|| code.saturating_sub(128)),
        ..ExitInfo::default()
    })
}

/// Waits for the end of a chaincode's container, also across an engine that is restarted. An engine that stays away
/// takes its containers with it, as far as the peer is concerned; the chaincode's stream tells for sure.
pub(super) async fn exit_of(session: &Session, container: &str) -> ExitInfo {
    for _ in 0..ASK_AGAIN {
        match wait_for_exit(session, container, "wait for container").await {
            Ok(exit) => return exit,
            Err(error) if error.is_not_found() => return ExitInfo::default(),
            Err(error) => {
                tracing::debug!(error = %Chain(&error), container, "asking again for the end of a container");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    tracing::warn!(
        container,
        "the engine does not tell how a container fares; it counts as ended"
    );
    ExitInfo::default()
}

/// What the engine remembers of a container that has ended.
pub(super) async fn ran_out_of_memory(session: &Session, id: &str) -> bool {
    let inspected = session
        .ask("inspect container", session.docker().inspect_container(id, None))
        .await;
    inspected
        .ok()
        .and_then(|container| container.state?.oom_killed)
        .unwrap_or(false)
}

/// Reads what a container prints, in a task of its own.
pub(super) struct OutputReader(JoinHandle<()>);

pub(super) type Attached = Pin<Box<dyn Stream<Item = Result<LogOutput, EngineError>> + Send>>;

/// Starts to read; the task ends with the stream.
pub(super) fn read_output(mut attached: Attached, output: Arc<Output>) -> OutputReader {
    OutputReader(tokio::spawn(async move {
        let mut stdout = Lines::new(STDOUT, Arc::clone(&output));
        let mut stderr = Lines::new("stderr", output);
        while let Some(piece) = attached.next().await {
            match piece {
                Ok(LogOutput::StdErr { message }) => stderr.feed(&message),
                Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => stdout.feed(&message),
                Ok(LogOutput::StdIn { .. }) => {}
                Err(error) => {
                    tracing::debug!(%error, "output of a container broke off");
                    break;
                }
            }
        }
        stdout.finish();
        stderr.finish();
    }))
}

impl OutputReader {
    /// Waits until all is read; the container has ended, so that is soon.
    pub(super) async fn finish(mut self) {
        if timeout(DRAIN, &mut self.0).await.is_err() {
            self.0.abort();
        }
    }
}

impl Drop for OutputReader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An error with its causes, for the log.
pub(super) struct Chain<'a>(pub(super) &'a DockerError);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
