//! Ledgers from their genesis blocks on.

mod blocks;
mod history;
mod kill;
mod provider;
mod simulation;

fn is_shared<T: Send + Sync + 'static>() {}

fn is_sent<T: Send + 'static>() {}

#[test]
fn executors_travel_between_tasks() {
    is_shared::<crate::KvLedger>();
    is_shared::<crate::BlockStore>();
    is_shared::<crate::LedgerProvider>();
    is_shared::<crate::TxSimulator>();
    is_shared::<crate::QueryExecutor>();
    is_shared::<crate::HistoryQueryExecutor>();
    is_sent::<crate::StateIterator>();
    is_sent::<crate::HistoryIterator>();
}
