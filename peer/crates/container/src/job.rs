//! One child process tree: started in its sandbox, its output read, its end published, and never left behind.

mod spawner;

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::output::{Output, STDOUT, Stream, read_lines};
use crate::process::{Limits, ProcessConfig};
use crate::sandbox::{JobCgroup, Sandbox};
use crate::stage::Stage;
use crate::vm::{ExitInfo, ExitWatch};
use spawner::Spawner;

/// One process to start.
#[derive(Clone)]
pub(crate) struct Job {
    /// For the log.
    pub chaincode: String,
    pub stream: Stream,
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    pub cwd: PathBuf,
    /// What it may read besides the system.
    pub readable: Vec<PathBuf>,
    /// What it may write.
    pub writable: Vec<PathBuf>,
    pub limits: Limits,
    /// Whether it reaches other machines, where that can be prevented.
    pub network: bool,
    /// Texts that its output must not show.
    pub secrets: Vec<String>,
    /// Told what a build says of its phases.
    pub stage: Option<Arc<Stage>>,
}

/// Time for the pipes to run dry once the whole tree is dead; only an escaped process can hold them longer.
const DRAIN: Duration = Duration::from_secs(2);

/// Starts jobs.
pub(crate) struct JobRunner {
    sandbox: Sandbox,
    config: Arc<ProcessConfig>,
    runtime: tokio::runtime::Handle,
    spawner: Spawner,
    closed: watch::Sender<bool>,
}

impl JobRunner {
    pub(crate) fn new(
        sandbox: Sandbox,
        config: Arc<ProcessConfig>,
        runtime: tokio::runtime::Handle,
    ) -> io::Result<Self> {
        let spawner = Spawner::new(runtime.clone())?;
        Ok(Self {
            sandbox,
            config,
            runtime,
            spawner,
            closed: watch::Sender::new(false),
        })
    }

    /// Ends what runs and refuses what comes.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Waits until the last job is cleaned up.
    pub(crate) async fn idle(&self) {
        self.closed.closed().await;
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Starts the job. Dropping the answer (or this future) ends it.
    pub(crate) async fn start(self: &Arc<Self>, job: Job) -> io::Result<RunningJob> {
        let runner = Arc::clone(self);
        // Groups are files, and starting a process takes a moment.
        tokio::task::spawn_blocking(move || runner.start_blocking(job))
            .await
            .map_err(io::Error::other)?
    }

    fn start_blocking(&self, job: Job) -> io::Result<RunningJob> {
        if self.is_closed() {
            return Err(io::Error::other("the chaincode runtime is shutting down"));
        }
        let (command, cgroup) = self.sandbox.command(&job, &self.config)?;
        let child = match self.spawner.spawn(command) {
            Ok(child) => child,
            Err(error) => {
                if let Some(cgroup) = cgroup {
                    self.runtime.spawn(cgroup.remove());
                }
                return Err(error);
            }
        };
        let (publish, exit) = ExitWatch::new();
        let (stop, stops) = mpsc::channel(STOP_REQUESTS);
        let supervisor = Supervisor {
            group: child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .map(Pid::from_raw),
            relayed: self.sandbox.relays_exit(),
            cgroup,
            grace: self.config.stop_grace,
            stops,
            closed: self.closed.subscribe(),
        };
        let logs = self.config.logs.as_ref();
        let log = logs.map(|logs| logs.writer(&self.runtime, &job.chaincode, job.stream));
        let output = Output::new(job.chaincode, job.stream, job.secrets, log, true, job.stage);
        let output = Arc::new(output);
        self.runtime.spawn(supervisor.run(child, output, publish));
        Ok(RunningJob { exit, stop })
    }
}

/// Every caller of `stop` sends one; those that find it full know that one is under way.
const STOP_REQUESTS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopRequest {
    Gently,
    Now,
}

/// A started job.
pub(crate) struct RunningJob {
    exit: ExitWatch,
    stop: mpsc::Sender<StopRequest>,
}

impl RunningJob {
    pub(crate) fn exit(&self) -> &ExitWatch {
        &self.exit
    }

    /// SIGTERM, and SIGKILL for the whole tree after the grace period.
    pub(crate) async fn stop(&self) -> ExitInfo {
        self.request(StopRequest::Gently).await
    }

