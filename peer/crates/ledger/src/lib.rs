//! The ledger of a channel: blocks, state, history, simulation and MVCC commit.
//!
//! One `redb` file per channel. A block, its index entries, the state and history changes and the
//! savepoint are one transaction of it; a simulator reads one snapshot of it and holds up no commit.
//!
//! Not here: signatures and endorsement policies (the committer judges them before it commits) and
//! private data (its hashes in public read-write sets are honoured, its plaintext is out of scope).

#![forbid(unsafe_code)]

mod block_index;
mod block_store;
mod chain_state;
mod commit;
mod commit_hash;
mod config;
mod error;
mod history;
mod kv_ledger;
mod mvcc;
mod provider;
mod query_executor;
mod rwset;
mod simulator;
mod snapshot;
mod state;
mod state_iterator;
mod store;
mod tables;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;
mod transaction;
mod update_batch;
mod version;

pub use block_store::BlockStore;
pub use commit::CommittedBlock;
pub use config::Config;
pub use error::{CommitError, LedgerError, SimulationError, StoreError};
pub use history::{HistoryIterator, HistoryQueryExecutor};
pub use kv_ledger::KvLedger;
pub use provider::{CreateError, LedgerProvider, ProviderError};
pub use query_executor::QueryExecutor;
pub use rwset::{CollHashedRwSet, NsRwSet, RwSetBuilder, TxRwSet};
pub use simulator::{SimulationResults, StateMetadata, TxSimulator};
pub use state_iterator::{Kv, StateIterator};
pub use version::Version;
