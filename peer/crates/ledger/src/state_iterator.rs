//! Iterating over a range of keys, recorded for the phantom check where a simulator does it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use protos::kvrwset::range_query_info::ReadsInfo;
use protos::kvrwset::{KvRead, QueryReads, RangeQueryInfo};

use crate::error::{SimulationError, StoreError};
use crate::rwset::{MAX_DEGREE, QueryResults, RangeQueryReads};
use crate::snapshot::{Snapshot, StateRange};
use crate::state::VersionedValue;
use crate::version::Version;

/// A key of the state with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kv {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Bytes,
    /// Who wrote it.
    pub version: Version,
}

/// The keys of a range, read one by one.
pub struct StateIterator {
    range: Option<StateRange>,
    /// Records still to deliver; none where the query is not paginated.
    page_left: Option<u32>,
    capture: Option<Arc<Mutex<RangeCapture>>>,
    done: Arc<AtomicBool>,
}

/// Which keys to iterate over.
#[derive(Clone, Copy)]
pub(crate) struct RangeQuery<'a> {
    pub namespace: &'a str,
    pub start: &'a str,
    pub end: &'a str,
    /// Records at most; none where the query is not paginated.
    pub page_size: Option<u32>,
}

impl StateIterator {
    pub(crate) fn open(
        snapshot: &Snapshot,
        query: RangeQuery<'_>,
        done: Arc<AtomicBool>,
        capture: Option<Arc<Mutex<RangeCapture>>>,
    ) -> Result<Self, StoreError> {
        let range = snapshot.state_range(query.namespace, query.start.as_bytes(), query.end.as_bytes())?;
        Ok(Self {
            range: Some(range),
            page_left: query.page_size,
            capture,
            done,
        })
    }

    /// The next key; none at the end of the range, of the page or after [`Self::close`].
    ///
    /// # Errors
    /// When the database fails or the executor that opened the iterator is done.
    #[expect(
        clippy::should_implement_trait,
        reason = "fallible, and named as Fabric's ResultsIterator"
    )]
    pub fn next(&mut self) -> Result<Option<Kv>, SimulationError> {
        if self.done.load(Ordering::Acquire) {
            self.range = None;
            return Err(SimulationError::Done);
        }
        let record = match self.page_left {
            Some(0) => None,
            _ => self.advance()?,
        };
        self.page_left = self.page_left.map(|left| left.saturating_sub(1));
        if let Some(capture) = &self.capture {
            capture.lock().record(record.as_ref());
        }
        Ok(record)
    }

    /// The key where the next page starts, empty at the end of the range; closes the iterator.
    ///
    /// # Errors
    /// When the database fails.
    pub fn bookmark_and_close(&mut self) -> Result<String, SimulationError> {
        let following = self.advance()?;
        self.close();
        Ok(following.map(|record| record.key).unwrap_or_default())
    }

    /// Releases the snapshot.
    pub fn close(&mut self) {
        self.range = None;
    }

    fn advance(&mut self) -> Result<Option<Kv>, StoreError> {
        let Some(record) = self.range.as_mut().and_then(Iterator::next) else {
            return Ok(None);
        };
        let (key, stored) = record?;
        let stored = VersionedValue::decode(stored.value())?;
        let (_, key) = key.value();
        let key = String::from_utf8(key.to_vec());
        let key = key.map_err(|error| StoreError::Inconsistent(format!("key of the state: {error}")))?;
        Ok(Some(Kv {
            key,
            value: stored.value,
            version: stored.version,
        }))
    }
}

/// What a simulator's range query has seen so far.
pub(crate) struct RangeCapture {
    info: RangeQueryInfo,
    requested_end: String,
    results: Option<QueryResults>,
}

impl RangeCapture {
    pub fn new(start: &str, end: &str) -> Self {
        Self {
            info: RangeQueryInfo {
                start_key: start.to_owned(),
                ..Default::default()
            },
            requested_end: end.to_owned(),
            results: QueryResults::new(MAX_DEGREE),
        }
    }

    fn record(&mut self, record: Option<&Kv>) {
        let Some(record) = record else {
            self.info.itr_exhausted = true;
            self.info.end_key.clone_from(&self.requested_end);
            return;
        };
        self.info.end_key.clone_from(&record.key);
        if let Some(results) = &mut self.results {
            results.add(KvRead {
                key: record.key.clone(),
                version: Some(record.version.into()),
            });
        }
    }

    /// The record for the read-write set; nothing is collected afterwards.
    pub fn finish(&mut self) -> RangeQueryInfo {
        let mut info = self.info.clone();
        info.reads_info = match self.results.take().map(QueryResults::done) {
            Some(RangeQueryReads::Raw(kv_reads)) if !kv_reads.is_empty() => {
                Some(ReadsInfo::RawReads(QueryReads { kv_reads }))
            }
            Some(RangeQueryReads::Merkle(summary)) => Some(ReadsInfo::ReadsMerkleHashes(summary)),
            _ => None,
        };
        info
    }
}
