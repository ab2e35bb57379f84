//! The metrics as Prometheus' text. What plugins name cannot spoil it: a family that would collide with another is
//! left out.

use std::collections::{BTreeMap, BTreeSet};

use handlers::{Distribution, Metric as PluginMetric, MetricValue};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Error, TextEncoder};

use super::Sources;
use crate::version;

/// Prometheus' text format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The whole text.
pub(super) fn of(sources: &Sources) -> Result<String, Error> {
    let mut families = Families::default();
    let labels = [("version".to_owned(), version::PEER.to_owned())];
    families.add(PluginMetric {
        name: "fabric_version".to_owned(),
        help: "The version of this peer.",
        labels: labels.into(),
        value: MetricValue::Gauge(1.0),
    });
    let counted = [
        sources.endorser.metrics().collect(),
        sources.chaincodes.metrics().collect(),
        sources.grpc.collect(),
    ];
    for family in counted.into_iter().flatten() {
        families.add_family(family);
    }
    let joined = sources.channels.subscribe_joined().borrow().clone();
    for channel in joined.values() {
        let height = *channel.ledger().height_watch().borrow();
        let labels = [("channel".to_owned(), channel.id().to_string())];
        families.add(PluginMetric {
            name: "ledger_blockchain_height".to_owned(),
            help: "Blocks of the channel.",
            labels: labels.into(),
            value: MetricValue::Gauge(f64::from(u32::try_from(height).unwrap_or(u32::MAX))),
        });
        for family in channel.metrics().collect() {
            families.add_family(family);
        }
    }
    // after those of the peer, so that a plugin cannot take a name away
    for metric in sources.registry.metrics() {
        families.add(metric);
    }
    families.text()
}

/// Families by name; the names of their samples, of which a histogram has three beside its own; and what was added by
/// [`Families::add`], since two values of one series spoil the text.
#[derive(Default)]
struct Families {
    families: BTreeMap<String, MetricFamily>,
    samples: BTreeSet<String>,
    series: BTreeSet<(String, BTreeMap<String, String>)>,
}

impl Families {
    fn add(&mut self, metric: PluginMetric) {
        if !self.series.insert((metric.name.clone(), metric.labels.clone())) {
            return;
        }
        let kind = match metric.value {
            MetricValue::Counter(_) => MetricType::COUNTER,
            MetricValue::Gauge(_) => MetricType::GAUGE,
            MetricValue::Histogram(_) => MetricType::HISTOGRAM,
        };
        let mut family = MetricFamily::default();
        family.set_name(metric.name.clone());
        family.set_help(metric.help.to_owned());
        family.set_field_type(kind);
        family.set_metric(vec![sample(metric)]);
        self.add_family(family);
    }

    /// Adds to the family of the same name and type. What does not fit is left out.
    fn add_family(&mut self, mut family: MetricFamily) {
        let name = family.name().to_owned();
        if family.get_metric().is_empty() {
            return;
        }
        if let Some(known) = self.families.get_mut(&name) {
            if known.get_field_type() == family.get_field_type() {
                known.mut_metric().append(family.mut_metric());
            }
            return;
        }
        let names = sample_names(&family);
        if names.iter().any(|sample| self.samples.contains(sample)) {
            return;
        }
        self.samples.extend(names);
        self.families.insert(name, family);
    }

    fn text(self) -> Result<String, Error> {
        let families: Vec<MetricFamily> = self.families.into_values().collect();
        TextEncoder::new().encode_to_string(&families)
    }
}

fn sample_names(family: &MetricFamily) -> Vec<String> {
    let name = family.name();
    let mut names = vec![name.to_owned()];
    if family.get_field_type() == MetricType::HISTOGRAM {
        names.extend(["bucket", "sum", "count"].map(|part| format!("{name}_{part}")));
    }
    names
}

fn sample(metric: PluginMetric) -> Metric {
    let pair = |(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name);
        pair.set_value(value);
        pair
    };
    let mut sample = Metric::default();
    sample.set_label(metric.labels.into_iter().map(pair).collect());
    match metric.value {
        MetricValue::Counter(value) => {
            let mut counter = Counter::default();
            counter.set_value(value);
            sample.set_counter(counter);
        }
        MetricValue::Gauge(value) => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            sample.set_gauge(gauge);
        }
        MetricValue::Histogram(recorded) => sample.set_histogram(histogram(&recorded)),
    }
    sample
}

fn histogram(recorded: &Distribution) -> Histogram {
    let buckets = recorded.buckets.iter().map(|recorded| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(recorded.le);
        bucket.set_cumulative_count(recorded.count);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(recorded.count);
    histogram.set_sample_sum(recorded.sum);
    histogram
}

#[cfg(test)]
mod tests {
    use handlers::Bucket as Recorded;

    use super::*;

    fn metric(name: &str, label: &str, value: MetricValue) -> PluginMetric {
        PluginMetric {
            name: name.to_owned(),
            help: "Help.",
            labels: [("label".to_owned(), label.to_owned())].into(),
            value,
        }
    }

    fn text(metrics: impl IntoIterator<Item = PluginMetric>) -> String {
        let mut families = Families::default();
        for metric in metrics {
            families.add(metric);
        }
        families.text().unwrap()
    }

    #[test]
    fn families_are_together_and_odd_labels_are_escaped() {
        let recorded = Distribution {
            count: 3,
            sum: 7.5,
            buckets: vec![Recorded { le: 1e-6, count: 1 }, Recorded { le: 5.0, count: 2 }],
        };
        let shown = text([
            metric("b", "x", MetricValue::Counter(1.0)),
            metric("a", "y", MetricValue::Histogram(recorded)),
            metric("b", "quote \" slash \\ end\nof line é", MetricValue::Counter(2.0)),
        ]);
        let expected = [
            "# HELP a Help.",
            "# TYPE a histogram",
            r#"a_bucket{label="y",le="0.000001"} 1"#,
            r#"a_bucket{label="y",le="5"} 2"#,
            r#"a_bucket{label="y",le="+Inf"} 3"#,
            r#"a_sum{label="y"} 7.5"#,
            r#"a_count{label="y"} 3"#,
            "# HELP b Help.",
            "# TYPE b counter",
            r#"b{label="x"} 1"#,
            r#"b{label="quote \" slash \\ end\nof line é"} 2"#,
        ];
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_would_collide_is_left_out() {
        let shown = text([
            metric("a", "x", MetricValue::Histogram(Distribution::default())),
            metric("a_count", "x", MetricValue::Counter(7.0)),
            metric("a", "y", MetricValue::Counter(7.0)),
            metric("b_sum", "x", MetricValue::Gauge(1.0)),
            metric("b", "x", MetricValue::Histogram(Distribution::default())),
            metric("b_sum", "x", MetricValue::Gauge(7.0)),
        ]);
        assert!(!shown.contains('7'), "{shown}");
        assert_eq!(shown.matches("# TYPE").count(), 2, "{shown}");
    }
}
