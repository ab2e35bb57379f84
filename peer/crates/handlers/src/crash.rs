//! [`report_crashes`]: a process that a plugin tears down says which plugin it was; and [`leave`]: one that a plugin holds
//! ends all the same. The only file beside that of the loader with unsafe code.
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

/// From now on a fatal signal writes a line with the name of the plugin that its thread is inside of, if any,
/// to standard error, and then ends the process as it would have done without that. For the peer binary.
///
/// # Errors
/// When the system takes no handler.
pub fn report_crashes() -> io::Result<()> {
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

/// Ends the process at once, without what is usually done at the end: that waits for the dynamic linker, which a library
/// whose initialisers hang has locked for ever. For the peer binary.
pub fn leave(code: u8) -> ! {
    // SAFETY: it takes a number, and does not return.
    // JUSTIFICATION: std has an end with everything (`exit`) and one by a signal (`abort`).
    unsafe { libc::_exit(code.into()) }
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
    let parts = [b"\nfatal: ".as_slice(), name, place, plugin, b"\n"];
    let vectors = parts.map(|part| libc::iovec {
        iov_base: part.as_ptr().cast_mut().cast(),
        iov_len: part.len(),
    });
    // SAFETY: the five vectors point to memory that outlives the call and is only read; writev and raise are
    // async-signal-safe. That nothing is written when standard error is gone is as good as it gets.
    // JUSTIFICATION: std's streams take locks, which the interrupted code may hold.
    unsafe {
        libc::writev(libc::STDERR_FILENO, vectors.as_ptr(), 5);
        // the default action is back already; it strikes when this handler returns
        libc::raise(signal);
    }
}
