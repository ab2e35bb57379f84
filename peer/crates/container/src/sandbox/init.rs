//! Second stage of the helper: process 1 of the new namespace. Arranges the file system, gives up its rights, starts the
//! job, and reaps whatever dies. When it ends, the kernel ends everything else in the namespace.

use std::io;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::{set_no_new_privs, set_pdeathsig};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Gid, Pid, Uid, setgroups, setresgid, setresuid};

use super::PROBE_ANSWER;
use super::enter::{doing, map_ids, polite_signals, report, tell};
use super::landlock_rules::{Rules, TmpFolder};
use super::mounts;
use super::spec::{Isolation, JobSpec, NOT_STARTED, SETUP_FAILED};

pub(super) fn run(json: &str) -> u8 {
    let ran = serde_json::from_str(json)
        .map_err(io::Error::from)
        .and_then(|spec| init(&spec));
    ran.unwrap_or_else(|error| report(&error))
}

fn init(spec: &JobSpec) -> io::Result<u8> {
    die_with_first_stage()?;
    mounts::arrange(spec)?;
    // The rules hold open folders, which the job's user may not be able to reach by path.
    let rules = Rules::collect(spec, TmpFolder::Private)?;
    drop_rights(spec.isolation)?;
    die_with_first_stage()?;
    let landlocked = rules.enforce()?;
    if spec.probe {
        return Ok(answer_probe(landlocked));
    }
    if let Some(code) = asked_to_end()? {
        return Ok(code);
    }
    polite_signals()
        .thread_unblock()
        .map_err(doing("unblock signals"))?;
    let (program, args) = spec.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let spawned = Command::new(program)
        .args(args)
        .current_dir(&spec.cwd)
        .stdin(Stdio::null())
        .spawn();
    let job = match spawned {
        Ok(child) => i32::try_from(child.id())
            .map(Pid::from_raw)
            .map_err(io::Error::other)?,
        Err(error) => {
            tell(&mut io::stderr(), &format!("{program}: {error}"));
            return Ok(NOT_STARTED);
        }
    };
    reap_until(job)
}

/// Says that the sandbox stands.
pub(super) fn answer_probe(landlocked: bool) -> u8 {
    tell(
        &mut io::stdout(),
        &format!("{PROBE_ANSWER}{}", if landlocked { " landlock" } else { "" }),
    );
    0
}

fn die_with_first_stage() -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    // The parent's id cannot be seen from in here; its end of our standard input can.
    let stdin = io::stdin();
    let mut lifeline = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
    let gone = poll(&mut lifeline, PollTimeout::ZERO)? > 0;
    if gone {
        Err(io::Error::other("the first stage has gone"))
    } else {
        Ok(())
    }
}

/// A polite signal that came before there was a job to hear it. Once unblocked, process 1 would ignore it.
fn asked_to_end() -> io::Result<Option<u8>> {
    let pending = SignalFd::with_flags(&polite_signals(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let signal = pending
        .read_signal()?
        .map(|info| info.ssi_signo.saturating_add(128));
    Ok(signal.and_then(|code| u8::try_from(code).ok()))
}

fn drop_rights(isolation: Isolation) -> io::Result<()> {
    match isolation {
        Isolation::Limits | Isolation::None => {}
        Isolation::Root { user, group } => {
            let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(group));
            setgroups(&[]).map_err(doing("leave groups"))?;
            setresgid(gid, gid, gid).map_err(doing("change group"))?;
            setresuid(uid, uid, uid).map_err(doing("change user"))?;
        }
        // Back to the peer's own ids, in a namespace where starting a program takes all capabilities away.
        Isolation::UserNamespace { uid, gid } => {
            unshare(CloneFlags::CLONE_NEWUSER).map_err(doing("make inner user namespace"))?;
            map_ids((uid, 0), (gid, 0)).map_err(doing("map ids back"))?;
        }
    }
    set_no_new_privs().map_err(doing("give up new privileges"))
}

fn reap_until(job: Pid) -> io::Result<u8> {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, code)) if pid == job => {
                return Ok(u8::try_from(code).unwrap_or(SETUP_FAILED));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == job => {
                let code = (signal as i32).saturating_add(128);
                return Ok(u8::try_from(code).unwrap_or(SETUP_FAILED));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
