//! Simulating a transaction: reads come from one height of the ledger, writes go to a read-write set.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use protos::TxId;
use protos::rwset::TxPvtReadWriteSet;

use crate::error::{SimulationError, StoreError};
use crate::rwset::{RwSetBuilder, TxRwSet};
use crate::snapshot::Snapshot;
use crate::state::{VersionedValue, deserialize_metadata};
use crate::state_iterator::{RangeCapture, RangeQuery, StateIterator};

/// The metadata of a key: names and values, sorted by name.
pub type StateMetadata = BTreeMap<String, Bytes>;

/// A transaction in simulation. A simulator does not see its own writes.
pub struct TxSimulator {
    tx_id: TxId,
    snapshot: Arc<Snapshot>,
    done: Arc<AtomicBool>,
    simulation: Mutex<Simulation>,
}

#[derive(Default)]
struct Simulation {
    builder: RwSetBuilder,
    ranges: Vec<(String, Arc<Mutex<RangeCapture>>)>,
    write_performed: bool,
    paginated_query_performed: bool,
    results_taken: bool,
}

/// What a simulation amounts to.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulationResults {
    /// The public read-write set, serialized: what endorsers sign.
    pub public: Bytes,
    /// The same, decoded.
    pub rwset: TxRwSet,
    /// The private writes, if there are any.
    pub private: Option<TxPvtReadWriteSet>,
    /// The committed metadata of every key written, by namespace and key; empty where a key has none.
    pub writeset_metadata: BTreeMap<String, BTreeMap<String, StateMetadata>>,
}

impl TxSimulator {
    pub(crate) fn new(tx_id: TxId, snapshot: Arc<Snapshot>) -> Self {
        Self {
            tx_id,
            snapshot,
            done: Arc::default(),
            simulation: Mutex::default(),
        }
    }

    /// The transaction.
    #[must_use]
    pub fn tx_id(&self) -> &TxId {
        &self.tx_id
    }

    /// The number of blocks that this simulation sees.
    #[must_use]
    pub fn height(&self) -> u64 {
        self.snapshot.chain.height
    }

    /// The committed value of a key.
    ///
    /// # Errors
    /// When the database fails or the simulator is done.
    pub fn get_state(&self, namespace: &str, key: &str) -> Result<Option<Bytes>, SimulationError> {
        Ok(self.read(namespace, key)?.map(|stored| stored.value))
    }

    /// The committed values of several keys, in their order.
    ///
    /// # Errors
    /// When the database fails or the simulator is done.
    pub fn get_state_multiple_keys<K: AsRef<str>>(
        &self,
        namespace: &str,
        keys: &[K],
    ) -> Result<Vec<Option<Bytes>>, SimulationError> {
        let values = keys.iter().map(|key| self.get_state(namespace, key.as_ref()));
        values.collect()
    }

    /// The committed metadata of a key, empty where there is none. Counts as a read of the key.
    ///
    /// # Errors
    /// When the database fails or the simulator is done.
    pub fn get_state_metadata(&self, namespace: &str, key: &str) -> Result<StateMetadata, SimulationError> {
        let stored = self.read(namespace, key)?;
        Ok(stored.map_or_else(
            || Ok(StateMetadata::new()),
            |stored| deserialize_metadata(stored.metadata),
        )?)
    }

    /// Writes a key; an empty value deletes it.
    ///
    /// # Errors
    /// When the simulator is done or has made a paginated query.
    pub fn set_state(&self, namespace: &str, key: &str, value: Bytes) -> Result<(), SimulationError> {
        let mut simulation = self.simulation.lock();
        self.begin_write(&mut simulation)?;
        simulation.builder.add_write(namespace, key, value);
        Ok(())
    }

