//! What is measured of plugin calls.

use crate::histogram::{Distribution, Histogram};
use crate::hook::Hook;
use crate::kind::Kind;
use crate::metric::{Metric, MetricValue, count};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tracing::warn;

/// A poll that takes longer keeps a thread from others: the plugin blocks where it should wait.
const SLOW_POLL: Duration = Duration::from_millis(50);

/// Calls of one instance.
pub(crate) struct Counters {
    instance: &'static str,
    /// In the order of the kind's hooks.
    hooks: Vec<OfHook>,
    polls: Histogram,
}

/// Calls of one hook.
struct OfHook {
    hook: Hook,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    calls: Histogram,
}

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Done,
    /// Refused on purpose: the request is to blame, not the plugin.
    Denied,
    Error,
    Panic,
    Timeout,
    /// Nobody waited for it any longer, before the plugin was late.
    Undecided,
    /// Not called: breaker open, given up, or too many calls at once.
    Refused,
}

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Done,
        Self::Denied,
        Self::Error,
        Self::Panic,
        Self::Timeout,
        Self::Undecided,
        Self::Refused,
    ];

    /// The value of the label `result`.
    fn name(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Denied => "denied",
            Self::Error => "error",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::Undecided => "undecided",
            Self::Refused => "refused",
        }
    }
}

/// What an instance is like now.
pub(crate) struct Health {
    pub(crate) breaker_open: bool,
    pub(crate) stuck: usize,
    pub(crate) failed: bool,
}

impl OfHook {
    fn new(hook: Hook) -> Self {
        Self {
            hook,
            outcomes: Default::default(),
            calls: Histogram::default(),
        }
    }

    fn count(&self, outcome: Outcome) {
        if let Some(counter) = self.outcomes.get(outcome as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn snapshot(&self) -> HookStats {
        let outcomes = Outcome::ALL.into_iter().zip(&self.outcomes);
        let outcomes = outcomes.map(|(outcome, counter)| (outcome.name(), counter.load(Ordering::Relaxed)));
        HookStats {
            hook: self.hook,
            results: outcomes.collect(),
            call: self.calls.snapshot(),
        }
    }
}

impl Counters {
    pub(crate) fn new(instance: &'static str, kind: Kind) -> Self {
        Self {
            instance,
            hooks: Hook::of(kind).iter().copied().map(OfHook::new).collect(),
            polls: Histogram::default(),
        }
    }

    pub(crate) fn instance(&self) -> &'static str {
        self.instance
    }

    fn of(&self, hook: Hook) -> Option<&OfHook> {
        self.hooks.iter().find(|of| of.hook == hook)
    }

    /// A call was not made.
    pub(crate) fn refused(&self, hook: Hook) {
        if let Some(of) = self.of(hook) {
            of.count(Outcome::Refused);
        }
    }

    /// A call that was made has ended.
    pub(crate) fn ended(&self, hook: Hook, outcome: Outcome, took: Duration) {
        if let Some(of) = self.of(hook) {
            of.count(outcome);
            of.calls.add(took);
        }
    }

    pub(crate) fn polled(&self, took: Duration) {
        self.polls.add(took);
        if took > SLOW_POLL {
            let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            warn!(plugin = self.instance, milliseconds, "plugin blocks its thread");
        }
    }

    pub(crate) fn snapshot(&self, kind: Kind, health: Health) -> PluginStats {
        let hooks: Vec<HookStats> = self.hooks.iter().map(OfHook::snapshot).collect();
        let all = |outcome: Outcome| {
            let of_hooks = hooks.iter().filter_map(|of| of.results.get(outcome.name()));
            of_hooks.fold(0, |sum: u64, calls| sum.saturating_add(*calls))
        };
        let call = hooks
            .iter()
            .fold(Distribution::default(), |sum, of| sum.and(&of.call));
        PluginStats {
            instance: self.instance.to_owned(),
            kind,
            calls: Outcome::ALL.into_iter().map(all).fold(0, u64::saturating_add),
            denials: all(Outcome::Denied),
            errors: all(Outcome::Error),
            panics: all(Outcome::Panic),
            timeouts: all(Outcome::Timeout),
            undecided: all(Outcome::Undecided),
            refused: all(Outcome::Refused),
            breaker_open: health.breaker_open,
            stuck: health.stuck,
            failed: health.failed,
            call,
            poll: self.polls.snapshot(),
            hooks,
        }
    }
}

/// How an instance fares.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginStats {
    /// The instance's name.
    pub instance: String,
    /// What it is.
    pub kind: Kind,
    /// Calls of hooks.
    pub calls: u64,
    /// Calls that the plugin refused on purpose: a filter says no, a platform finds a package faulty.
    pub denials: u64,
    /// Calls that the plugin answered with any other error.
    pub errors: u64,
    /// Calls that panicked.
    pub panics: u64,
    /// Calls that took longer than the plugin's own deadline.
    pub timeouts: u64,
    /// Calls whose client stopped waiting before that.
    pub undecided: u64,
    /// Calls that were not made: the breaker was open, the instance given up, or too many were under way.
    pub refused: u64,
    /// Whether calls are refused for now.
    pub breaker_open: bool,
    /// Calls that were given up and still occupy a thread.
    pub stuck: usize,
    /// Whether the instance is given up until the next reload.
    pub failed: bool,
    /// The calls that were made, with all waiting in them, in seconds.
    pub call: Distribution,
    /// The time that futures of the plugin held a thread, in seconds.
    pub poll: Distribution,
    /// The same calls by hook.
    pub hooks: Vec<HookStats>,
}

