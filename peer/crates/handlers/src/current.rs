//! Which plugin this thread is inside of, so that log lines (and a crash) can be attributed.

use crate::metrics::Counters;
use crate::watchdog::watched;
use futures::FutureExt;
use parking_lot::Mutex;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

thread_local! {
    static CURRENT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// The name for ever: there are few, and a crash handler must not touch freed memory.
pub(crate) fn intern(name: &str) -> &'static str {
    let mut names = NAMES.lock();
    if let Some(known) = names.get(name) {
        return known;
    }
    let leaked: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(leaked);
    leaked
}

/// The name whose text begins there, if it is one.
pub(crate) fn interned_at(text: *const u8) -> Option<&'static str> {
    let names = NAMES.lock();
    names
        .iter()
        .find(|name| std::ptr::eq(name.as_ptr(), text))
        .copied()
}

/// The instance whose code this thread is running.
pub(crate) fn current() -> Option<&'static str> {
    CURRENT.get()
}

struct Restore(Option<&'static str>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Runs `call` as instance `name`.
pub(crate) fn inside<T>(name: &'static str, call: impl FnOnce() -> T) -> T {
    let _restore = Restore(CURRENT.replace(Some(name)));
    call()
}

/// Polls a plugin's future as its instance, with the clock running; `None` when it panicked past its own fence.
pub(crate) struct Inside<F> {
    counters: Arc<Counters>,
    /// Whether it runs on the peer's own threads.
    inline: bool,
    last_poll: Duration,
    future: futures::future::CatchUnwind<AssertUnwindSafe<F>>,
}

impl<F: Future + Unpin> Inside<F> {
    pub(crate) fn new(counters: Arc<Counters>, inline: bool, future: F) -> Self {
        Self {
            counters,
            inline,
            last_poll: Duration::ZERO,
            future: AssertUnwindSafe(future).catch_unwind(),
        }
    }
}

impl<F> Inside<F> {
    /// How long the last poll took.
    pub(crate) fn last_poll(&self) -> Duration {
        self.last_poll
    }
}

impl<F: Future + Unpin> Future for Inside<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let started = Instant::now();
        let name = self.counters.instance();
        let inline = self.inline;
        let mut poll = || inside(name, || self.future.poll_unpin(context).map(Result::ok));
        let polled = if inline { watched(name, poll) } else { poll() };
        self.last_poll = started.elapsed();
        self.counters.polled(self.last_poll);
        polled
    }
}
