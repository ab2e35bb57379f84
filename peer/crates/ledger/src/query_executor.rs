//! Reading the state without recording it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::error::SimulationError;
use crate::snapshot::Snapshot;
use crate::state::{VersionedValue, deserialize_metadata};
use crate::state_iterator::{RangeQuery, StateIterator};
use crate::update_batch::{hashes_of, state_namespace};

/// Reads of the state at one height.
pub struct QueryExecutor {
    snapshot: Arc<Snapshot>,
    done: Arc<AtomicBool>,
}

impl QueryExecutor {
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            snapshot,
            done: Arc::default(),
        }
    }

    /// The number of blocks that this executor sees.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.snapshot.chain.height
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the database fails or the executor is done.
    pub fn get_state(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, SimulationError> {
        Ok(self.read(namespace, key)?.map(|stored| stored.value))
    }

    /// The values of several keys, in their order.
    ///
    /// # Errors
    /// When the database fails or the executor is done.
    pub fn get_state_multiple_keys<K: AsRef<str>>(
        &self,
        namespace: &str,
        keys: &[K],
    ) -> Result<Vec<Option<Bytes>>, SimulationError> {
        let values = keys.iter().map(|key| self.get_state(namespace, key.as_ref()));
        values.collect()
    }

    /// The metadata of a key, empty where there is none.
    ///
    /// # Errors
    /// When the database fails or the executor is done.
    pub fn get_state_metadata(
        &self,
        namespace: &str,
        key: &str,
    ) -> Result<BTreeMap<String, Bytes>, SimulationError> {
        let stored = self.read(namespace, key)?;
        Ok(stored.map_or_else(
            || Ok(BTreeMap::new()),
            |stored| deserialize_metadata(stored.metadata),
        )?)
    }

    /// The metadata of a key of a private collection, found by the key's hash, empty where there is none.
    ///
    /// # Errors
    /// When the database fails or the executor is done.
    pub fn get_private_data_metadata_by_hash(
        &self,
        namespace: &str,
        collection: &str,
        key_hash: &[u8],
    ) -> Result<BTreeMap<String, Bytes>, SimulationError> {
        self.check_done()?;
        let place = state_namespace(namespace, hashes_of(collection));
        let stored = self.snapshot.state(&place, key_hash)?;
        Ok(stored.map_or_else(
            || Ok(BTreeMap::new()),
            |stored| deserialize_metadata(stored.metadata),
        )?)
    }

    /// The keys from `start` up to and without `end`, empty ends being those of the namespace.
    ///
    /// # Errors
    /// When the database fails or the executor is done.
    pub fn get_state_range_scan(
        &self,
        namespace: &str,
        start: &str,
        end: &str,
    ) -> Result<StateIterator, SimulationError> {
        let query = RangeQuery {
            namespace,
            start,
            end,
            page_size: None,
        };
        self.check_done()?;
        Ok(StateIterator::open(
            &self.snapshot,
            query,
            Arc::clone(&self.done),
            None,
        )?)
    }

    /// As [`Self::get_state_range_scan`], ending after a number of records (0: no limit).
    ///
    /// # Errors
    /// When the database fails or the executor is done.
    pub fn get_state_range_scan_paginated(
        &self,
        namespace: &str,
        start: &str,
        end: &str,
        page_size: u32,
    ) -> Result<StateIterator, SimulationError> {
        let query = RangeQuery {
            namespace,
            start,
            end,
            page_size: (page_size > 0).then_some(page_size),
        };
        self.check_done()?;
        Ok(StateIterator::open(
            &self.snapshot,
            query,
            Arc::clone(&self.done),
            None,
        )?)
    }

    /// Rich queries need a document database.
    ///
    /// # Errors
    /// Always.
    pub fn execute_query(&self, _namespace: &str, _query: &str) -> Result<StateIterator, SimulationError> {
        self.check_done()?;
        Err(SimulationError::QueryUnsupported)
    }

    /// Ends the executor and its iterators.
    pub fn done(&self) {
        self.done.store(true, Ordering::Release);
    }

    fn read(&self, namespace: &str, key: &str) -> Result<Option<VersionedValue>, SimulationError> {
        self.check_done()?;
        Ok(self.snapshot.state(namespace, key.as_bytes())?)
    }

    fn check_done(&self) -> Result<(), SimulationError> {
        match self.done.load(Ordering::Acquire) {
            true => Err(SimulationError::Done),
            false => Ok(()),
        }
    }
}
