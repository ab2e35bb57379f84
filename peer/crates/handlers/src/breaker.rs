//! [`Breaker`]: a plugin that keeps panicking or missing its deadline is left alone for a while.

use crate::config::Quarantine;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Counts failures, and successes from the first failure on. Free of cost as long as there are none.
pub(crate) struct Breaker {
    limits: Limits,
    touched: AtomicBool,
    state: Mutex<State>,
}

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    /// So many within the window open it.
    failures: u32,
    window: Duration,
    open: Duration,
}

impl From<Quarantine> for Limits {
    fn from(quarantine: Quarantine) -> Self {
        Self {
            failures: quarantine.failures.max(1),
            window: Duration::from_millis(quarantine.window_ms),
            open: Duration::from_millis(quarantine.open_ms),
        }
    }
}

#[derive(Default)]
struct State {
    /// When the first failure of the window was.
    since: Option<Instant>,
    failures: u32,
    successes: u32,
    open_until: Option<Instant>,
    /// Whether a probe is under way.
    probing: bool,
}

/// What a failure does to the breaker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// One that is not enough.
    Counted,
    /// The last one that was missing.
    Opens,
    /// One more, of a probe or of a call that was under way.
    StaysOpen,
}

impl Breaker {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            touched: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Whether a call may be made now. While open, one call may each time that the pause has passed.
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
                state.open_until = Some(now + self.limits.open);
                state.probing = true;
                true
            }
        }
    }

    pub(crate) fn succeeded(&self) {
        if !self.touched.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        if state.open_until.is_some() {
            // calls that were under way when it opened say nothing new
            if !state.probing {
                return;
            }
            *state = State::default();
        } else if self.over(&state) {
            *state = State::default();
        } else {
            state.successes = state.successes.saturating_add(1);
            return;
        }
        self.touched.store(false, Ordering::Relaxed);
    }

    fn over(&self, state: &State) -> bool {
        state
            .since
            .is_none_or(|since| since.elapsed() >= self.limits.window)
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
        state.probing = false;
        if state.open_until.is_some() {
            state.open_until = Some(Instant::now() + self.limits.open);
            return Failure::StaysOpen;
        }
        if self.over(&state) {
            *state = State {
                since: Some(Instant::now()),
                ..State::default()
            };
        }
        state.failures = state.failures.saturating_add(1);
        // whoever can make a plugin fail must not be able to switch it off for those that it serves well
        if state.failures < self.limits.failures || state.failures < state.successes {
            return Failure::Counted;
        }
        state.open_until = Some(Instant::now() + self.limits.open);
        Failure::Opens
    }

    pub(crate) fn is_open(&self) -> bool {
        self.touched.load(Ordering::Relaxed) && self.state.lock().open_until.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        failures: 5,
        window: Duration::from_secs(30),
        open: Duration::from_secs(10),
    };

    #[tokio::test(start_paused = true)]
    async fn opens_after_five_failures_and_lets_one_probe_through() {
        let breaker = Breaker::new(LIMITS);
        for _ in 1..LIMITS.failures {
            assert_eq!(breaker.failed(), Failure::Counted);
            assert!(breaker.admits());
        }
        assert_eq!(breaker.failed(), Failure::Opens);
        assert!(!breaker.admits());
        breaker.succeeded();
        assert!(!breaker.admits(), "a call that was under way");
        tokio::time::advance(LIMITS.open).await;
        assert!(breaker.admits());
        assert!(!breaker.admits(), "only one probe");
        breaker.succeeded();
        assert!(breaker.admits());
        assert!(!breaker.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_says_nothing_lets_the_next_call_try() {
        let breaker = Breaker::new(LIMITS);
        for _ in 0..LIMITS.failures {
            breaker.failed();
        }
        breaker.undecided();
        assert!(!breaker.admits(), "it was no probe");
        tokio::time::advance(LIMITS.open).await;
        assert!(breaker.admits());
        breaker.undecided();
        assert!(breaker.admits(), "nobody knows more than before");
        assert_eq!(breaker.failed(), Failure::StaysOpen);
        breaker.undecided();
        assert!(!breaker.admits());
    }

    #[tokio::test(start_paused = true)]
    async fn only_failures_within_the_window_count() {
        let breaker = Breaker::new(LIMITS);
        for _ in 0..3 {
            for _ in 1..LIMITS.failures {
                assert_eq!(breaker.failed(), Failure::Counted);
            }
            tokio::time::advance(LIMITS.window).await;
        }
        breaker.succeeded();
        assert!(!breaker.touched.load(Ordering::Relaxed), "the window is over");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_open_it_also_with_successes_in_between_unless_most_calls_succeed() {
        let breaker = Breaker::new(LIMITS);
        for _ in 1..LIMITS.failures {
            assert_eq!(breaker.failed(), Failure::Counted);
            breaker.succeeded();
        }
        assert_eq!(breaker.failed(), Failure::Opens);
        let served = Breaker::new(LIMITS);
        for _ in 0..3 * LIMITS.failures {
            assert_eq!(served.failed(), Failure::Counted);
            served.succeeded();
            served.succeeded();
        }
    }
}
