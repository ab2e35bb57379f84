//! [`PluginMetrics`]: the values that plugins keep themselves, through their host.

use crate::histogram::{Bucket, Distribution};
use crate::metric::{Metric, MetricValue, count};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use tracing::warn;

/// How many different label sets one instance may make; further ones are dropped.
const MAX_SERIES: usize = 1000;
/// Longest name of a plugin's own metric or label, in bytes; longer ones are dropped.
const MAX_NAME: usize = 100;
/// Longest value of a plugin's label, in bytes; longer ones are dropped.
const MAX_VALUE: usize = 200;
/// Most labels of a plugin's own metric.
pub(crate) const MAX_LABELS: usize = 16;
/// Bounds for observed values: nobody knows their unit, so there is one for each power of ten.
const BOUNDS: [f64; 16] = [
    1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
];
/// Labels that the peer or Prometheus sets.
const RESERVED: [&str; 3] = ["instance", "le", "quantile"];

type Labels = BTreeMap<String, String>;

/// The values that a registry's instances keep.
#[derive(Default, Debug)]
pub(crate) struct PluginMetrics(Mutex<BTreeMap<&'static str, OfInstance>>);

#[derive(Default, Debug)]
struct OfInstance {
    series: BTreeMap<(String, Labels), Kept>,
    dropped: u64,
}

/// One series. What a name was first used for it stays.
#[derive(Debug)]
enum Kept {
    Counter(f64),
    Observed {
        /// By bucket, the last one for what is larger than all bounds.
        buckets: [u64; BOUNDS.len() + 1],
        sum: f64,
    },
}

/// What a plugin does to a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Add(f64),
    Observe(f64),
}

impl Change {
    fn value(self) -> f64 {
        match self {
            Self::Add(value) | Self::Observe(value) => value,
        }
    }

    fn begin(self) -> Kept {
        match self {
            Self::Add(_) => Kept::Counter(0.0),
            Self::Observe(_) => Kept::Observed {
                buckets: [0; BOUNDS.len() + 1],
                sum: 0.0,
            },
        }
    }
}

impl Kept {
    /// False when the name is in use for something else.
    fn change(&mut self, change: Change) -> bool {
        match (self, change) {
            (Self::Counter(counter), Change::Add(value)) => *counter += value,
            (Self::Observed { buckets, sum }, Change::Observe(value)) => {
                let index = BOUNDS.iter().position(|bound| value <= *bound);
                if let Some(bucket) = buckets.get_mut(index.unwrap_or(BOUNDS.len())) {
                    *bucket = bucket.saturating_add(1);
                }
                *sum += value;
            }
            _ => return false,
        }
        true
    }

    fn value(&self) -> MetricValue {
        match self {
            Self::Counter(counter) => MetricValue::Counter(*counter),
            Self::Observed { buckets, sum } => {
                let mut count = 0_u64;
                let mut cumulative = buckets.iter().map(|bucket| {
                    count = count.saturating_add(*bucket);
                    count
                });
                let bounded = BOUNDS.iter().zip(cumulative.by_ref());
                let buckets = bounded.map(|(le, count)| Bucket { le: *le, count }).collect();
                MetricValue::Histogram(Distribution {
                    buckets,
                    count: cumulative.next().unwrap_or_default(),
                    sum: *sum,
                })
            }
        }
    }
}

impl PluginMetrics {
    pub(crate) fn record(&self, instance: &'static str, name: &str, labels: &[(&str, &str)], change: Change) {
        let mut instances = self.0.lock();
        let of_instance = instances.entry(instance).or_default();
        let taken = fits(name, labels) && change.value().is_finite();
        if taken && of_instance.change(name, labels, change) {
            return;
        }
        let first = of_instance.dropped == 0;
        of_instance.dropped = of_instance.dropped.saturating_add(1);
        drop(instances);
        if first {
            warn!(
                plugin = instance,
                "values of a plugin exceed the limits and are dropped"
            );
        }
    }

    /// Forgets the series of instances that are not there any more.
    pub(crate) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        self.0.lock().retain(|instance, _| is_there(instance));
    }

    pub(crate) fn snapshot(&self) -> Vec<Metric> {
        let instances = self.0.lock();
        let mut metrics = Vec::new();
        for (instance, of) in instances.iter() {
            let of_instance = || Labels::from([("instance".to_owned(), (*instance).to_owned())]);
            metrics.push(Metric {
                name: "plugin_values_dropped_total".to_owned(),
                help: "Values of plugins that were dropped: too many series, a bad name, value or type.",
                labels: of_instance(),
                value: MetricValue::Counter(count(of.dropped)),
            });
            let prefix = format!("plugin_{}", sanitized(instance));
            metrics.extend(of.series.iter().map(|((name, labels), kept)| {
                let mut all = of_instance();
                all.extend(labels.clone());
                Metric {
                    name: format!("{prefix}_{name}"),
                    help: "Kept by the plugin itself.",
                    labels: all,
                    value: kept.value(),
                }
            }));
        }
        metrics
    }
}

fn fits(name: &str, labels: &[(&str, &str)]) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && labels.len() <= MAX_LABELS
        && labels
            .iter()
            .all(|(name, value)| !name.is_empty() && name.len() <= MAX_NAME && value.len() <= MAX_VALUE)
}

/// As a part of a name that Prometheus takes: letters, digits, underscores.
fn sanitized(name: &str) -> String {
    let character = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(character).collect()
}

