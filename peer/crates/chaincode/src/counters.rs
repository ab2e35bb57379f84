//! What has happened, in numbers, for metrics and tests.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts events of chaincode support.
#[derive(Default)]
pub(crate) struct Counters {
    launches: AtomicU64,
    launch_failures: AtomicU64,
    execute_timeouts: AtomicU64,
}

/// A reading of the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Launches begun; callers that joined a launch do not count.
    pub launches: u64,
    /// Launches that failed.
    pub launch_failures: u64,
    /// Executions that timed out.
    pub execute_timeouts: u64,
}

impl Counters {
    pub fn launch(&self) {
        self.launches.fetch_add(1, Ordering::Relaxed);
    }

    pub fn launch_failure(&self) {
        self.launch_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub fn execute_timeout(&self) {
        self.execute_timeouts.fetch_add(1, Ordering::Relaxed);
    }

    pub fn read(&self) -> Counted {
        Counted {
            launches: self.launches.load(Ordering::Relaxed),
            launch_failures: self.launch_failures.load(Ordering::Relaxed),
            execute_timeouts: self.execute_timeouts.load(Ordering::Relaxed),
        }
    }
}
