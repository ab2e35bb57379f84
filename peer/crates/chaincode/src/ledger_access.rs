//! The ledger operations that chaincode needs, in the shape that the requests use them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ledger::{
    HistoryIterator, HistoryQueryExecutor, KvLedger, LedgerError, SimulationError, StateIterator, TxSimulator,
};
use prost::Message;
use protos::TxId;
use protos::peer::StateMetadata;
use protos::queryresult::Kv;

/// The ledger refuses or fails.
#[derive(Debug, thiserror::Error)]
pub enum LedgerAccessError {
    /// The simulator refuses or fails.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// The ledger refuses or fails.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Records of a query, each encoded as chaincode gets it.
pub trait ResultsIterator: Send {
    /// The next record; none at the end.
    fn next(&mut self) -> Result<Option<Bytes>, LedgerAccessError>;

    /// Where the next page starts; empty if there is none. The iterator is of no use afterwards.
    fn bookmark(&mut self) -> Result<String, LedgerAccessError>;
}

type Records = Result<Box<dyn ResultsIterator>, LedgerAccessError>;

struct KeyValues {
    namespace: String,
    iterator: StateIterator,
}

impl ResultsIterator for KeyValues {
    fn next(&mut self) -> Result<Option<Bytes>, LedgerAccessError> {
        let record = self.iterator.next()?.map(|record| Kv {
            namespace: self.namespace.clone(),
            key: record.key,
            value: record.value,
        });
        Ok(record.map(|record| record.encode_to_vec().into()))
    }

    fn bookmark(&mut self) -> Result<String, LedgerAccessError> {
        Ok(self.iterator.bookmark_and_close()?)
    }
}

impl ResultsIterator for HistoryIterator {
    fn next(&mut self) -> Result<Option<Bytes>, LedgerAccessError> {
        let record = HistoryIterator::next(self)?;
        Ok(record.map(|record| record.encode_to_vec().into()))
    }

    fn bookmark(&mut self) -> Result<String, LedgerAccessError> {
        Ok(String::new())
    }
}

/// The committed value of a key.
pub fn get_state(
    simulator: &TxSimulator,
    namespace: &str,
    key: &str,
) -> Result<Option<Bytes>, LedgerAccessError> {
    Ok(simulator.get_state(namespace, key)?)
}

/// Writes a key. Stays in memory.
pub fn set_state(
    simulator: &TxSimulator,
    namespace: &str,
    key: &str,
    value: Bytes,
) -> Result<(), LedgerAccessError> {
    Ok(simulator.set_state(namespace, key, value)?)
}

/// Deletes a key. Stays in memory.
pub fn delete_state(simulator: &TxSimulator, namespace: &str, key: &str) -> Result<(), LedgerAccessError> {
    Ok(simulator.delete_state(namespace, key)?)
}

/// The metadata of a key, sorted by name.
pub fn get_state_metadata(
    simulator: &TxSimulator,
    namespace: &str,
    key: &str,
) -> Result<BTreeMap<String, Bytes>, LedgerAccessError> {
    Ok(simulator.get_state_metadata(namespace, key)?)
}

/// Replaces the metadata of a key by this one entry, as Fabric does.
pub fn set_state_metadata(
    simulator: &TxSimulator,
    namespace: &str,
    key: &str,
    metadata: StateMetadata,
) -> Result<(), LedgerAccessError> {
    let metadata = BTreeMap::from([(metadata.metakey, metadata.value)]);
    Ok(simulator.set_state_metadata(namespace, key, metadata)?)
}

/// All records of a range.
pub fn range(simulator: &TxSimulator, namespace: &str, start: &str, end: &str) -> Records {
    let iterator = simulator.get_state_range_scan(namespace, start, end)?;
    Ok(key_values(namespace, iterator))
}

/// One page of a range.
pub fn page(simulator: &TxSimulator, namespace: &str, range: (&str, &str), page_size: u32) -> Records {
    let (start, end) = range;
    let iterator = simulator.get_state_range_scan_paginated(namespace, start, end, page_size)?;
    Ok(key_values(namespace, iterator))
}

/// The results of a rich query.
pub fn rich_query(simulator: &TxSimulator, namespace: &str, query: &str) -> Records {
    let iterator = simulator.execute_query(namespace, query)?;
    Ok(key_values(namespace, iterator))
}

/// One page of a rich query.
pub fn rich_query_page(simulator: &TxSimulator, namespace: &str, query: &str, page: (&str, u32)) -> Records {
    let (bookmark, page_size) = page;
    let iterator = simulator.execute_query_paginated(namespace, query, bookmark, page_size)?;
    Ok(key_values(namespace, iterator))
}

/// All changes of a key.
pub fn history(history: &HistoryQueryExecutor, namespace: &str, key: &str) -> Records {
    Ok(Box::new(history.get_history_for_key(namespace, key)?))
}

/// A simulator on another channel's ledger, and its history if it keeps one. Touches no disk.
pub fn open(ledger: &KvLedger, tx_id: &TxId) -> (Arc<TxSimulator>, Option<Arc<HistoryQueryExecutor>>) {
    let simulator = Arc::new(ledger.new_tx_simulator(tx_id));
    // the only error there is: history is off
    let history = ledger.history_query_executor().ok().map(Arc::new);
    (simulator, history)
}

fn key_values(namespace: &str, iterator: StateIterator) -> Box<dyn ResultsIterator> {
    Box::new(KeyValues {
        namespace: namespace.into(),
        iterator,
    })
}
