//! System chaincode: part of the peer, called directly instead of over a stream.

use async_trait::async_trait;
use protos::peer::{ChaincodeEvent, ChaincodeInput, Response};

use crate::transaction::TransactionParams;

/// A chaincode that is part of the peer.
#[async_trait]
pub trait SystemChaincode: Send + Sync {
    /// The name it is called by.
    fn name(&self) -> &'static str;

    /// Whether a proposal may name it.
    fn invokable_external(&self) -> bool;

    /// Whether chaincode may call it.
    fn invokable_cc2cc(&self) -> bool;

    /// Runs one transaction. A failure is a response with status 500.
    async fn invoke(&self, params: &TransactionParams, input: &ChaincodeInput) -> SccOutcome;
}

/// What a system chaincode answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SccOutcome {
    /// The response.
    pub response: Response,
    /// An event; ids in it are set by the caller.
    pub event: Option<ChaincodeEvent>,
}

impl From<Response> for SccOutcome {
    fn from(response: Response) -> Self {
        Self {
            response,
            event: None,
        }
    }
}
