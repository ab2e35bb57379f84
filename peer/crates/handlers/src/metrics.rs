//! What is measured of plugin calls, and the values that plugins keep themselves.

use crate::kind::Kind;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tracing::warn;

/// How many different label sets one instance may make; further ones are dropped.
const MAX_SERIES: usize = 1000;
/// Longest name of a plugin's own metric or label, in bytes; longer ones are dropped.
const MAX_NAME: usize = 100;
/// Longest value of a plugin's label, in bytes; longer ones are dropped.
const MAX_VALUE: usize = 200;
/// Most labels of a plugin's own metric.
pub(crate) const MAX_LABELS: usize = 16;
/// A poll that takes longer keeps a thread from others: the plugin blocks where it should wait.
const SLOW_POLL: Duration = Duration::from_millis(50);

/// Calls of one instance.
pub(crate) struct Counters {
    instance: &'static str,
    done: AtomicU64,
    errors: AtomicU64,
    panics: AtomicU64,
    timeouts: AtomicU64,
    undecided: AtomicU64,
    refused: AtomicU64,
    calls: Durations,
    polls: Durations,
}

/// How many, and how long together.
#[derive(Default)]
struct Durations {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Durations {
    fn add(&self, took: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    fn snapshot(&self) -> Timing {
        Timing {
            count: self.count.load(Ordering::Relaxed),
            seconds: Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64(),
        }
    }
}

/// How many calls or polls there were, and how long they took together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Timing {
    /// How many.
    pub count: u64,
    /// How long they took together.
    pub seconds: f64,
}

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Done,
    Error,
    Panic,
    Timeout,
    /// Nobody waited for it any longer, before the plugin was late.
    Undecided,
    /// Not called: breaker open, given up, or too many calls at once.
    Refused,
}

/// What an instance is like now.
pub(crate) struct Health {
    pub(crate) breaker_open: bool,
    pub(crate) stuck: usize,
    pub(crate) failed: bool,
}

impl Counters {
    pub(crate) fn new(instance: &'static str) -> Self {
        Self {
            instance,
            done: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            undecided: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            calls: Durations::default(),
            polls: Durations::default(),
        }
    }

    pub(crate) fn instance(&self) -> &'static str {
        self.instance
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        self.of(outcome).fetch_add(1, Ordering::Relaxed);
    }

    /// A call that was made has ended.
    pub(crate) fn ended(&self, outcome: Outcome, took: Duration) {
        self.count(outcome);
        self.calls.add(took);
    }

    pub(crate) fn polled(&self, took: Duration) {
        self.polls.add(took);
        if took > SLOW_POLL {
            let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            warn!(plugin = self.instance, milliseconds, "plugin blocks its thread");
        }
    }

    fn of(&self, outcome: Outcome) -> &AtomicU64 {
        match outcome {
            Outcome::Done => &self.done,
            Outcome::Error => &self.errors,
            Outcome::Panic => &self.panics,
            Outcome::Timeout => &self.timeouts,
            Outcome::Undecided => &self.undecided,
            Outcome::Refused => &self.refused,
        }
    }

    pub(crate) fn snapshot(&self, kind: Kind, health: Health) -> PluginStats {
        let read = |outcome| self.of(outcome).load(Ordering::Relaxed);
        let made = [
            Outcome::Done,
            Outcome::Error,
            Outcome::Panic,
            Outcome::Timeout,
            Outcome::Undecided,
        ];
        let refused = read(Outcome::Refused);
        PluginStats {
            instance: self.instance.to_owned(),
            kind,
            calls: made.into_iter().map(read).fold(refused, u64::saturating_add),
            errors: read(Outcome::Error),
            panics: read(Outcome::Panic),
            timeouts: read(Outcome::Timeout),
            undecided: read(Outcome::Undecided),
            refused,
            breaker_open: health.breaker_open,
            stuck: health.stuck,
            failed: health.failed,
            call: self.calls.snapshot(),
            poll: self.polls.snapshot(),
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
    /// Calls that the plugin answered with an error.
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
    /// The calls that were made, with all waiting in them.
    pub call: Timing,
    /// The time that futures of the plugin held a thread.
    pub poll: Timing,
}

impl PluginStats {
    /// The same as metrics.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let metric = |name: &str, result: Option<&str>, count: u64, sum: f64| {
            let labels = [("instance", self.instance.as_str()), ("kind", self.kind.key())]
                .into_iter()
                .chain(result.map(|result| ("result", result)));
            Metric {
                name: name.to_owned(),
                labels: labels
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                count,
                sum,
            }
        };
        let failures = [
            ("error", self.errors),
            ("panic", self.panics),
            ("timeout", self.timeouts),
            ("undecided", self.undecided),
            ("refused", self.refused),
        ];
        let failed = failures.iter().map(|(_, calls)| *calls).sum();
        let calls = [("ok", self.calls.saturating_sub(failed))]
            .into_iter()
            .chain(failures)
            .map(|(result, calls)| metric("plugin_calls_total", Some(result), calls, count(calls)));
        let stuck = u64::try_from(self.stuck).unwrap_or(u64::MAX);
        calls
            .chain([
                metric("plugin_call_seconds", None, self.call.count, self.call.seconds),
                metric("plugin_poll_seconds", None, self.poll.count, self.poll.seconds),
                metric("plugin_breaker_open", None, 1, count(self.breaker_open.into())),
                metric("plugin_stuck", None, 1, count(stuck)),
                metric("plugin_failed", None, 1, count(self.failed.into())),
            ])
            .collect()
    }
}