    /// SIGKILL for the whole tree.
    pub(crate) async fn kill(&self) -> ExitInfo {
        self.request(StopRequest::Now).await
    }

    async fn request(&self, request: StopRequest) -> ExitInfo {
        if let Err(error) = self.stop.try_send(request) {
            // Full: a stop is under way. Closed: it has ended.
            tracing::trace!(%error, "stop request not needed");
        }
        self.exit.wait().await
    }
}

struct Supervisor {
    group: Option<Pid>,
    /// The exit code is what the sandbox's helper made of it.
    relayed: bool,
    cgroup: Option<JobCgroup>,
    grace: Duration,
    stops: mpsc::Receiver<StopRequest>,
    closed: watch::Receiver<bool>,
}

impl Supervisor {
    async fn run(mut self, mut child: Child, output: Arc<Output>, publish: watch::Sender<Option<ExitInfo>>) {
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(read_lines(stdout, STDOUT, Arc::clone(&output)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(read_lines(stderr, "stderr", Arc::clone(&output)));
        }
        let status = self.wait(&mut child).await;
        // The leader is gone; now whatever it left running.
        self.kill_tree();
        let drained = async { while readers.join_next().await.is_some() {} };
        if timeout(DRAIN, drained).await.is_err() {
            readers.abort_all();
        }
        let out_of_memory = self.cgroup.as_ref().is_some_and(JobCgroup::ran_out_of_memory);
        let exit = exit_info(status, self.relayed, out_of_memory, output.last_lines());
        publish.send_replace(Some(exit));
        if let Some(cgroup) = self.cgroup {
            cgroup.remove().await;
        }
    }

    async fn wait(&mut self, child: &mut Child) -> io::Result<ExitStatus> {
        let request = tokio::select! {
            status = child.wait() => return status,
            // Nobody holds the job any more: end it.
            request = self.stops.recv() => request.unwrap_or(StopRequest::Now),
            _ = self.closed.wait_for(|closed| *closed) => StopRequest::Gently,
        };
        if request == StopRequest::Gently {
            self.signal(Signal::SIGTERM);
            let urgent = async {
                while let Some(request) = self.stops.recv().await {
                    if request == StopRequest::Now {
                        break;
                    }
                }
            };
            tokio::select! {
                status = child.wait() => return status,
                () = tokio::time::sleep(self.grace) => {}
                () = urgent => {}
            }
        }
        self.kill_tree();
        child.wait().await
    }

    fn kill_tree(&self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        self.signal(Signal::SIGKILL);
    }

    fn signal(&self, signal: Signal) {
        let Some(group) = self.group else { return };
        match killpg(group, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => {
                tracing::warn!(%error, %group, %signal, "chaincode process group was not signalled")
            }
        }
    }
}

/// Shells and the sandbox's helper report a signal as 128 + its number.
fn exit_info(
    status: io::Result<ExitStatus>,
    relayed: bool,
    out_of_memory: bool,
    last_lines: Vec<String>,
) -> ExitInfo {
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            tracing::error!(%error, "the exit of a chaincode process is not known");
            return ExitInfo {
                last_lines,
                out_of_memory,
                ..ExitInfo::default()
            };
        }
    };
    let relayed_signal =
        |code: i32| (relayed && (129..=192).contains(&code)).then(|| code.saturating_sub(128));
    let signal = status.signal().or_else(|| status.code().and_then(relayed_signal));
    let code = status
        .code()
        .or_else(|| signal.map(|signal| signal.saturating_add(128)));
    ExitInfo {
        code,
        signal,
        last_lines,
        out_of_memory,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_told_in_every_form() {
        let exit = |raw: i32, relayed| {
            let exit = exit_info(Ok(ExitStatus::from_raw(raw)), relayed, false, Vec::new());
            (exit.code, exit.signal)
        };
        assert_eq!(exit(3 << 8, false), (Some(3), None));
        assert_eq!(exit(9, false), (Some(137), Some(9)), "killed directly");
        assert_eq!(
            exit(137 << 8, true),
            (Some(137), Some(9)),
            "killed inside the sandbox"
        );
        assert_eq!(exit(137 << 8, false), (Some(137), None), "a program's own code");
        assert_eq!(exit(255 << 8, true), (Some(255), None));
    }
}
