//! What an execution is given and what it yields.

use std::sync::Arc;

use ledger::{HistoryQueryExecutor, TxSimulator};
use protos::peer::{ChaincodeEvent, ChaincodeInput, Response};
use protos::{ChaincodeId, ChannelId, TxId, UnpackedProposal};

/// The transaction that chaincode runs in. A chaincode called by another one on the same channel shares
/// simulator and history with its caller.
#[derive(Clone)]
pub struct TransactionParams {
    /// The channel; empty for a proposal that names none.
    pub channel: ChannelId,
    /// The transaction.
    pub tx_id: TxId,
    /// The client's proposal; none for executions of the peer's own.
    pub signed_proposal: Option<Arc<UnpackedProposal>>,
    /// The simulator; none where no ledger is involved.
    pub simulator: Option<Arc<TxSimulator>>,
    /// History queries; none where the history database is off.
    pub history: Option<Arc<HistoryQueryExecutor>>,
    /// The chaincode that calls, if a chaincode does.
    pub invoked_by: Option<String>,
}

/// Which of a chaincode's two entry points is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvocationKind {
    /// INIT: legacy instantiation and upgrade.
    Init,
    /// TRANSACTION.
    Transaction,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Name and version of the definition.
    pub chaincode: ChaincodeId,
    /// Arguments and decorations.
    pub input: ChaincodeInput,
    /// The entry point.
    pub kind: InvocationKind,
}

/// What a chaincode answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecuteOutcome {
    /// The response, whatever its status.
    pub response: Response,
    /// The event, with chaincode and transaction id set by the peer.
    pub event: Option<ChaincodeEvent>,
}
