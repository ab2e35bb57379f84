//! The watchdog over plugins that run on the peer's own threads (`executor: inline`): such a thread cannot end a call that
//! blocks, nor does its timer run, so another thread has to notice.

use crate::current;
use parking_lot::Mutex;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Arc, Once, Weak};
use std::thread;
use std::time::Duration;
use tracing::{error, warn};

/// How often it looks.
const TICK: Duration = Duration::from_millis(100);
/// A call that keeps a thread for so many ticks is said to block it.
const PATIENCE: u32 = 10;

/// Time in ticks, for stamps that cost less than a look at the clock.
static NOW: AtomicU32 = AtomicU32::new(0);
static THREADS: Mutex<Vec<Weak<Seat>>> = Mutex::new(Vec::new());
static STARTED: Once = Once::new();

/// What one thread is doing.
#[derive(Debug, Default)]
struct Seat {
    /// Where the instance's name is; null outside of plugins.
    name: AtomicPtr<u8>,
    since: AtomicU32,
    /// The stamp of the call that has been reported.
    reported: AtomicU32,
}

thread_local! {
    static SEAT: Arc<Seat> = Seat::take();
}

impl Seat {
    fn take() -> Arc<Self> {
        STARTED.call_once(start);
        let seat = Arc::new(Self::default());
        let mut threads = THREADS.lock();
        // those of threads that have ended
        threads.retain(|seat| seat.strong_count() > 0);
        threads.push(Arc::downgrade(&seat));
        seat
    }

    /// For how many ticks the thread has been inside of a plugin that it has not been reported for yet.
    fn stuck(&self, now: u32) -> Option<(&'static str, u32)> {
        let name = self.name.load(Ordering::Relaxed);
        if name.is_null() {
            return None;
        }
        let since = self.since.load(Ordering::Relaxed);
        let ticks = now.wrapping_sub(since);
        let new = ticks >= PATIENCE && self.reported.swap(since, Ordering::Relaxed) != since;
        new.then(|| current::interned_at(name).map(|name| (name, ticks)))?
    }
}

fn start() {
    // stamp 0 is for "never reported"
    NOW.store(1, Ordering::Relaxed);
    let watch = || {
        loop {
            thread::park_timeout(TICK);
            look(NOW.fetch_add(1, Ordering::Relaxed).wrapping_add(1));
        }
    };
    let started = thread::Builder::new()
        .name("plugin-watchdog".to_owned())
        .spawn(watch);
    if let Err(error) = started {
        warn!(%error, "no watchdog: plugins that block the peer's threads go unnoticed");
    }
}

fn look(now: u32) {
    let seats: Vec<_> = THREADS.lock().iter().filter_map(Weak::upgrade).collect();
    for (plugin, ticks) in seats.iter().filter_map(|seat| seat.stuck(now)) {
        let milliseconds = u64::from(ticks) * u64::try_from(TICK.as_millis()).unwrap_or_default();
        error!(
            plugin,
            milliseconds, "plugin blocks a thread of the peer: let it run with executor: isolated"
        );
    }
}

/// Runs a call of the plugin with this interned name under the watchdog's eyes.
pub(crate) fn watched<T>(name: &'static str, call: impl FnOnce() -> T) -> T {
    SEAT.with(|seat| {
        seat.since.store(NOW.load(Ordering::Relaxed), Ordering::Relaxed);
        seat.name.store(name.as_ptr().cast_mut(), Ordering::Relaxed);
        let _leave = Leave(seat);
        call()
    })
}

struct Leave<'a>(&'a Seat);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.name.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_reported_once_when_it_has_lasted() {
        let name = current::intern("slow one");
        let seat = Seat::default();
        assert_eq!(seat.stuck(100), None, "outside");
        seat.since.store(50, Ordering::Relaxed);
        seat.name.store(name.as_ptr().cast_mut(), Ordering::Relaxed);
        assert_eq!(seat.stuck(50 + PATIENCE - 1), None, "not yet");
        assert_eq!(seat.stuck(50 + PATIENCE), Some(("slow one", PATIENCE)));
        assert_eq!(seat.stuck(50 + PATIENCE + 1), None, "known");
        seat.since.store(80, Ordering::Relaxed);
        assert_eq!(
            seat.stuck(80 + PATIENCE),
            Some(("slow one", PATIENCE)),
            "the next"
        );
    }

    #[test]
    fn a_thread_that_has_ended_leaves_its_seat() {
        let name = current::intern("brief");
        let of = |here: bool| {
            let threads = THREADS.lock();
            let seats = threads.iter().filter_map(Weak::upgrade);
            let named = seats.filter(|seat| ptr::eq(seat.name.load(Ordering::Relaxed), name.as_ptr()));
            named.count() == usize::from(here)
        };
        thread::spawn(move || {
            watched(name, || assert!(of(true)));
            assert!(of(false));
        })
        .join()
        .unwrap();
    }
}