/// As a number of Prometheus: exact up to 2^53.
pub(crate) fn count(value: u64) -> f64 {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).map_or(0.0, f64::from);
    half(value >> 32) * 4_294_967_296.0 + half(value)
}

/// A measured value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// `plugin_…` of the peer, `plugin_<instance>_<name>` of a plugin.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// How many values were recorded.
    pub count: u64,
    /// Their sum; of a counter, the counter.
    pub sum: f64,
}

type Labels = BTreeMap<String, String>;
type Series = BTreeMap<(String, Labels), (u64, f64)>;

/// The values that a registry's instances keep through their host.
#[derive(Default, Debug)]
pub(crate) struct PluginMetrics(Mutex<BTreeMap<&'static str, OfInstance>>);

#[derive(Default, Debug)]
struct OfInstance {
    series: Series,
    dropped: bool,
}

impl PluginMetrics {
    pub(crate) fn record(&self, instance: &'static str, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut instances = self.0.lock();
        let of_instance = instances.entry(instance).or_default();
        if fits(name, labels) && value.is_finite() && of_instance.add(name, labels, value) {
            return;
        }
        let first = !std::mem::replace(&mut of_instance.dropped, true);
        drop(instances);
        if first {
            warn!(
                plugin = instance,
                "values of a plugin exceed the limits and are dropped"
            );
        }
    }

    pub(crate) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        self.0.lock().retain(|instance, _| is_there(instance));
    }

    pub(crate) fn snapshot(&self) -> Vec<Metric> {
        let instances = self.0.lock();
        let series = instances
            .iter()
            .flat_map(|(instance, of)| of.series.iter().map(move |one| (instance, one)));
        let metrics = series.map(|(instance, ((name, labels), (count, sum)))| Metric {
            name: format!("plugin_{instance}_{name}"),
            labels: labels.clone(),
            count: *count,
            sum: *sum,
        });
        metrics.collect()
    }
}

fn fits(name: &str, labels: &[(&str, &str)]) -> bool {
    name.len() <= MAX_NAME
        && labels.len() <= MAX_LABELS
        && labels
            .iter()
            .all(|(name, value)| name.len() <= MAX_NAME && value.len() <= MAX_VALUE)
}

impl OfInstance {
    /// False when there are too many already.
    fn add(&mut self, name: &str, labels: &[(&str, &str)], value: f64) -> bool {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let key = (name.to_owned(), labels.collect());
        if self.series.len() >= MAX_SERIES && !self.series.contains_key(&key) {
            return false;
        }
        let (count, sum) = self.series.entry(key).or_default();
        *count = count.saturating_add(1);
        *sum += value;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instance_cannot_take_the_place_of_others() {
        let metrics = PluginMetrics::default();
        for number in 0..=MAX_SERIES {
            let value = number.to_string();
            metrics.record("greedy", "seen", &[("n", &value)], 1.0);
        }
        metrics.record("greedy", "seen", &[("n", "0")], 1.0);
        metrics.record("modest", "seen", &[], 1.0);
        let seen = metrics.snapshot();
        assert_eq!(seen.len(), MAX_SERIES + 1);
        assert_eq!((seen[0].count, seen[0].sum), (2, 2.0), "what is there goes on");
        assert_eq!(seen[MAX_SERIES].name, "plugin_modest_seen");
    }

    #[test]
    fn names_labels_and_values_have_limits() {
        let metrics = PluginMetrics::default();
        let long = "x".repeat(MAX_VALUE + 1);
        metrics.record("i", &long, &[], 1.0);
        metrics.record("i", "a", &[(&long, "b")], 1.0);
        metrics.record("i", "a", &[("b", &long)], 1.0);
        metrics.record("i", "a", &[("b", "c"); MAX_LABELS + 1], 1.0);
        metrics.record("i", "a", &[], f64::NAN);
        assert_eq!(metrics.snapshot(), []);
        metrics.record("i", &long[..MAX_NAME], &[("b", &long[..MAX_VALUE])], 1.0);
        assert_eq!(metrics.snapshot().len(), 1);
    }

    #[test]
    fn calls_and_polls_are_timed() {
        let counters = Counters::new("i");
        counters.ended(Outcome::Done, Duration::from_millis(1500));
        counters.ended(Outcome::Error, Duration::from_millis(500));
        counters.polled(Duration::from_millis(250));
        counters.count(Outcome::Refused);
        let health = Health {
            breaker_open: false,
            stuck: 2,
            failed: true,
        };
        let metrics = counters.snapshot(Kind::Decorator, health).metrics();
        let of = |name: &str, result: Option<&str>| {
            let wanted = metrics.iter().find(|metric| {
                metric.name == name && metric.labels.get("result").map(String::as_str) == result
            });
            wanted.map(|metric| (metric.count, metric.sum))
        };
        assert_eq!(of("plugin_call_seconds", None), Some((2, 2.0)));
        assert_eq!(of("plugin_poll_seconds", None), Some((1, 0.25)));
        assert_eq!(of("plugin_calls_total", Some("ok")), Some((1, 1.0)));
        assert_eq!(of("plugin_calls_total", Some("refused")), Some((1, 1.0)));
        assert_eq!(of("plugin_stuck", None), Some((1, 2.0)));
        assert_eq!(of("plugin_failed", None), Some((1, 1.0)));
        assert_eq!(metrics[0].labels["kind"], "decorators");
    }
}
