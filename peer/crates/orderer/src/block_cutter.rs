//! Collects ordered messages into batches, each of which becomes a block (Fabric orderer/common/blockcutter).

use protos::common::Envelope;
use protos::orderer::BatchSize;

/// A batch under construction.
#[derive(Debug, Default)]
pub(crate) struct BlockCutter {
    pending: Vec<Envelope>,
    pending_bytes: u64,
}

/// What one more message leads to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Ordered {
    /// Batches that are complete now, in order; at most two.
    pub(crate) batches: Vec<Vec<Envelope>>,
    /// Whether messages wait for more.
    pub(crate) pending: bool,
}

impl BlockCutter {
    /// Adds a message to the batch, by the limits that hold now.
    pub(crate) fn ordered(&mut self, message: Envelope, limits: &BatchSize) -> Ordered {
        let mut batches = Vec::new();
        let size = message_size(&message);
        let preferred = u64::from(limits.preferred_max_bytes);
        if size > preferred {
            batches.extend(self.cut());
            batches.push(vec![message]);
            return Ordered {
                batches,
                pending: false,
            };
        }
        if self.pending_bytes.saturating_add(size) > preferred {
            batches.extend(self.cut());
        }
        self.pending.push(message);
        self.pending_bytes = self.pending_bytes.saturating_add(size);
        let full = u32::try_from(self.pending.len()).is_ok_and(|count| count < limits.max_message_count);
        if !full {
            batches.extend(self.cut());
        }
        Ordered {
            batches,
            pending: !self.pending.is_empty(),
        }
    }

    /// Takes the batch as it is; `None` when it is empty.
    pub(crate) fn cut(&mut self) -> Option<Vec<Envelope>> {
        self.pending_bytes = 0;
        let batch = std::mem::take(&mut self.pending);
        (!batch.is_empty()).then_some(batch)
    }
}

/// The size of a message as all limits count it.
pub(crate) fn message_size(message: &Envelope) -> u64 {
    let size = message.payload.len().saturating_add(message.signature.len());
    u64::try_from(size).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(size: usize) -> Envelope {
        Envelope {
            payload: vec![b'm'; size].into(),
            ..Default::default()
        }
    }

    fn limits(max_message_count: u32, preferred_max_bytes: u32) -> BatchSize {
        BatchSize {
            max_message_count,
            preferred_max_bytes,
            absolute_max_bytes: 1000,
        }
    }

    /// The sizes of the messages in each batch, and whether some are pending.
    fn shape(ordered: Ordered) -> (Vec<Vec<u64>>, bool) {
        let sizes = |batch: &Vec<Envelope>| batch.iter().map(message_size).collect();
        (ordered.batches.iter().map(sizes).collect(), ordered.pending)
    }

    fn feed(limits: &BatchSize, sizes: &[usize]) -> Vec<(Vec<Vec<u64>>, bool)> {
        let mut cutter = BlockCutter::default();
        sizes
            .iter()
            .map(|size| shape(cutter.ordered(message(*size), limits)))
            .collect()
    }

    #[test]
    fn a_full_count_cuts() {
        let steps = feed(&limits(3, 100), &[1, 2, 3, 4]);
        assert_eq!(steps[0], (vec![], true));
        assert_eq!(steps[1], (vec![], true));
        assert_eq!(steps[2], (vec![vec![1, 2, 3]], false));
        assert_eq!(steps[3], (vec![], true));
    }

    #[test]
    fn a_count_of_one_never_leaves_anything_pending() {
        assert_eq!(
            feed(&limits(1, 100), &[1, 1]),
            vec![(vec![vec![1]], false), (vec![vec![1]], false)]
        );
    }

    #[test]
    fn a_message_that_would_overflow_starts_the_next_batch() {
        let steps = feed(&limits(10, 10), &[6, 4, 1]);
        assert_eq!(steps[1], (vec![], true), "exactly the preferred size still fits");
        assert_eq!(steps[2], (vec![vec![6, 4]], true));
    }

    #[test]
    fn an_overflow_that_fills_the_next_batch_yields_two() {
        // cannot happen in Fabric's words, but does when the configuration shrinks the count to one
        let mut cutter = BlockCutter::default();
        cutter.ordered(message(6), &limits(10, 10));
        assert_eq!(
            shape(cutter.ordered(message(6), &limits(1, 10))),
            (vec![vec![6], vec![6]], false)
        );
    }

    #[test]
    fn a_message_beyond_the_preferred_size_is_alone() {
        let steps = feed(&limits(10, 10), &[11, 3, 11]);
        assert_eq!(steps[0], (vec![vec![11]], false));
        assert_eq!(steps[2], (vec![vec![3], vec![11]], false));
    }

    #[test]
    fn cutting_takes_what_is_there() {
        let mut cutter = BlockCutter::default();
        assert_eq!(cutter.cut(), None);
        cutter.ordered(message(2), &limits(10, 10));
        assert_eq!(cutter.cut().map(|batch| batch.len()), Some(1));
        assert_eq!(cutter.cut(), None);
        assert_eq!(
            shape(cutter.ordered(message(10), &limits(10, 10))),
            (vec![], true),
            "size starts anew"
        );
    }
}
