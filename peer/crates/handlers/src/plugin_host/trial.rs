//! A library is tried out in a process of its own before a peer that serves maps it: what its initialisers do to that
//! process, they do not do to the peer. Mapping is the one thing about a plugin that nothing in a process survives when
//! it goes wrong: an initialiser that hangs keeps the dynamic linker locked, one that crashes or exits ends everything.

use super::file::PluginFile;
use super::image;
use super::library::Library;
use crate::crash::exit_now;
use crate::deadline::{LOADING, is_mapping};
use crate::load_error::LoadError;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

/// The first argument of a process that tries a library out, which is its standard input.
const HELPER: &str = "plugin-trial";
/// This very program, also when its file was replaced since it started.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// How the process ends when the library has been mapped, accepted or not. Not 0, which its initialisers may have said.
const MAPPED: u8 = 86;
/// … and when it still was not after [`LOADING`].
const LATE: u8 = 87;
/// How much longer than [`LOADING`] the process may take to start and to end.
const GRACE: Duration = Duration::from_secs(20);

/// Set by [`try_out_if_requested`]: starting ourselves again is safe.
static OWN_PROGRAM_HELPS: AtomicBool = AtomicBool::new(false);

/// Tries a library out and ends if this process was started for that. `main` calls it before anything else. Only a
/// program that does so has libraries tried out when it reloads.
pub fn try_out_if_requested() {
    if std::env::args_os().nth(1).is_none_or(|first| first != HELPER) {
        OWN_PROGRAM_HELPS.store(true, Ordering::Relaxed);
        return;
    }
    // why it is refused, if it is, the peer finds out as well
    drop(PluginFile::read(Path::new("/proc/self/fd/0")).and_then(Library::map_alone));
    // without the usual end, for which the library may have plans
    exit_now(if is_mapping() { LATE } else { MAPPED })
}

/// Maps a library in a process of its own. Blocking.
pub(super) fn try_out(file: &PluginFile) -> Result<(), LoadError> {
    if !OWN_PROGRAM_HELPS.load(Ordering::Relaxed) {
        return Ok(());
    }
    let ended = run(&file.bytes).map_err(LoadError::Io)?;
    let found = match (ended.and_then(|ended| ended.code()), ended) {
        (Some(code), _) if code == i32::from(MAPPED) => return Ok(()),
        (None, None) => format!("did not end within {:?}", LOADING + GRACE),
        (Some(code), _) if code == i32::from(LATE) => format!("took longer than {LOADING:?} to map it"),
        (Some(code), _) => format!("ended with code {code}"),
        (None, Some(ended)) => format!("ended with signal {}", ended.signal().unwrap_or_default()),
    };
    Err(LoadError::Trial { found })
}

/// How the process ended; `None`: it did not, and was killed.
fn run(library: &[u8]) -> io::Result<Option<ExitStatus>> {
    let mut child = Command::new(OWN_PROGRAM)
        .arg(HELPER)
        .stdin(Stdio::from(copy(library)?))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // so that what it has started ends with it
        .process_group(0)
        .spawn()?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (over, ended) = channel();
    std::thread::Builder::new()
        .name("plugin-trial".to_owned())
        .spawn(move || over.send(child.wait()).ok())?;
    let in_time = ended.recv_timeout(LOADING + GRACE).ok();
    if let Some(group) = group {
        // usually there is nobody left
        kill_process_group(group, Signal::KILL).ok();
    }
    in_time.transpose()
}

fn copy(library: &[u8]) -> io::Result<File> {
    // memory files may not be had here
    image::sealed_copy(library).or_else(|_none| {
        let mut file = tempfile::tempfile()?;
        file.write_all(library)?;
        file.rewind()?;
        Ok(file)
    })
}
