//! First stage of the helper: limits and namespaces. With namespaces it starts the second stage and stays its parent,
//! because only a child is inside a new process namespace.

use std::fs;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::{set_no_new_privs, set_pdeathsig};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::getppid;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::landlock_rules::{Rules, TmpFolder};
use super::spec::{Isolation, JobSpec, NOT_STARTED, SETUP_FAILED};
use super::{HELPER, OWN_PROGRAM, init};

pub(super) fn run(json: &str) -> u8 {
    let entered = serde_json::from_str(json)
        .map_err(io::Error::from)
        .and_then(|spec| enter(&spec, json));
    entered.unwrap_or_else(|error| report(&error))
}

/// Goes to the standard error, which is the job's: the peer keeps it as its last lines.
pub(super) fn report(error: &io::Error) -> u8 {
    tell(&mut io::stderr(), &format!("sandbox: {error}"));
    SETUP_FAILED
}

pub(super) fn tell(stream: &mut dyn io::Write, text: &str) {
    // Nobody is left to tell if this fails.
    drop(writeln!(stream, "{text}"));
}

/// Says in an error what was attempted.
pub(super) fn doing<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> io::Error {
    move |error| {
        let error = error.into();
        io::Error::new(error.kind(), format!("{what}: {error}"))
    }
}

fn enter(spec: &JobSpec, json: &str) -> io::Result<u8> {
    die_with(spec.parent)?;
    for procs in &spec.cgroups {
        fs::write(procs, "0").map_err(doing("join cgroup"))?;
    }
    limits(spec)?;
    let network = if spec.network {
        CloneFlags::empty()
    } else {
        CloneFlags::CLONE_NEWNET
    };
    let namespaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | network;
    match spec.isolation {
        Isolation::Limits => return become_job(spec),
        Isolation::None => return exec(spec),
        Isolation::Root { .. } => unshare(namespaces).map_err(doing("make namespaces"))?,
        Isolation::UserNamespace { uid, gid } => {
            unshare(namespaces | CloneFlags::CLONE_NEWUSER).map_err(doing("make user namespace"))?;
            map_ids((0, uid), (0, gid)).map_err(doing("map ids"))?;
            // Inside, this counts only our own processes.
            if let Some(pids) = spec.pids {
                lower(Resource::RLIMIT_NPROC, pids)?;
            }
        }
    }
    // The new credentials may have cleared it.
    die_with(spec.parent)?;
    // The peer signals the whole group. The job shall hear it, and the peer the job's answer, so this process stays.
    polite_signals().thread_block().map_err(doing("block signals"))?;
    let mut child = Command::new(OWN_PROGRAM)
        .args([HELPER, "init", json])
        // Its end is how the second stage notices that this one has gone before it asked to be told.
        .stdin(Stdio::piped())
        .spawn()
        .map_err(doing("start second stage"))?;
    let lifeline = child.stdin.take();
    let status = child.wait().map_err(doing("wait for second stage"))?;
    drop(lifeline);
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| signal.saturating_add(128)));
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(SETUP_FAILED))
}

/// Without namespaces this very process becomes the job.
fn exec(spec: &JobSpec) -> io::Result<u8> {
    let rules = Rules::collect(spec, TmpFolder::Shared)?;
    set_no_new_privs().map_err(doing("give up new privileges"))?;
    // Matters when the peer is root: the job is, too, but no more than the owner of root's files.
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(doing("give up capabilities"))?;
    // Which may have cleared it.
    die_with(spec.parent)?;
    let landlocked = rules.enforce()?;
    if spec.probe {
        return Ok(init::answer_probe(landlocked));
    }
    become_job(spec)
}

fn become_job(spec: &JobSpec) -> io::Result<u8> {
    if spec.probe {
        return Ok(init::answer_probe(false));
    }
    let (program, args) = spec.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let error = Command::new(program).args(args).current_dir(&spec.cwd).exec();
    tell(&mut io::stderr(), &format!("{program}: {error}"));
    Ok(NOT_STARTED)
}

pub(super) fn polite_signals() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
        .into_iter()
        .collect()
}

fn die_with(parent: u32) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    // It may have gone before the kernel was asked to tell.
    if u32::try_from(getppid().as_raw()).is_ok_and(|now| now == parent) {
        return Ok(());
    }
    Err(io::Error::other("the peer has gone"))
}

fn limits(spec: &JobSpec) -> io::Result<()> {
    lower(Resource::RLIMIT_CORE, 0)?;
    lower(Resource::RLIMIT_NOFILE, spec.nofile)?;
    match spec.memory_bytes {
        // Private writable memory; RLIMIT_AS would count what V8 and Java merely reserve.
        Some(bytes) => lower(Resource::RLIMIT_DATA, bytes),
        None => Ok(()),
    }
}

fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let limit = limit.min(hard);
    setrlimit(resource, limit, limit).map_err(doing("set a limit"))
}

/// Maps one user and one group: (inside, outside).
pub(super) fn map_ids(user: (u32, u32), group: (u32, u32)) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{} {} 1", user.0, user.1))?;
    fs::write("/proc/self/gid_map", format!("{} {} 1", group.0, group.1))
}