/// How one hook of an instance fares.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookStats {
    /// The hook.
    pub hook: Hook,
    /// Calls by result: `ok`, `denied`, `error`, `panic`, `timeout`, `undecided`, `refused`.
    pub results: BTreeMap<&'static str, u64>,
    /// The calls that were made, with all waiting in them, in seconds.
    pub call: Distribution,
}

impl PluginStats {
    /// The same as metrics.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        let mut add = |name: &str, help, further: &[(&str, &str)], value| {
            let own = [("instance", self.instance.as_str()), ("kind", self.kind.key())];
            metrics.push(Metric::new(name, help, own.iter().chain(further), value));
        };
        for of in &self.hooks {
            let hook = ("hook", of.hook.name());
            for (result, calls) in &of.results {
                let value = MetricValue::Counter(count(*calls));
                add(
                    "plugin_calls_total",
                    "Calls of hooks.",
                    &[hook, ("result", result)],
                    value,
                );
            }
            let value = MetricValue::Histogram(of.call.clone());
            let help = "How long calls took that were made, with all waiting in them.";
            add("plugin_call_seconds", help, &[hook], value);
        }
        let value = MetricValue::Histogram(self.poll.clone());
        add(
            "plugin_poll_seconds",
            "How long futures of the plugin held a thread.",
            &[],
            value,
        );
        let stuck = u64::try_from(self.stuck).unwrap_or(u64::MAX);
        let gauges = [
            (
                "plugin_breaker_open",
                "Whether calls are refused for now.",
                self.breaker_open.into(),
            ),
            (
                "plugin_stuck",
                "Calls that were given up and still occupy a thread.",
                stuck,
            ),
            (
                "plugin_failed",
                "Whether the instance is given up until the next reload.",
                self.failed.into(),
            ),
        ];
        for (name, help, value) in gauges {
            add(name, help, &[], MetricValue::Gauge(count(value)));
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_polls_are_counted_by_hook_and_timed() {
        let counters = Counters::new("i", Kind::AuthFilter);
        counters.ended(Hook::Before, Outcome::Done, Duration::from_millis(1500));
        counters.ended(Hook::Before, Outcome::Denied, Duration::from_millis(250));
        counters.ended(Hook::After, Outcome::Error, Duration::from_millis(250));
        counters.polled(Duration::from_millis(250));
        counters.refused(Hook::After);
        // a hook of another kind is none of this instance
        counters.refused(Hook::Decorate);
        let health = Health {
            breaker_open: false,
            stuck: 2,
            failed: true,
        };
        let stats = counters.snapshot(Kind::AuthFilter, health);
        assert_eq!(
            (
                stats.calls,
                stats.denials,
                stats.errors,
                stats.refused,
                stats.panics
            ),
            (4, 1, 1, 1, 0)
        );
        assert_eq!((stats.call.count, stats.call.sum), (3, 2.0));
        let metrics = stats.metrics();
        let of = |name: &str, labels: &[(&str, &str)]| {
            let wanted = metrics.iter().filter(|metric| {
                let has = |(key, value): &(&str, &str)| metric.labels.get(*key).is_some_and(|v| v == value);
                metric.name == name && labels.iter().all(has)
            });
            wanted.map(|metric| metric.value.total()).sum::<f64>()
        };
        let calls = "plugin_calls_total";
        assert_eq!(of(calls, &[]), 4.0);
        assert_eq!(of(calls, &[("hook", "before"), ("result", "ok")]), 1.0);
        assert_eq!(of(calls, &[("hook", "before"), ("result", "denied")]), 1.0);
        assert_eq!(of(calls, &[("hook", "after"), ("result", "refused")]), 1.0);
        assert_eq!(of("plugin_call_seconds", &[("hook", "before")]), 1.75);
        assert_eq!(of("plugin_call_seconds", &[("hook", "after")]), 0.25);
        assert_eq!(of("plugin_poll_seconds", &[]), 0.25);
        assert_eq!((of("plugin_stuck", &[]), of("plugin_failed", &[])), (2.0, 1.0));
        assert!(
            metrics
                .iter()
                .all(|metric| metric.labels["kind"] == "authFilters")
        );
        let json = serde_json::to_value(&stats).unwrap();
        assert_eq!(json["hooks"][0]["results"]["denied"], 1);
        assert_eq!(json["call"]["buckets"].as_array().unwrap().len(), 16);
    }

    #[test]
    fn the_place_of_an_outcome_is_its_number() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
    }
}
