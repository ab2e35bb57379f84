//! [`Breaker`]: after a row of timeouts and panics a plugin is left alone for a while.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row that open the breaker.
pub(crate) const FAILURES: u32 = 5;
/// How long it stays open before one call may try again.
pub(crate) const OPEN: Duration = Duration::from_secs(10);

/// Counts failures in a row. Free of cost as long as there are none.
#[derive(Default)]
pub(crate) struct Breaker {
    touched: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
    /// Whether a probe is under way.
    probing: bool,
}

/// What a failure does to the breaker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// One in a row that is not long enough yet.
    Counted,
    /// The last one of the row.
    Opens,
    /// One more, of a probe or of a call that was under way.
    StaysOpen,
}

impl Breaker {
    /// Whether a call may be made now. While open, one call every ten seconds may.
    pub(crate) fn admits(&self) -> bool {
        if !self.touched.load(Ordering::Relaxed) {
            return true;
        }
        let mut state = self.state.lock();
        let now = Instant::now();
        match state.open_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                // this call is the probe; others wait for its result
                state.open_until = Some(now + OPEN);
                state.probing = true;
                true
            }
        }
    }

    pub(crate) fn succeeded(&self) {
        if self.touched.load(Ordering::Relaxed) {
            *self.state.lock() = State::default();
            self.touched.store(false, Ordering::Relaxed);
        }
    }

    /// Takes a call back that ended without saying anything about the plugin: it was not the probe.
    pub(crate) fn undecided(&self) {
        if self.touched.load(Ordering::Relaxed) {
            let mut state = self.state.lock();
            if state.open_until.is_some() && state.probing {
                state.open_until = Some(Instant::now());
                state.probing = false;
            }
        }
    }

    /// Counts a failure.
    pub(crate) fn failed(&self) -> Failure {
        let mut state = self.state.lock();
        self.touched.store(true, Ordering::Relaxed);
        state.failures = state.failures.saturating_add(1);
        state.probing = false;
        if state.failures < FAILURES {
            return Failure::Counted;
        }
        match state.open_until.replace(Instant::now() + OPEN) {
            None => Failure::Opens,
            Some(_) => Failure::StaysOpen,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.touched.load(Ordering::Relaxed) && self.state.lock().open_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn opens_after_five_failures_and_lets_one_probe_through() {
        let breaker = Breaker::default();
        for _ in 1..FAILURES {
            assert_eq!(breaker.failed(), Failure::Counted);
            assert!(breaker.admits());
        }
        assert_eq!(breaker.failed(), Failure::Opens);
        assert!(!breaker.admits());
        tokio::time::advance(OPEN).await;
        assert!(breaker.admits());
        assert!(!breaker.admits(), "only one probe");
        breaker.succeeded();
        assert!(breaker.admits());
        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_says_nothing_lets_the_next_call_try() {
        let breaker = Breaker::default();
        for _ in 0..FAILURES {
            breaker.failed();
        }
        breaker.undecided();
        assert!(!breaker.admits(), "it was no probe");
        tokio::time::advance(OPEN).await;
        assert!(breaker.admits());
        breaker.undecided();
        assert!(breaker.admits(), "nobody knows more than before");
        assert_eq!(breaker.failed(), Failure::StaysOpen);
        breaker.undecided();
        assert!(!breaker.admits());
    }

    #[test]
    fn a_success_in_between_starts_the_count_again() {
        let breaker = Breaker::default();
        for _ in 0..3 * FAILURES {
            assert_eq!(breaker.failed(), Failure::Counted);
            breaker.succeeded();
        }
        assert!(breaker.admits());
    }
}
