//! Counters of plugin calls, and those that plugins keep themselves.

use parking_lot::Mutex;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many different label sets one plugin library may make; further ones are dropped.
const MAX_SERIES: usize = 1000;

/// Calls of one instance.
#[derive(Default)]
pub(crate) struct Counters {
    calls: AtomicU64,
    errors: AtomicU64,
    panics: AtomicU64,
    timeouts: AtomicU64,
    refused: AtomicU64,
}

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Done,
    Error,
    Panic,
    Timeout,
    /// Not called: breaker open, or too many calls at once.
    Refused,
}

impl Counters {
    pub(crate) fn count(&self, outcome: Outcome) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let counter = match outcome {
            Outcome::Done => return,
            Outcome::Error => &self.errors,
            Outcome::Panic => &self.panics,
            Outcome::Timeout => &self.timeouts,
            Outcome::Refused => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self, instance: &str, breaker_open: bool, stuck: usize) -> PluginStats {
        PluginStats {
            instance: instance.to_owned(),
            calls: self.calls.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            panics: self.panics.load(Ordering::Relaxed),
            timeouts: self.timeouts.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            breaker_open,
            stuck,
        }
    }
}

/// How an instance fares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginStats {
    /// The instance's name.
    pub instance: String,
    /// Calls of hooks.
    pub calls: u64,
    /// Calls that the plugin answered with an error.
    pub errors: u64,
    /// Calls that panicked.
    pub panics: u64,
    /// Calls that took too long.
    pub timeouts: u64,
    /// Calls that were not made, because the breaker was open or too many were under way.
    pub refused: u64,
    /// Whether calls are refused for now.
    pub breaker_open: bool,
    /// Calls that were given up and have not ended yet.
    pub stuck: usize,
}

/// A value that a plugin keeps through its host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// `plugin_<instance>_<name>`.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// How many values were recorded.
    pub count: u64,
    /// Their sum; of a counter, the counter.
    pub sum: f64,
}

type Series = (String, BTreeMap<String, String>);

/// The values of a registry's instances.
#[derive(Default, Debug)]
pub(crate) struct PluginMetrics(Mutex<BTreeMap<Series, (u64, f64)>>);

impl PluginMetrics {
    pub(crate) fn record(&self, name: String, labels: BTreeMap<String, String>, value: f64) {
        let mut series = self.0.lock();
        let full = series.len() >= MAX_SERIES;
        let key = (name, labels);
        if full && !series.contains_key(&key) {
            return;
        }
        let (count, sum) = series.entry(key).or_default();
        *count = count.saturating_add(1);
        *sum += value;
    }

    pub(crate) fn snapshot(&self) -> Vec<Metric> {
        let series = self.0.lock();
        let metrics = series.iter().map(|((name, labels), (count, sum))| Metric {
            name: name.clone(),
            labels: labels.clone(),
            count: *count,
            sum: *sum,
        });
        metrics.collect()
    }
}
