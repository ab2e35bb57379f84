//! What the endorser asks of others: chaincode to be run, input to be decorated, results to be endorsed.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chaincode::{
    ChaincodeSupport, DefinitionError, ExecuteError, ExecuteOutcome, Invocation, LIFECYCLE, LSCC,
    TransactionParams,
};
use protos::UnpackedProposal;
use protos::peer::{ChaincodeData, ChaincodeInput, Endorsement};

use crate::endorse::EndorsingPeer;

/// Runs chaincode.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Whether the name is one of a system chaincode.
    fn is_system_chaincode(&self, name: &str) -> bool;

    /// Whether the state below this name is a system chaincode's, be it enabled or not.
    fn is_system_namespace(&self, name: &str) -> bool {
        [LSCC, LIFECYCLE].contains(&name) || self.is_system_chaincode(name)
    }

    /// Whether a proposal may name the chaincode.
    fn is_invokable_externally(&self, name: &str) -> bool;

    /// The definition of a user chaincode, if the installed package fits it. The read is part of the
    /// transaction. Called where blocking is allowed.
    ///
    /// # Errors
    /// When there is no definition, or no package that fits it.
    fn definition(&self, params: &TransactionParams, name: &str) -> Result<ChaincodeData, DefinitionError>;

    /// Runs a transaction.
    ///
    /// # Errors
    /// When the chaincode yields no response.
    async fn execute(
        &self,
        params: Arc<TransactionParams>,
        invocation: Invocation,
    ) -> Result<ExecuteOutcome, ExecuteError>;
}

#[async_trait]
impl Executor for ChaincodeSupport {
    fn is_system_chaincode(&self, name: &str) -> bool {
        ChaincodeSupport::is_system_chaincode(self, name)
    }

    fn is_invokable_externally(&self, name: &str) -> bool {
        self.system_chaincode(name)
            .is_none_or(|chaincode| chaincode.invokable_external())
    }

    fn definition(&self, params: &TransactionParams, name: &str) -> Result<ChaincodeData, DefinitionError> {
        let definition = ChaincodeSupport::definition(self, params, name)?;
        self.packages()
            .check(&definition)
            .map_err(DefinitionError::Security)?;
        Ok(definition)
    }

    async fn execute(
        &self,
        params: Arc<TransactionParams>,
        invocation: Invocation,
    ) -> Result<ExecuteOutcome, ExecuteError> {
        ChaincodeSupport::execute(self, params, invocation).await
    }
}

/// The configured decorators, for one request. What the client put into the decorations is gone when they are
/// called.
#[async_trait]
pub trait Decorators: Send + Sync {
    /// The input that the chaincode gets.
    ///
    /// # Errors
    /// When a decorator fails, and with it the proposal.
    async fn decorate(
        &self,
        proposal: &UnpackedProposal,
        input: ChaincodeInput,
    ) -> Result<ChaincodeInput, Box<dyn Error + Send + Sync>>;
}

/// What an endorsement plugin made.
#[derive(Clone, Debug)]
pub struct Endorsed {
    /// The endorsement.
    pub endorsement: Endorsement,
    /// The payload that was endorsed, if it is not the given one.
    pub payload: Option<Bytes>,
}

/// Why a plugin did not endorse.
#[derive(Debug)]
pub enum EndorseFailure {
    /// There is no plugin of this name.
    Unknown,
    /// It failed or refused.
    Failed(Box<dyn Error + Send + Sync>),
}

/// The configured endorsement plugins, for one request.
#[async_trait]
pub trait Endorsers: Send + Sync {
    /// Has a plugin endorse a payload on this thread, where blocking is allowed. `None`: it runs on threads of its own,
    /// and [`Endorsers::endorse`] waits for it.
    fn endorse_here(
        &self,
        plugin: &str,
        payload: &Bytes,
        peer: &EndorsingPeer,
    ) -> Option<Result<Endorsed, EndorseFailure>>;

    /// Has a plugin endorse a payload on its own threads.
    ///
    /// # Errors
    /// When it does not endorse.
    async fn endorse(
        &self,
        plugin: &str,
        payload: &Bytes,
        peer: &EndorsingPeer,
    ) -> Result<Endorsed, EndorseFailure>;
}
