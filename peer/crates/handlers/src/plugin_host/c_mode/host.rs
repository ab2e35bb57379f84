//! What a C plugin can call. Addresses are checked for NULL and lengths for their limits; nothing panics across the
//! border.
#![allow(unsafe_code, reason = "C calls with addresses")]

use super::calls::Calls;
use super::tables::{Answer, Borrowed, Buf, CallId, HostTable, size};
use crate::host::fenced;
use abi_stable::std_types::RStr;
use plugin_api::manifest::API_MINOR;
use plugin_api::{HostRef, Pairs};
use tracing::warn;

/// Longest name of a metric or fact that is looked at, in bytes.
const MAX_NAME: usize = 256;
/// Longest log line that is taken, in bytes.
const MAX_LINE: usize = 8192;
/// Longest value of a fact; one more than what is taken, so that a longer one is refused and not cut.
const MAX_VALUE: usize = 65_537;
/// Where the lines come from, for the log.
const TARGET: RStr<'static> = RStr::from_str("c");

/// The host of one instance. It stays for ever: a plugin's thread may call it after the instance is gone.
#[repr(C)]
pub(super) struct CHost {
    table: HostTable,
    pub(super) name: String,
    pub(super) host: HostRef,
    pub(super) calls: Calls,
}

impl CHost {
    pub(super) fn leaked(name: String, host: HostRef) -> &'static Self {
        Box::leak(Box::new(Self {
            table: HostTable {
                size: size::<HostTable>(),
                api_minor: u32::from(API_MINOR),
                log_enabled,
                log,
                counter_add,
                observe,
                attr,
                set_attr,
                complete,
                wanted,
            },
            name,
            host,
            calls: Calls::default(),
        }))
    }

    pub(super) fn table(&'static self) -> *const HostTable {
        std::ptr::from_ref(self).cast()
    }
}

/// Runs a service for the plugin that says it has this host.
fn serve<T>(host: *const HostTable, otherwise: T, service: impl FnOnce(&'static CHost) -> T) -> T
where
    T: Copy,
{
    if host.is_null() {
        return otherwise;
    }
    // SAFETY: the only such tables are the first fields of leaked `CHost`s.
    // JUSTIFICATION: C passes its host as an address.
    let host: &'static CHost = unsafe { &*host.cast::<CHost>() };
    fenced(|| otherwise, || service(host))
}

fn level(level: u32) -> u8 {
    u8::try_from(level).unwrap_or(u8::MAX)
}

extern "C" fn log_enabled(host: *const HostTable, of: u32) -> i32 {
    serve(host, 0, |host| {
        i32::from(host.host.log_enabled(level(of), TARGET))
    })
}

extern "C" fn log(host: *const HostTable, of: u32, message: Borrowed) {
    serve(host, (), |host| {
        let message = message.text(MAX_LINE);
        host.host
            .log(level(of), TARGET, message.as_str().into(), Pairs::EMPTY);
    });
}

extern "C" fn counter_add(host: *const HostTable, name: Borrowed, value: u64) {
    serve(host, (), |host| {
        let name = name.text(MAX_NAME);
        host.host.counter_add(name.as_str().into(), value, Pairs::EMPTY);
    });
}

extern "C" fn observe(host: *const HostTable, name: Borrowed, value: f64) {
    serve(host, (), |host| {
        let name = name.text(MAX_NAME);
        host.host.observe(name.as_str().into(), value, Pairs::EMPTY);
    });
}

extern "C" fn attr(host: *const HostTable, call: CallId, name: Borrowed, out: *mut Buf) -> i32 {
    if out.is_null() {
        return 0;
    }
    let found = serve_owned(host, |host| {
        let request = host.calls.request(call)?;
        let value = request.attr(name.text(MAX_NAME).as_str().into()).into_option()?;
        Some(Buf::of(value))
    });
    let (answer, value) = match found {
        Some(value) => (1, value),
        None => (0, Buf::EMPTY),
    };
    // SAFETY: the plugin says that a buffer's table is there, and it is not NULL.
    // JUSTIFICATION: C gets results through addresses.
    unsafe { out.write(value) };
    answer
}

/// [`serve`] for what cannot be copied.
fn serve_owned<T>(host: *const HostTable, service: impl FnOnce(&'static CHost) -> Option<T>) -> Option<T> {
    let mut found = None;
    serve(host, (), |host| found = service(host));
    found
}

extern "C" fn set_attr(host: *const HostTable, call: CallId, name: Borrowed, value: Borrowed) -> i32 {
    serve(host, 0, |host| {
        let Some(request) = host.calls.request(call) else {
            return 0;
        };
        let value = value.bytes(MAX_VALUE).to_vec();
        i32::from(request.set_attr(name.text(MAX_NAME).as_str().into(), value.into()))
    })
}

/// The answer at an address; an empty one of its size if that is too small to be one.
fn read(answer: *const Answer) -> Option<Answer> {
    if answer.is_null() {
        return None;
    }
    // SAFETY: the plugin says that an answer is there, which begins with its size.
    // JUSTIFICATION: C passes tables by their addresses.
    let said = unsafe { (&raw const (*answer).size).read() };
    if said < size::<Answer>() {
        return Some(Answer {
            size: said,
            ..Answer::default()
        });
    }
    // SAFETY: as above, and it is large enough; what it hands over is the peer's from here on.
    // JUSTIFICATION: as above.
    Some(unsafe { answer.read() })
}

extern "C" fn complete(host: *const HostTable, call: CallId, answer: *const Answer) -> i32 {
    serve(host, -1, |host| {
        if host.calls.complete(call, read(answer)) {
            return 0;
        }
        warn!(
            plugin = host.name,
            call, "plugin completed a call that is over or never was"
        );
        -1
    })
}

extern "C" fn wanted(host: *const HostTable, call: CallId) -> i32 {
    serve(host, 0, |host| i32::from(host.calls.is_wanted(call)))
}
