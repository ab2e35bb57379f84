//! What is counted of chaincode, under Fabric's names (core/chaincode/metrics.go). Labels are bounded: chaincode that
//! connects under ever new names makes no series without end.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::RwLock;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts};
use protos::peer::chaincode_message::Type;

use crate::launch_state::LaunchFailure;

/// The label of what exceeds the limit, and of a channel that the peer knows nothing of.
pub(crate) const UNKNOWN: &str = "unknown";
/// Chaincodes, each with its version, that get labels of their own.
const MAX_CHAINCODES: usize = 1000;
/// Seconds. A launch from a built image takes a second, one with a build minutes.
const LAUNCH_BUCKETS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Seconds. Fabric's begin with 0.005; most requests take microseconds here.
const REQUEST_BUCKETS: [f64; 10] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1, 1.0, 10.0,
];

/// The counters of chaincode support. Chaincodes are labelled `name:version`.
pub struct Metrics {
    launch_duration: HistogramVec,
    launch_failures: IntCounterVec,
    launch_timeouts: IntCounterVec,
    execute_timeouts: IntCounterVec,
    requests_received: IntCounterVec,
    requests_completed: IntCounterVec,
    request_duration: HistogramVec,
    labelled: RwLock<HashSet<String>>,
}

impl Metrics {
    /// Counters at zero.
    ///
    /// # Errors
    /// Never with these names, which are constant.
    fn try_new() -> Result<Self, prometheus::Error> {
        let of_chaincode = |name, help| IntCounterVec::new(Opts::new(name, help), &["chaincode"]);
        let launch_duration = HistogramOpts::new("chaincode_launch_duration", "Seconds that launches took.")
            .buckets(LAUNCH_BUCKETS.into());
        let request_duration = HistogramOpts::new(
            "chaincode_shim_request_duration",
            "Seconds that requests of chaincode took.",
        )
        .buckets(REQUEST_BUCKETS.into());
        let received = Opts::new(
            "chaincode_shim_requests_received",
            "Requests that chaincode made.",
        );
        let completed = Opts::new(
            "chaincode_shim_requests_completed",
            "Requests that were answered.",
        );
        Ok(Self {
            launch_duration: HistogramVec::new(launch_duration, &["chaincode", "success"])?,
            launch_failures: of_chaincode("chaincode_launch_failures", "Launches that failed.")?,
            launch_timeouts: of_chaincode("chaincode_launch_timeouts", "Launches that took too long.")?,
            execute_timeouts: of_chaincode("chaincode_execute_timeouts", "Executions that took too long.")?,
            requests_received: IntCounterVec::new(received, &["type", "channel", "chaincode"])?,
            requests_completed: IntCounterVec::new(completed, &["type", "channel", "chaincode", "success"])?,
            request_duration: HistogramVec::new(
                request_duration,
                &["type", "channel", "chaincode", "success"],
            )?,
            labelled: RwLock::default(),
        })
    }

    #[expect(
        clippy::expect_used,
        reason = "names and labels are constants, and tests call this"
    )]
    pub(crate) fn new() -> Self {
        Self::try_new().expect("constant names")
    }

    /// A launch has ended. Callers that joined it are not counted.
    pub(crate) fn launched(&self, chaincode: &str, failure: Option<&LaunchFailure>, took: Duration) {
        let chaincode = self.label(chaincode);
        if failure.is_some() {
            self.launch_failures.with_label_values(&[chaincode]).inc();
        }
        if matches!(failure, Some(LaunchFailure::TimedOut { .. })) {
            self.launch_timeouts.with_label_values(&[chaincode]).inc();
        }
        let labels = [chaincode, success(failure.is_none())];
        self.launch_duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }

    /// An execution took too long.
    pub(crate) fn execute_timeout(&self, chaincode: &str) {
        let labels = [self.label(chaincode)];
        self.execute_timeouts.with_label_values(&labels).inc();
    }

    /// A request has come. The channel is one that the peer has, or [`UNKNOWN`].
    pub(crate) fn received(&self, kind: Type, channel: &str, chaincode: &str) {
        let labels = [kind.as_str_name(), channel, self.label(chaincode)];
        self.requests_received.with_label_values(&labels).inc();
    }

    /// A request has its answer.
    pub(crate) fn completed(
        &self,
        kind: Type,
        channel: &str,
        chaincode: &str,
        answered: bool,
        took: Duration,
    ) {
        let labels = [
            kind.as_str_name(),
            channel,
            self.label(chaincode),
            success(answered),
        ];
        self.requests_completed.with_label_values(&labels).inc();
        self.request_duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }

    fn label<'n>(&self, chaincode: &'n str) -> &'n str {
        if self.labelled.read().contains(chaincode) {
            return chaincode;
        }
        let mut labelled = self.labelled.write();
        if labelled.len() >= MAX_CHAINCODES {
            return UNKNOWN;
        }
        labelled.insert(chaincode.to_owned());
        chaincode
    }

    /// All of them.
    #[must_use]
    pub fn collect(&self) -> Vec<MetricFamily> {
        let all: [&dyn Collector; 7] = [
            &self.launch_duration,
            &self.launch_failures,
            &self.launch_timeouts,
            &self.execute_timeouts,
            &self.requests_received,
            &self.requests_completed,
            &self.request_duration,
        ];
        all.into_iter().flat_map(Collector::collect).collect()
    }
}

fn success(is: bool) -> &'static str {
    if is { "true" } else { "false" }
}

#[cfg(test)]
impl Metrics {
    /// What a counter, or the count of a histogram, says in all series that have these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let families = self.collect();
        let family = families.iter().find(|family| family.name() == name);
        let has = |metric: &&prometheus::proto::Metric| {
            labels.iter().all(|(name, value)| {
                let mut pairs = metric.get_label().iter();
                pairs.any(|pair| pair.name() == *name && pair.value() == *value)
            })
        };
        let matching = family.unwrap().get_metric().iter().filter(has);
        let values = matching.map(|metric| match metric.get_histogram().get_sample_count() {
            0 => metric.get_counter().get_value(),
            count => f64::from(u32::try_from(count).unwrap()),
        });
        values.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chaincodes_without_end_make_no_series_without_end() {
        let metrics = Metrics::new();
        for number in 0..2 * MAX_CHAINCODES {
            metrics.execute_timeout(&format!("cc:{number}"));
        }
        let families = metrics.collect();
        let timeouts = families
            .iter()
            .find(|family| family.name() == "chaincode_execute_timeouts")
            .unwrap();
        assert_eq!(timeouts.get_metric().len(), MAX_CHAINCODES + 1);
        assert_eq!(metrics.label("cc:0"), "cc:0");
        assert_eq!(metrics.label("one more"), UNKNOWN);
    }
}
