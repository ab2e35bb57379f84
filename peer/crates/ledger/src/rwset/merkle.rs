//! The results of a range query as the read-write set keeps them: as they are while they are few, as a
//! Merkle summary beyond that (Fabric rwsetutil/query_results_helper.go).

use bytes::Bytes;
use prost::Message;
use protos::kvrwset::{KvRead, QueryReads, QueryReadsMerkleSummary};
use protos::sha256;

/// Children of a node in what simulators record; also the number of reads kept as they are.
pub(crate) const MAX_DEGREE: u32 = 50;

/// Collects the results of one range query.
#[derive(Debug)]
pub(crate) struct QueryResults {
    pending: Vec<KvRead>,
    /// Hashes of level 1, 2, …; the last level is the highest one reached.
    levels: Vec<Vec<[u8; 32]>>,
    max_degree: u32,
}

/// What a range query read, in the form that the read-write set wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RangeQueryReads {
    /// Each key with its version.
    Raw(Vec<KvRead>),
    /// The top of the tree.
    Merkle(QueryReadsMerkleSummary),
}

impl QueryResults {
    /// A collector for trees of a degree; none where the degree makes no tree.
    pub fn new(max_degree: u32) -> Option<Self> {
        (max_degree >= 2).then(|| Self {
            pending: Vec::new(),
            levels: vec![Vec::new()],
            max_degree,
        })
    }

    /// Adds the next result.
    pub fn add(&mut self, read: KvRead) {
        self.pending.push(read);
        if self.exceeds_degree(self.pending.len()) {
            self.hash_pending();
        }
    }

    /// The highest level so far.
    pub fn max_level(&self) -> usize {
        self.levels.len()
    }

    /// The hashes at the highest level so far.
    pub fn top(&self) -> &[[u8; 32]] {
        self.levels.last().map_or(&[], Vec::as_slice)
    }

    /// Completes the tree.
    pub fn done(mut self) -> RangeQueryReads {
        if self.max_level() == 1 && self.top().is_empty() {
            return RangeQueryReads::Raw(self.pending);
        }
        if !self.pending.is_empty() {
            self.hash_pending();
        }
        self.lift_lower_levels();
        if self.exceeds_degree(self.top().len()) {
            let combined = sha256(&[self.top().as_flattened()]);
            self.levels.push(vec![combined]);
        }
        RangeQueryReads::Merkle(QueryReadsMerkleSummary {
            max_degree: self.max_degree,
            max_level: u32::try_from(self.max_level()).unwrap_or(u32::MAX),
            max_level_hashes: self
                .top()
                .iter()
                .map(|hash| Bytes::copy_from_slice(hash))
                .collect(),
        })
    }

    fn exceeds_degree(&self, count: usize) -> bool {
        u32::try_from(count).unwrap_or(u32::MAX) > self.max_degree
    }

    fn hash_pending(&mut self) {
        let kv_reads = std::mem::take(&mut self.pending);
        let mut hash = sha256(&[&QueryReads { kv_reads }.encode_to_vec()]);
        let mut level = 0;
        while let Some(hashes) = self.levels.get_mut(level) {
            hashes.push(hash);
            if u32::try_from(hashes.len()).unwrap_or(u32::MAX) <= self.max_degree {
                return;
            }
            hash = sha256(&[hashes.as_flattened()]);
            hashes.clear();
            level += 1;
        }
        self.levels.push(vec![hash]);
    }

    /// Moves what is left below the highest level up to it: a single hash as it is, several combined.
    fn lift_lower_levels(&mut self) {
        let mut carried = None;
        let top = self.levels.len().saturating_sub(1);
        for (level, hashes) in self.levels.iter_mut().enumerate() {
            hashes.extend(carried.take());
            if level == top {
                break;
            }
            carried = match hashes.as_slice() {
                [] => None,
                [single] => Some(*single),
                several => Some(sha256(&[several.as_flattened()])),
            };
            hashes.clear();
        }
    }
}
