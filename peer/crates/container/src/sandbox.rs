//! The sandbox around chaincode processes, the peer's side: what the machine allows, and how a job is wrapped.
//!
//! A wrapped job is started as `helper chaincode-sandbox enter <job>`; the helper (this program again, see
//! [`run_if_requested`]) confines itself step by step and then starts the job. The network stays shared: the chaincode
//! has to reach the peer, a build may need a registry; a build that says that it needs none is cut off.

mod cgroup;
mod enter;
mod init;
mod landlock_rules;
mod mounts;
mod spec;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid};
use tokio::process::Command;

use cgroup::CgroupBase;
pub(crate) use cgroup::JobCgroup;
use spec::{Isolation, JobSpec};

use crate::job::Job;
use crate::process::ProcessConfig;

/// How much sandbox configuration asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SandboxMode {
    /// As much as the machine allows.
    #[default]
    Auto,
    /// Own process group, clean environment, resource limits, nothing else. For looking into problems.
    Off,
    /// All of it ([`Level::Full`]), or the peer does not start.
    Required,
}

/// How far chaincode is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Own process group, clean environment and resource limits only.
    Off,
    /// Resource limits per process, no new privileges, Landlock where the kernel has it.
    Basic,
    /// Also own process, mount, IPC and UTS namespaces, by way of a user namespace when the peer is not root.
    Namespaces,
    /// Also another user, cgroup limits for memory and processes, and Landlock for certain.
    Full,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Basic => "basic",
            Self::Namespaces => "namespaces",
            Self::Full => "full",
        })
    }
}

/// The sandbox that configuration demands is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// `required`, and the machine (or a missing helper) allows less.
    #[error("configuration requires a sandbox, this machine allows only level \"{level}\": {why}")]
    TooWeak {
        /// The level that would be reached.
        level: Level,
        /// What stood in the way.
        why: String,
    },
}

/// First argument that turns a program into the sandbox's helper.
const HELPER: &str = "chaincode-sandbox";
/// The helper of this very program, also when its file was replaced since it started.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// What the helper prints when it is asked to try itself out.
const PROBE_ANSWER: &str = "chaincode-sandbox ready";

/// Set by [`run_if_requested`]: starting ourselves again is safe.
static OWN_PROGRAM_HELPS: AtomicBool = AtomicBool::new(false);

/// Does the work of the sandbox's helper if this process was started as one, and says with what code to exit.
/// `main` calls it before anything else, in particular before it starts a thread.
pub fn run_if_requested() -> Option<ExitCode> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some(HELPER) {
        OWN_PROGRAM_HELPS.store(true, Ordering::Relaxed);
        return None;
    }
    let code = match (args.next().as_deref(), args.next()) {
        (Some("enter"), Some(spec)) => enter::run(&spec),
        (Some("init"), Some(spec)) => init::run(&spec),
        _ => spec::SETUP_FAILED,
    };
    Some(ExitCode::from(code))
}

/// What the machine allows, found out once.
pub(crate) struct Sandbox {
    helper: Option<PathBuf>,
    isolation: Isolation,
    landlock: bool,
    cgroups: Option<CgroupBase>,
    cpu_wanted: bool,
    /// What was tried and failed, for the log.
    refused: Vec<String>,
}

impl Sandbox {
    /// Tries the levels from the strongest down.
    pub(crate) fn detect(config: &ProcessConfig) -> Result<Self, SandboxError> {
        let mut sandbox = Self {
            helper: None,
            isolation: Isolation::None,
            landlock: false,
            cgroups: None,
            cpu_wanted: config.widest_limits().cpu.is_some(),
            refused: Vec::new(),
        };
        let own = || {
            OWN_PROGRAM_HELPS
                .load(Ordering::Relaxed)
                .then(|| PathBuf::from(OWN_PROGRAM))
        };
        match config.helper.clone().or_else(own) {
            Some(helper) if config.sandbox == SandboxMode::Off || config.strongest == Level::Off => {
                sandbox.probe_for(&helper, &[Isolation::Limits], config);
                sandbox.open_cgroups(config);
            }
            Some(helper) => sandbox.probe(&helper, config),
            None => sandbox
                .refused
                .push("this program is no sandbox helper".to_owned()),
        }
        if config.sandbox == SandboxMode::Required && sandbox.level() < Level::Full {
            return Err(SandboxError::TooWeak {
                level: sandbox.level(),
                why: sandbox.refused.join("; "),
            });
        }
        Ok(sandbox)
    }

    fn probe(&mut self, helper: &Path, config: &ProcessConfig) {
        let uid = Uid::effective().as_raw();
        let (user, group) = (config.user, config.group);
        let as_root =
            (uid == 0 && config.strongest == Level::Full).then_some(Isolation::Root { user, group });
        if as_root.is_none() {
            self.refused
                .push("another user for chaincode: the peer is not root".to_owned());
        }
        let gid = Gid::effective().as_raw();
        let in_user_namespace =
            (config.strongest >= Level::Namespaces).then_some(Isolation::UserNamespace { uid, gid });
        let candidates = [as_root, in_user_namespace, Some(Isolation::None)];
        let candidates: Vec<Isolation> = candidates.into_iter().flatten().collect();
        self.probe_for(helper, &candidates, config);
        if self.helper.is_some() && !self.landlock {
            self.refused.push("Landlock: not in this kernel".to_owned());
        }
        if self.helper.is_some() && config.strongest == Level::Full {
            self.open_cgroups(config);
        }
    }

