//! What the endorser asks of others: chaincode to be run, input to be decorated.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use chaincode::{
    ChaincodeSupport, DefinitionError, ExecuteError, ExecuteOutcome, Invocation, LIFECYCLE, LSCC,
    TransactionParams,
};
use protos::UnpackedProposal;
use protos::peer::{ChaincodeData, ChaincodeInput};

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
