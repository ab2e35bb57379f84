//! [`report_crashes`]: a process that a plugin tears down says which plugin it was. [`exit_now`]: an end that no plugin can
//! hold up. The only file beside those of the loader with unsafe code.
#![allow(unsafe_code, reason = "a signal handler is a C function")]

use crate::current::current;
use std::ffi::c_int;
use std::io;
use std::mem::zeroed;

/// The signals that end a process because of what its own code did.
const FATAL: [(c_int, &[u8]); 5] = [
    (libc::SIGSEGV, b"SIGSEGV"),
    (libc::SIGBUS, b"SIGBUS"),
    (libc::SIGABRT, b"SIGABRT"),
    (libc::SIGILL, b"SIGILL"),
    (libc::SIGFPE, b"SIGFPE"),
];

/// Exit code of a process that a plugin has ended, whatever code the plugin wanted: for a supervisor it is a failure.
const ENDED_BY_PLUGIN: c_int = 1;

/// From now on a fatal signal writes a line with the name of the plugin that its thread is inside of, if any,
/// to standard error, and then ends the process as it would have done without that. A plugin that calls `exit` is named in
/// the same way, and the process has failed. For the peer binary.
///
/// # Errors
/// When the system takes no handler.
pub fn report_crashes() -> io::Result<()> {
    // SAFETY: `report_exit` is a function for ever, and has the signature that `atexit` wants.
    // JUSTIFICATION: std has no hook for the end of a process.
    if unsafe { libc::atexit(report_exit) } != 0 {
        return Err(io::Error::other("atexit takes no more functions"));
    }
    for (signal, _) in FATAL {
        // SAFETY: all zeroes are a valid `sigaction`: no flags, no mask, the default handler.
        // JUSTIFICATION: the struct has platform-dependent fields and no constructor.
        let mut action: libc::sigaction = unsafe { zeroed() };
        let handler: extern "C" fn(c_int) = report;
        action.sa_sigaction = handler as libc::sighandler_t;
        // once only, and on the stack that is left when the thread's own has overflowed
        action.sa_flags = libc::SA_RESETHAND | libc::SA_ONSTACK;
        // SAFETY: `action` is initialised; `report` has the signature that flags without SA_SIGINFO ask for
        // and does only what a signal handler may do. The old action is not asked for.
        // JUSTIFICATION: neither std nor rustix installs signal handlers; signal-hook refuses these signals.
        let installed = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
        if installed != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Ends the process as it is: no exit handlers, no destructors of libraries. The dynamic linker's lock, which an ordinary
/// end takes, may be held for ever by a library that hangs in its initialiser.
pub fn exit_now(code: u8) -> ! {
    // SAFETY: ending the process touches no memory of it.
    // JUSTIFICATION: std's `exit` runs what is left out here.
    unsafe { libc::_exit(c_int::from(code)) }
}

/// Runs on the thread that called `exit`.
extern "C" fn report_exit() {
    let Some(plugin) = current() else { return };
    write(&[b"\nfatal: exit inside plugin ", plugin.as_bytes(), b"\n"]);
    // SAFETY: as in `exit_now`.
    // JUSTIFICATION: the code that the plugin gave can be replaced in no other way.
    unsafe { libc::_exit(ENDED_BY_PLUGIN) }
}

/// Runs in the middle of anything: no allocation, no lock, no panic.
extern "C" fn report(signal: c_int) {
    let name = FATAL
        .iter()
        .find(|(fatal, _)| *fatal == signal)
        .map_or(b"signal".as_slice(), |(_, name)| name);
    // a constant-initialised thread-local without destructor, in the main program: reading it is reading memory
    let (place, plugin) = match current() {
        Some(plugin) => (b" inside plugin ".as_slice(), plugin.as_bytes()),
        None => (b" outside of plugins".as_slice(), b"".as_slice()),
    };
    write(&[b"\nfatal: ", name, place, plugin, b"\n"]);
    // SAFETY: raise is async-signal-safe. The default action is back already; it strikes when this handler returns.
    // JUSTIFICATION: std raises no signals.
    unsafe {
        libc::raise(signal);
    }
}

/// Writes to standard error, without any lock.
fn write<const PARTS: usize>(parts: &[&[u8]; PARTS]) {
    let vectors = parts.map(|part| libc::iovec {
        iov_base: part.as_ptr().cast_mut().cast(),
        iov_len: part.len(),
    });
    let count = c_int::try_from(PARTS).unwrap_or_default();
    // SAFETY: the vectors, `count` of them, point to memory that outlives the call and is only read; writev is
    // async-signal-safe. That nothing is written when standard error is gone is as good as it gets.
    // JUSTIFICATION: std's streams take locks, which the interrupted code may hold.
    unsafe {
        libc::writev(libc::STDERR_FILENO, vectors.as_ptr(), count);
    }
}