    /// Writes several keys.
    ///
    /// # Errors
    /// When the simulator is done or has made a paginated query.
    pub fn set_state_multiple_keys(
        &self,
        namespace: &str,
        values: impl IntoIterator<Item = (String, Bytes)>,
    ) -> Result<(), SimulationError> {
        let mut values = values.into_iter();
        values.try_for_each(|(key, value)| self.set_state(namespace, &key, value))
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// When the simulator is done or has made a paginated query.
    pub fn delete_state(&self, namespace: &str, key: &str) -> Result<(), SimulationError> {
        self.set_state(namespace, key, Bytes::new())
    }

    /// Replaces the metadata of a key; no entries remove it.
    ///
    /// # Errors
    /// When the simulator is done or has made a paginated query.
    pub fn set_state_metadata(
        &self,
        namespace: &str,
        key: &str,
        metadata: StateMetadata,
    ) -> Result<(), SimulationError> {
        let mut simulation = self.simulation.lock();
        self.begin_write(&mut simulation)?;
        simulation.builder.add_metadata_write(namespace, key, metadata);
        Ok(())
    }

    /// Removes the metadata of a key.
    ///
    /// # Errors
    /// When the simulator is done or has made a paginated query.
    pub fn delete_state_metadata(&self, namespace: &str, key: &str) -> Result<(), SimulationError> {
        self.set_state_metadata(namespace, key, StateMetadata::new())
    }

    /// The committed keys from `start` up to and without `end`, empty ends being those of the namespace.
    ///
    /// # Errors
    /// When the database fails or the simulator is done.
    pub fn get_state_range_scan(
        &self,
        namespace: &str,
        start: &str,
        end: &str,
    ) -> Result<StateIterator, SimulationError> {
        self.check_done()?;
        self.open_range(RangeQuery {
            namespace,
            start,
            end,
            page_size: None,
        })
    }

    /// As [`Self::get_state_range_scan`], ending after a number of records (0: no limit). Only for
    /// transactions that write nothing.
    ///
    /// # Errors
    /// When the database fails, the simulator is done or has written.
    pub fn get_state_range_scan_paginated(
        &self,
        namespace: &str,
        start: &str,
        end: &str,
        page_size: u32,
    ) -> Result<StateIterator, SimulationError> {
        self.begin_paginated_query()?;
        self.check_done()?;
        self.open_range(RangeQuery {
            namespace,
            start,
            end,
            page_size: (page_size > 0).then_some(page_size),
        })
    }

    /// Rich queries need a document database.
    ///
    /// # Errors
    /// Always.
    pub fn execute_query(&self, _namespace: &str, _query: &str) -> Result<StateIterator, SimulationError> {
        self.check_done()?;
        Err(SimulationError::QueryUnsupported)
    }

    /// Paginated rich queries need a document database.
    ///
    /// # Errors
    /// Always.
    pub fn execute_query_paginated(
        &self,
        _namespace: &str,
        _query: &str,
        _bookmark: &str,
        _page_size: u32,
    ) -> Result<StateIterator, SimulationError> {
        self.begin_paginated_query()?;
        self.check_done()?;
        Err(SimulationError::PaginatedQueryUnsupported)
    }

    /// Private data is out of scope.
    ///
    /// # Errors
    /// Always.
    pub fn get_private_data(
        &self,
        _namespace: &str,
        _collection: &str,
        _key: &str,
    ) -> Result<Option<Bytes>, SimulationError> {
        self.check_done()?;
        Err(SimulationError::PrivateDataUnsupported)
    }

    /// Private data is out of scope.
    ///
    /// # Errors
    /// Always.
    pub fn set_private_data(
        &self,
        _namespace: &str,
        _collection: &str,
        _key: &str,
        _value: Bytes,
    ) -> Result<(), SimulationError> {
        self.check_done()?;
        Err(SimulationError::PrivateDataUnsupported)
    }

    /// What was read and written, with the range queries as far as they got.
    ///
    /// # Errors
    /// When the database fails or the results were taken before.
    pub fn results(&self) -> Result<SimulationResults, SimulationError> {
        let mut simulation = self.simulation.lock();
        if std::mem::replace(&mut simulation.results_taken, true) {
            return Err(SimulationError::ResultsTaken);
        }
        let mut builder = std::mem::take(&mut simulation.builder);
        for (namespace, capture) in std::mem::take(&mut simulation.ranges) {
            builder.add_range_query(&namespace, capture.lock().finish());
        }
        drop(simulation);
        let writeset_metadata = self.writeset_metadata(&builder)?;
        let (rwset, private) = builder.build();
        Ok(SimulationResults {
            public: rwset.encode(),
            rwset,
            private,
            writeset_metadata,
        })
    }

    /// Ends the simulation and its iterators. Results can still be taken.
    pub fn done(&self) {
        self.done.store(true, Ordering::Release);
    }

    fn read(&self, namespace: &str, key: &str) -> Result<Option<VersionedValue>, SimulationError> {
        self.check_done()?;
        let stored = self.snapshot.state(namespace, key.as_bytes())?;
        let version = stored.as_ref().map(|stored| stored.version);
        self.simulation.lock().builder.add_read(namespace, key, version);
        Ok(stored)
    }

    fn open_range(&self, query: RangeQuery<'_>) -> Result<StateIterator, SimulationError> {
        let capture = Arc::new(Mutex::new(RangeCapture::new(query.start, query.end)));
        let done = Arc::clone(&self.done);
        let iterator = StateIterator::open(&self.snapshot, query, done, Some(Arc::clone(&capture)))?;
        let mut simulation = self.simulation.lock();
        simulation.ranges.push((query.namespace.to_owned(), capture));
        Ok(iterator)
    }

    fn begin_write(&self, simulation: &mut Simulation) -> Result<(), SimulationError> {
        self.check_done()?;
        if simulation.paginated_query_performed {
            return Err(SimulationError::WriteAfterPaginated(self.tx_id.clone()));
        }
        simulation.write_performed = true;
        Ok(())
    }

    fn begin_paginated_query(&self) -> Result<(), SimulationError> {
        let mut simulation = self.simulation.lock();
        if simulation.write_performed {
            return Err(SimulationError::PaginatedAfterWrite(self.tx_id.clone()));
        }
        simulation.paginated_query_performed = true;
        Ok(())
    }

    fn check_done(&self) -> Result<(), SimulationError> {
        match self.done.load(Ordering::Acquire) {
            true => Err(SimulationError::Done),
            false => Ok(()),
        }
    }

    fn writeset_metadata(
        &self,
        builder: &RwSetBuilder,
    ) -> Result<BTreeMap<String, BTreeMap<String, StateMetadata>>, StoreError> {
        let mut found: BTreeMap<String, BTreeMap<String, StateMetadata>> = BTreeMap::new();
        for (namespace, key) in builder.written_keys() {
            let stored = self.snapshot.state(namespace, key.as_bytes())?;
            let metadata = stored.map_or_else(
                || Ok(StateMetadata::new()),
                |stored| deserialize_metadata(stored.metadata),
            )?;
            let keys = found.entry(namespace.to_owned()).or_default();
            keys.insert(key.to_owned(), metadata);
        }
        Ok(found)
    }
}
