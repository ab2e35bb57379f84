//! Why reading, simulating or committing fails.

use std::path::PathBuf;

use prost::DecodeError;
use protos::{TxId, peer::TxValidationCode};

/// The database under a ledger fails, or holds what it should not.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database fails.
    #[error("ledger database failed")]
    Database(#[source] Box<redb::Error>),
    /// The database does not open.
    #[error("cannot open ledger database {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: Box<redb::DatabaseError>,
    },
    /// Another process has the database open.
    #[error("ledger database {} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A stored message does not decode.
    #[error("stored {what} is malformed")]
    Malformed {
        /// The message.
        what: &'static str,
        /// What the decoder said.
        #[source]
        source: DecodeError,
    },
    /// Stored facts contradict each other.
    #[error("ledger database is inconsistent: {0}")]
    Inconsistent(String),
}

macro_rules! database_error {
    ($($error:ty),*) => {
        $(impl From<$error> for StoreError {
            fn from(error: $error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        })*
    };
}

database_error!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::SetDurabilityError
);

/// Why a ledger does not answer.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such block (yet).
    #[error("no such block number [{0}] in index")]
    NoSuchBlockNumber(u64),
    /// There is no block with this hash.
    #[error("no such block hash [{0}] in index")]
    NoSuchBlockHash(String),
    /// There is no transaction with this id.
    #[error("no such transaction ID [{0}] in index")]
    NoSuchTxId(TxId),
    /// The history database is off.
    #[error("history database is not enabled")]
    HistoryDisabled,
}

/// Why a simulation or query does not go on.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The instance has been closed.
    #[error("this instance should not be used after calling Done()")]
    Done,
    /// Results were taken before.
    #[error("this function should only be called once on a transaction simulator instance")]
    ResultsTaken,
    /// A page was asked for after a write.
    #[error(
        "txid [{0}]: unsuppored transaction. Paginated queries are supported only in a read-only transaction"
    )]
    PaginatedAfterWrite(TxId),
    /// A write follows a paginated query.
    #[error(
        "txid [{0}]: unsuppored transaction. Transaction has already performed a paginated query. Writes are not allowed"
    )]
    WriteAfterPaginated(TxId),
    /// Rich queries need a document database.
    #[error("ExecuteQuery not supported for leveldb")]
    QueryUnsupported,
    /// So do those with pages.
    #[error("ExecuteQueryWithMetadata not supported for leveldb")]
    PaginatedQueryUnsupported,
    /// Private data is out of scope.
    #[error("private data is not supported by this peer")]
    PrivateDataUnsupported,
}

/// Why a block is not committed. Nothing of it is stored then, unless the database failed while it
/// committed; the ledger must be opened again after that.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part of the block is absent.
    #[error("block has no {0}")]
    Missing(&'static str),
    /// The block is not the next one.
    #[error("block number should have been {expected} but was {actual}")]
    WrongNumber {
        /// The next number.
        expected: u64,
        /// The block's number.
        actual: u64,
    },
    /// The block does not follow the last one.
    #[error(
        "unexpected Previous block hash. Expected PreviousHash = [{expected}], PreviousHash referred in the latest block= [{actual}]"
    )]
    WrongPreviousHash {
        /// Hash of the last block's header.
        expected: String,
        /// What the block says.
        actual: String,
    },
    /// The header's data hash is not the hash of the data.
    #[error("data hash of block [{0}] does not match its data")]
    WrongDataHash(u64),
    /// There is not one code per transaction.
    #[error("{codes} validation codes for {transactions} transactions")]
    WrongCodeCount {
        /// Number of codes.
        codes: usize,
        /// Number of transactions.
        transactions: usize,
    },
    /// A transaction was not judged.
    #[error("transaction {0} has not been validated ({code})", code = TxValidationCode::NotValidated.as_str_name())]
    NotValidated(usize),
}
