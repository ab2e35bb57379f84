//! [`Histogram`]: how long something took, in fixed buckets. Recording is two additions, without a lock.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets in nanoseconds. An inline filter takes less than the first, a platform that packs may
/// take as long as the last.
const BOUNDS: [u64; 16] = [
    1_000,
    5_000,
    10_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    30_000_000_000,
    300_000_000_000,
];

/// Durations by bucket.
#[derive(Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    longer: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Histogram {
    pub(crate) fn add(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let fits = BOUNDS.iter().position(|bound| nanoseconds <= *bound);
        let bucket = fits
            .and_then(|index| self.buckets.get(index))
            .unwrap_or(&self.longer);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Distribution {
        let mut count = 0_u64;
        let buckets = BOUNDS.iter().zip(&self.buckets).map(|(bound, bucket)| {
            count = count.saturating_add(bucket.load(Ordering::Relaxed));
            Bucket {
                le: Duration::from_nanos(*bound).as_secs_f64(),
                count,
            }
        });
        let buckets = buckets.collect();
        Distribution {
            buckets,
            count: count.saturating_add(self.longer.load(Ordering::Relaxed)),
            sum: Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64(),
        }
    }
}

/// Recorded values, by size.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Distribution {
    /// How many there were.
    pub count: u64,
    /// Their sum; of durations in seconds.
    pub sum: f64,
    /// How many were at most so large, ascending.
    pub buckets: Vec<Bucket>,
}

/// How many values were at most `le`, those of smaller buckets included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bucket {
    /// The upper bound; of durations in seconds.
    pub le: f64,
    /// How many values.
    pub count: u64,
}

impl Distribution {
    /// Both together. Their buckets have the same bounds, or one of them has none.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
            return self;
        }
        for (one, other) in self.buckets.iter_mut().zip(&other.buckets) {
            one.count = one.count.saturating_add(other.count);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_its_bucket_and_all_larger_ones() {
        let histogram = Histogram::default();
        for nanoseconds in [0, 1_000, 1_001, 600_000_000, 400_000_000_000] {
            histogram.add(Duration::from_nanos(nanoseconds));
        }
        let seen = histogram.snapshot();
        let at_most = |le: f64| seen.buckets.iter().find(|bucket| bucket.le == le).unwrap().count;
        assert_eq!(
            [
                at_most(1e-6),
                at_most(5e-6),
                at_most(0.5),
                at_most(1.0),
                at_most(300.0)
            ],
            [2, 3, 3, 4, 4]
        );
        assert_eq!(seen.count, 5, "what is longer than all counts as well");
        assert!((seen.sum - 400.600_002_001).abs() < 1e-6, "{}", seen.sum);
        let twice = Distribution::default().and(&seen).and(&seen);
        assert_eq!((twice.count, twice.buckets[0].count), (10, 4));
    }

    #[test]
    fn the_bounds_ascend() {
        assert!(BOUNDS.is_sorted_by(|one, next| one < next));
    }
}
