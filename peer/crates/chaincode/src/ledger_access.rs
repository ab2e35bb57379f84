//! The ledger operations that chaincode needs, in the shape that the requests use them.

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use ledger::{HistoryQueryExecutor, KvLedger, TxSimulator};
use protos::TxId;
use protos::peer::StateMetadata;

/// The ledger refuses or fails.
#[derive(Debug, thiserror::Error)]
pub enum LedgerAccessError {
    /// This state database cannot do it.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The ledger's own error.
    #[error("{}", protos::wire_message(&**.0))]
    Ledger(Box<dyn Error + Send + Sync>),
    /// The access ended without an answer; a bug.
    #[error("the ledger access ended without an answer")]
    Lost(#[source] tokio::task::JoinError),
}

/// Records of a query, each encoded as chaincode gets it.
pub trait ResultsIterator: Send {
    /// The next record; none at the end.
    fn next(&mut self) -> Result<Option<Bytes>, LedgerAccessError>;

    /// Where the next page starts; empty if there is none.
    fn bookmark(&mut self) -> String;
}

type Records = Result<Box<dyn ResultsIterator>, LedgerAccessError>;
pub fn get_state(_: &TxSimulator, _: &str, _: &str) -> Result<Option<Bytes>, LedgerAccessError> {
    Ok(None)
}
pub fn set_state(_: &TxSimulator, _: &str, _: &str, _: Bytes) -> Result<(), LedgerAccessError> {
    Ok(())
}
pub fn delete_state(_: &TxSimulator, _: &str, _: &str) -> Result<(), LedgerAccessError> {
    Ok(())
}
pub fn get_state_metadata(
    _: &TxSimulator,
    _: &str,
    _: &str,
) -> Result<Vec<(String, Bytes)>, LedgerAccessError> {
    Ok(vec![])
}
pub fn set_state_metadata(
    _: &TxSimulator,
    _: &str,
    _: &str,
    _: StateMetadata,
) -> Result<(), LedgerAccessError> {
    Ok(())
}
pub fn range(_: &TxSimulator, _: &str, _: &str, _: &str) -> Records {
    Err(LedgerAccessError::Unsupported("x"))
}
pub fn page(_: &TxSimulator, _: &str, _: (&str, &str), _: u32) -> Records {
    Err(LedgerAccessError::Unsupported("x"))
}
pub fn rich_query(_: &TxSimulator, _: &str, _: &str, _: bool) -> Records {
    Err(LedgerAccessError::Unsupported("x"))
}
pub fn history(_: &HistoryQueryExecutor, _: &str, _: &str) -> Records {
    Err(LedgerAccessError::Unsupported("x"))
}
pub async fn open(
    _: Arc<KvLedger>,
    _: TxId,
) -> Result<(Arc<TxSimulator>, Option<Arc<HistoryQueryExecutor>>), LedgerAccessError> {
    Err(LedgerAccessError::Unsupported("x"))
}