    /// Takes the first that works.
    fn probe_for(&mut self, helper: &Path, candidates: &[Isolation], config: &ProcessConfig) {
        for isolation in candidates.iter().copied() {
            match try_out(helper, isolation, config) {
                Ok(landlock) => {
                    (self.helper, self.isolation, self.landlock) =
                        (Some(helper.to_owned()), isolation, landlock);
                    break;
                }
                Err(why) => self.refused.push(format!("{isolation}: {why}")),
            }
        }
    }

    fn open_cgroups(&mut self, config: &ProcessConfig) {
        match CgroupBase::open(&config.root, &config.widest_limits()) {
            Ok(base) => {
                if self.cpu_wanted && !base.limits_cpu() {
                    self.refused
                        .push("limit of processors: no cpu controller".to_owned());
                }
                self.cgroups = Some(base);
            }
            Err(error) => self.refused.push(format!("cgroups: {error}")),
        }
    }

    pub(crate) fn level(&self) -> Level {
        match (&self.helper, self.isolation) {
            (None, _) | (Some(_), Isolation::Limits) => Level::Off,
            (Some(_), Isolation::None) => Level::Basic,
            (Some(_), Isolation::Root { .. }) if self.landlock && self.limits_hold() => Level::Full,
            (Some(_), _) => Level::Namespaces,
        }
    }

    /// Every configured limit of a whole process tree is in force.
    fn limits_hold(&self) -> bool {
        self.cgroups
            .as_ref()
            .is_some_and(|base| base.limits_cpu() || !self.cpu_wanted)
    }

    /// The user and group that jobs run as, if not the peer's own.
    pub(crate) fn user(&self) -> Option<(u32, u32)> {
        match self.isolation {
            Isolation::Root { user, group } if self.helper.is_some() => Some((user, group)),
            _ => None,
        }
    }

    /// The process that the peer sees is the helper, which passes on how the job ended.
    pub(crate) fn relays_exit(&self) -> bool {
        self.helper.is_some() && !matches!(self.isolation, Isolation::Limits | Isolation::None)
    }

    /// One line in the log.
    pub(crate) fn report(&self) {
        let (level, missing) = (self.level(), self.refused.join("; "));
        let (isolation, landlock, cgroups) = (&self.isolation, self.landlock, self.cgroups.is_some());
        if level == Level::Full {
            tracing::info!(%level, %isolation, landlock, cgroups, "chaincode process sandbox");
        } else {
            tracing::warn!(%level, %isolation, landlock, cgroups, missing, "chaincode process sandbox is not complete");
        }
    }

    /// The command that starts the job inside the sandbox, and the cgroup made for it.
    pub(crate) fn command(
        &self,
        job: &Job,
        config: &ProcessConfig,
    ) -> io::Result<(Command, Option<JobCgroup>)> {
        let cgroup = self
            .cgroups
            .as_ref()
            .map(|base| base.job(&job.limits))
            .transpose()?;
        let mut command = match &self.helper {
            None => {
                let (program, args) = job.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
                let mut command = Command::new(program);
                command.args(args).current_dir(&job.cwd);
                command
            }
            Some(helper) => {
                let procs = cgroup.as_ref().map(JobCgroup::procs).unwrap_or_default();
                let spec = JobSpec::new(job, config, self.isolation, procs);
                let mut command = Command::new(helper);
                command.args([HELPER, "enter", &spec.to_json()?]).current_dir("/");
                command
            }
        };
        command
            .env_clear()
            .envs(job.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        Ok((command, cgroup))
    }
}

/// Time for the helper to try itself out; it takes some ten milliseconds.
const PROBE_TIME: Duration = Duration::from_secs(10);

/// Runs the helper without a job; tells whether Landlock is in force.
fn try_out(helper: &Path, isolation: Isolation, config: &ProcessConfig) -> Result<bool, String> {
    let spec = JobSpec::probe(config, isolation)
        .to_json()
        .map_err(|error| error.to_string())?;
    let mut command = std::process::Command::new(helper);
    command
        .args([HELPER, "enter", &spec])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let failed = |error: io::Error| format!("{}: {error}", helper.display());
    let child = command.spawn().map_err(failed)?;
    let pid = i32::try_from(child.id()).map(Pid::from_raw);
    let (answer, output) = mpsc::channel();
    // A thread, because the standard library cannot wait for output with a deadline.
    thread::spawn(move || answer.send(child.wait_with_output()));
    let output = match output.recv_timeout(PROBE_TIME) {
        Ok(output) => output.map_err(failed)?,
        Err(late) => {
            let killed = pid.is_ok_and(|pid| kill(pid, Signal::SIGKILL).is_ok());
            return Err(format!(
                "{}: no answer ({late}, killed: {killed})",
                helper.display()
            ));
        }
    };
    let answer = String::from_utf8_lossy(&output.stdout);
    // Any program could exit with 0; only the helper knows the answer.
    match answer.trim().strip_prefix(PROBE_ANSWER) {
        Some(rest) if output.status.success() => Ok(rest.contains("landlock")),
        _ => Err(String::from_utf8_lossy(&output.stderr)
            .trim()
            .chars()
            .take(300)
            .collect()),
    }
}
