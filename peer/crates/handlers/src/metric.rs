//! [`Metric`]: a measured value, as it is read out.

use crate::histogram::Distribution;
use crate::instance::PluginInfo;
use serde::Serialize;
use std::collections::BTreeMap;

impl PluginInfo {
    /// What is loaded, as a metric whose labels say it.
    pub(crate) fn metric(&self) -> Metric {
        let labels = [
            ("instance", self.instance.as_str()),
            ("kind", self.kind.key()),
            ("plugin", &self.plugin),
            ("version", &self.version),
            ("api", &self.api),
            ("sha256", &self.sha256),
        ];
        let value = MetricValue::Gauge(1.0);
        Metric::new("plugin_info", "What is loaded.", &labels, value)
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
    /// `plugin_…` of the peer, `plugin_<instance>_<name>` of a plugin: letters, digits and underscores.
    pub name: String,
    /// What it means.
    pub help: &'static str,
    /// The labels. Their values may be anything, their names are letters, digits and underscores.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: MetricValue,
}

/// The value of a metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MetricValue {
    /// Only grows.
    Counter(f64),
    /// As it is now.
    Gauge(f64),
    /// Recorded values.
    Histogram(Distribution),
}

impl MetricValue {
    /// The value; of a histogram, the sum of what was recorded.
    #[must_use]
    pub fn total(&self) -> f64 {
        match self {
            Self::Counter(value) | Self::Gauge(value) => *value,
            Self::Histogram(recorded) => recorded.sum,
        }
    }
}

impl Metric {
    pub(crate) fn new<'l>(
        name: &str,
        help: &'static str,
        labels: impl IntoIterator<Item = &'l (&'l str, &'l str)>,
        value: MetricValue,
    ) -> Self {
        let labels = labels.into_iter();
        Self {
            name: name.to_owned(),
            help,
            labels: labels
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            value,
        }
    }

    /// A value of the whole peer.
    pub(crate) fn gauge(name: &str, help: &'static str, value: u64) -> Self {
        Self::new(name, help, &[], MetricValue::Gauge(count(value)))
    }
}
