//! The list of what a plugin did not do.

use crate::check::Outcome;
use handlers::Registry;

#[derive(Default)]
pub(crate) struct Promises {
    broken: Vec<String>,
}

impl Promises {
    pub(crate) fn check(&mut self, kept: bool, promise: impl Into<String>) {
        if !kept {
            self.broken.push(promise.into());
        }
    }

    /// No call of these instances panicked or hung.
    pub(crate) fn check_stats(&mut self, registry: &Registry, when: &str) {
        for stats in registry.stats() {
            self.check(
                stats.panics == 0,
                format!("does not panic {when} ({} did)", stats.panics),
            );
            self.check(
                stats.timeouts == 0,
                format!("answers in time {when} ({} did not)", stats.timeouts),
            );
            self.check(stats.refused == 0, format!("stays available {when}"));
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        if self.broken.is_empty() {
            Outcome::Passed
        } else {
            Outcome::Failed
        }
    }

    /// Each once, in order.
    pub(crate) fn broken(self) -> Vec<String> {
        let mut broken = self.broken;
        broken.dedup();
        broken
    }
}
