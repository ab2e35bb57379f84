//! What the endorser counts, under Fabric's names. Labels are bounded: a name that no channel has never becomes one.

use std::collections::BTreeSet;
use std::time::Duration;

use parking_lot::RwLock;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts};
use protos::UnpackedProposal;
use protos::peer::ProposalResponse;

use crate::pre_process::{PreProcessError, Stopped};
use crate::simulate::{ERROR_THRESHOLD, SimulateError};

/// The label of chaincode that is not known to be defined, and of what exceeds the limit.
const UNKNOWN: &str = "unknown";
/// Chaincodes of all channels that get labels of their own.
const MAX_CHAINCODES: usize = 1000;
/// Seconds. Fabric's begin with 0.005; a proposal takes less than that here.
const BUCKETS: [f64; 14] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The counters of an endorser.
pub struct Metrics {
    received: IntCounter,
    successful: IntCounter,
    validation_failures: IntCounter,
    duration: HistogramVec,
    acl_failures: IntCounterVec,
    duplicates: IntCounterVec,
    simulation_failures: IntCounterVec,
    endorsement_failures: IntCounterVec,
    /// Pairs of a channel and a chaincode that is defined on it.
    defined: RwLock<BTreeSet<(String, String)>>,
}

impl Metrics {
    /// Counters at zero.
    ///
    /// # Errors
    /// Never with these names, which are constant.
    fn try_new() -> Result<Self, prometheus::Error> {
        let of_chaincode = |name, help| IntCounterVec::new(Opts::new(name, help), &["channel", "chaincode"]);
        let duration = HistogramOpts::new("endorser_proposal_duration", "Seconds that proposals took.");
        Ok(Self {
            received: IntCounter::new("endorser_proposals_received", "Proposals that came.")?,
            successful: IntCounter::new("endorser_successful_proposals", "Proposals that were endorsed.")?,
            validation_failures: IntCounter::new(
                "endorser_proposal_validation_failures",
                "Proposals that were malformed or not their creator's.",
            )?,
            duration: HistogramVec::new(
                duration.buckets(BUCKETS.to_vec()),
                &["channel", "chaincode", "success"],
            )?,
            acl_failures: of_chaincode(
                "endorser_proposal_acl_failures",
                "Proposals whose creator may not propose.",
            )?,
            duplicates: of_chaincode(
                "endorser_duplicate_transaction_failures",
                "Proposals whose transaction id is on the ledger.",
            )?,
            simulation_failures: of_chaincode(
                "endorser_proposal_simulation_failures",
                "Proposals whose simulation failed.",
            )?,
            endorsement_failures: IntCounterVec::new(
                Opts::new(
                    "endorser_endorsement_failures",
                    "Simulations that were not endorsed.",
                ),
                &["channel", "chaincode", "chaincodeerror"],
            )?,
            defined: RwLock::default(),
        })
    }

    #[expect(
        clippy::expect_used,
        reason = "names and labels are constants, and a test calls this"
    )]
    pub(crate) fn new() -> Self {
        Self::try_new().expect("constant names")
    }

    pub(crate) fn received(&self) {
        self.received.inc();
    }

    pub(crate) fn malformed(&self) {
        self.validation_failures.inc();
    }

    /// A proposal has come to its end.
    pub(crate) fn ended(
        &self,
        proposal: &UnpackedProposal,
        outcome: &Result<ProposalResponse, Stopped>,
        took: Duration,
    ) {
        let channel = proposal.channel.as_str();
        let defined = match outcome {
            // nothing is known of what the proposal names
            Err(Stopped::Failed(SimulateError::NoChannel(_))) => return,
            Err(Stopped::Rejected(_) | Stopped::Failed(SimulateError::Definition { .. })) => false,
            Ok(_) | Err(Stopped::Failed(_)) => true,
        };
        let labels = [channel, self.label(channel, &proposal.chaincode, defined)];
        let [channel, chaincode] = labels;
        let success = match outcome {
            Ok(response) => self.answered(response, labels),
            Err(Stopped::Rejected(rejected)) => return self.rejected(rejected, labels),
            Err(Stopped::Failed(SimulateError::Simulation(_))) => {
                self.simulation_failures.with_label_values(&labels).inc();
                false
            }
            Err(Stopped::Failed(SimulateError::Definition { .. })) => false,
            Err(Stopped::Failed(_)) => {
                let labels = [channel, chaincode, "false"];
                self.endorsement_failures.with_label_values(&labels).inc();
                false
            }
        };
        let success = if success { "true" } else { "false" };
        let labels = [channel, chaincode, success];
        self.duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
    }

    /// Whether the answer is a success: endorsed, or one that is of no channel.
    fn answered(&self, response: &ProposalResponse, [channel, chaincode]: [&str; 2]) -> bool {
        let status = response.response.as_ref().map_or(0, |response| response.status);
        if response.endorsement.is_some() || channel.is_empty() {
            self.successful.inc();
            return true;
        }
        let of_chaincode = if status >= ERROR_THRESHOLD {
            "true"
        } else {
            "false"
        };
        let labels = [channel, chaincode, of_chaincode];
        self.endorsement_failures.with_label_values(&labels).inc();
        false
    }

    fn rejected(&self, rejected: &PreProcessError, labels: [&str; 2]) {
        match rejected {
            PreProcessError::Invalid(_) => self.validation_failures.inc(),
            PreProcessError::Duplicate { .. } => self.duplicates.with_label_values(&labels).inc(),
            PreProcessError::Acl(_) => self.acl_failures.with_label_values(&labels).inc(),
            PreProcessError::NotInvokable(_) => {}
        }
    }

    /// The chaincode's name if it is defined on the channel, or has been found so before.
    fn label<'n>(&self, channel: &str, chaincode: &'n str, defined: bool) -> &'n str {
        let pair = (channel.to_owned(), chaincode.to_owned());
        if self.defined.read().contains(&pair) {
            return chaincode;
        }
        if !defined {
            return UNKNOWN;
        }
        let mut all = self.defined.write();
        if all.len() >= MAX_CHAINCODES {
            return UNKNOWN;
        }
        all.insert(pair);
        chaincode
    }

    /// All of them.
    #[must_use]
    pub fn collect(&self) -> Vec<MetricFamily> {
        let all: [&dyn Collector; 8] = [
            &self.received,
            &self.successful,
            &self.validation_failures,
            &self.duration,
            &self.acl_failures,
            &self.duplicates,
            &self.simulation_failures,
            &self.endorsement_failures,
        ];
        all.into_iter().flat_map(Collector::collect).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nothing_bears_make_no_series() {
        let metrics = Metrics::new();
        for number in 0..10 {
            assert_eq!(metrics.label("c", &format!("hostile-{number}"), false), UNKNOWN);
        }
        assert_eq!(metrics.label("c", "kv", true), "kv");
        assert_eq!(metrics.label("c", "kv", false), "kv", "its failures are its own");
        assert_eq!(metrics.label("d", "kv", false), UNKNOWN);
        for number in 0..2 * MAX_CHAINCODES {
            metrics.label("c", &format!("many-{number}"), true);
        }
        assert_eq!(metrics.defined.read().len(), MAX_CHAINCODES);
        assert_eq!(metrics.label("c", "one more", true), UNKNOWN);
    }
}
