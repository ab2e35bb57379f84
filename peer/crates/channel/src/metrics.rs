//! What a channel counts of its blocks, under Fabric's names.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts};
use protos::ChannelId;
use protos::peer::TxValidationCode;

/// Fabric's, in seconds.
const BUCKETS: [f64; 7] = [0.005, 0.01, 0.015, 0.05, 0.1, 1.0, 10.0];

/// The measurements of one channel.
pub struct CommitMetrics {
    processing: Histogram,
    transactions: IntCounterVec,
}

impl CommitMetrics {
    fn try_new(channel: &ChannelId) -> Result<Self, prometheus::Error> {
        let processing = HistogramOpts::new(
            "ledger_block_processing_time",
            "Seconds from a block's arrival until it was stored: verified, validated, written.",
        );
        let transactions = Opts::new("ledger_transaction_count", "Transactions of stored blocks.");
        let channel = channel.to_string();
        Ok(Self {
            processing: Histogram::with_opts(
                processing
                    .buckets(BUCKETS.to_vec())
                    .const_label("channel", channel.clone()),
            )?,
            transactions: IntCounterVec::new(
                transactions.const_label("channel", channel),
                &["validation_code"],
            )?,
        })
    }

    #[expect(
        clippy::expect_used,
        reason = "names and labels are constants, and tests call this"
    )]
    pub(crate) fn new(channel: &ChannelId) -> Self {
        Self::try_new(channel).expect("constant names")
    }

    /// A block was stored.
    pub(crate) fn committed(&self, codes: &[TxValidationCode], took: Duration) {
        self.processing.observe(took.as_secs_f64());
        for code in codes {
            self.transactions.with_label_values(&[code.as_str_name()]).inc();
        }
    }

    /// All of them.
    #[must_use]
    pub fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.processing.collect();
        families.extend(self.transactions.collect());
        families
    }
}