/// A label's name that Prometheus takes: it begins with a letter or a single underscore, and is nobody else's.
fn label(name: &str) -> String {
    let name = sanitized(name);
    let begins_well =
        name.starts_with(|c: char| c.is_ascii_alphabetic()) && !RESERVED.contains(&name.as_str());
    if begins_well {
        name
    } else {
        format!("label_{name}")
    }
}

impl OfInstance {
    /// False when there are too many already, or the name is in use for something else.
    fn change(&mut self, name: &str, labels: &[(&str, &str)], change: Change) -> bool {
        let labels = labels
            .iter()
            .map(|(name, value)| (label(name), (*value).to_owned()));
        let key = (sanitized(name), labels.collect());
        if self.series.len() >= MAX_SERIES && !self.series.contains_key(&key) {
            return false;
        }
        self.series
            .entry(key)
            .or_insert_with(|| change.begin())
            .change(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(metrics: &PluginMetrics, instance: &'static str, name: &str, labels: &[(&str, &str)]) {
        metrics.record(instance, name, labels, Change::Add(1.0));
    }

    /// Without how many were dropped.
    fn kept(metrics: &PluginMetrics) -> Vec<Metric> {
        let all = metrics.snapshot().into_iter();
        all.filter(|metric| metric.name != "plugin_values_dropped_total")
            .collect()
    }

    fn dropped(metrics: &PluginMetrics, instance: &str) -> f64 {
        let all = metrics.snapshot();
        let of = all.iter().find(|metric| {
            metric.name == "plugin_values_dropped_total" && metric.labels["instance"] == instance
        });
        of.unwrap().value.total()
    }

    #[test]
    fn one_instance_cannot_take_the_place_of_others() {
        let metrics = PluginMetrics::default();
        for number in 0..=MAX_SERIES {
            add(&metrics, "greedy", "seen", &[("n", &number.to_string())]);
        }
        add(&metrics, "greedy", "seen", &[("n", "0")]);
        add(&metrics, "modest", "seen", &[]);
        let seen = kept(&metrics);
        assert_eq!(seen.len(), MAX_SERIES + 1);
        assert_eq!(seen[0].value, MetricValue::Counter(2.0), "what is there goes on");
        assert_eq!(seen[MAX_SERIES].name, "plugin_modest_seen");
        assert_eq!(
            (dropped(&metrics, "greedy"), dropped(&metrics, "modest")),
            (1.0, 0.0)
        );
    }

    #[test]
    fn names_labels_and_values_have_limits() {
        let metrics = PluginMetrics::default();
        let long = "x".repeat(MAX_VALUE + 1);
        add(&metrics, "i", &long, &[]);
        add(&metrics, "i", "", &[]);
        add(&metrics, "i", "a", &[("", "b")]);
        add(&metrics, "i", "a", &[(&long, "b")]);
        add(&metrics, "i", "a", &[("b", &long)]);
        add(&metrics, "i", "a", &[("b", "c"); MAX_LABELS + 1]);
        metrics.record("i", "a", &[], Change::Add(f64::NAN));
        metrics.record("i", "a", &[], Change::Observe(f64::INFINITY));
        assert_eq!(kept(&metrics), []);
        assert_eq!(dropped(&metrics, "i"), 8.0);
        add(&metrics, "i", &long[..MAX_NAME], &[("b", &long[..MAX_VALUE])]);
        assert_eq!(kept(&metrics).len(), 1);
    }

    #[test]
    fn names_become_what_prometheus_takes_and_same_ones_are_one() {
        let metrics = PluginMetrics::default();
        add(
            &metrics,
            "org-allow",
            "denied.by-msp",
            &[("msp-id", "a"), ("instance", "x"), ("__name__", "y")],
        );
        add(
            &metrics,
            "org-allow",
            "denied_by_msp",
            &[("msp_id", "a"), ("le", "1"), ("9", "é")],
        );
        let seen = kept(&metrics);
        assert_eq!(seen.len(), 2);
        assert!(
            seen.iter()
                .all(|metric| metric.name == "plugin_org_allow_denied_by_msp")
        );
        let shown = |index: usize| {
            let labels = seen[index]
                .labels
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            labels.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(0), "instance=org-allow label_9=é label_le=1 msp_id=a");
        assert_eq!(
            shown(1),
            "instance=org-allow label___name__=y label_instance=x msp_id=a"
        );
        add(
            &metrics,
            "org-allow",
            "denied:by msp",
            &[("msp_id", "a"), ("le", "1"), ("9", "é")],
        );
        assert_eq!(kept(&metrics)[0].value, MetricValue::Counter(2.0));
    }

    #[test]
    fn observed_values_have_a_distribution_and_a_name_keeps_its_meaning() {
        let metrics = PluginMetrics::default();
        for value in [0.5, 1.0, 7.0, 2e9, -3.0] {
            metrics.record("i", "size", &[], Change::Observe(value));
        }
        metrics.record("i", "size", &[], Change::Add(1.0));
        assert_eq!(dropped(&metrics, "i"), 1.0);
        let seen = kept(&metrics);
        let MetricValue::Histogram(sizes) = &seen[0].value else {
            panic!("{seen:?}");
        };
        let at_most = |le: f64| sizes.buckets.iter().find(|bucket| bucket.le == le).unwrap().count;
        assert_eq!(
            [at_most(1e-6), at_most(1.0), at_most(10.0), at_most(1e9)],
            [1, 3, 4, 4]
        );
        assert_eq!((sizes.count, sizes.sum), (5, 2e9 + 5.5));
    }
}
