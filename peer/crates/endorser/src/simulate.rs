//! Running the chaincode of a proposal, and what it read and wrote.

use std::error::Error;
use std::sync::Arc;

use chaincode::{
    DefinitionError, ExecuteError, ExecuteOutcome, Invocation, InvocationKind, TransactionParams,
};
use ledger::SimulationError;
use protos::peer::{ChaincodeInput, ChaincodeInterest};
use protos::{ChaincodeId, clamped};

use crate::executor::{Decorators, Executor};
use crate::interest::{InterestError, interest};
use crate::legacy_init::{self, LegacyInitError};
use crate::pre_process::Prepared;

/// From this status on a response is not endorsed (Fabric `shim.ERRORTHRESHOLD`).
pub(crate) const ERROR_THRESHOLD: i32 = 400;

/// Why a proposal that was let in gets a response with status 500. The texts are Fabric 2.5's.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The peer has not joined the channel.
    #[error("channel '{}' not found", clamped(.0))]
    NoChannel(String),
    /// The channel has no usable definition of the chaincode.
    #[error(
        "make sure the chaincode {} has been successfully defined on channel {channel} and try again",
        clamped(.chaincode)
    )]
    Definition {
        /// The chaincode.
        chaincode: String,
        /// The channel.
        channel: String,
        /// Why.
        #[source]
        source: Box<DefinitionError>,
    },
    /// The chaincode could not be run or what it did could not be taken.
    #[error("error in simulation")]
    Simulation(#[from] SimulationFailure),
    /// The peer does not endorse as the definition demands.
    #[error(
        "endorsing with plugin failed: plugin with name {0} could not be used: plugin with name {0} wasn't found"
    )]
    Plugin(String),
    /// The plugin failed or refused.
    #[error("endorsing with plugin failed: {}", protos::wire_message(&**.0))]
    Endorsing(Box<dyn Error + Send + Sync>),
    /// A task broke off; a bug. The client learns no more than that.
    #[error("internal error")]
    Broken,
}

/// What went wrong in the simulation itself.
#[derive(Debug, thiserror::Error)]
pub enum SimulationFailure {
    /// A decorator failed.
    #[error("{}", protos::wire_message(&**.0))]
    Decorator(Box<dyn Error + Send + Sync>),
    /// The chaincode yielded no response.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// A deployment was stopped after LSCC had accepted it.
    #[error(transparent)]
    LegacyInit(#[from] LegacyInitError),
    /// The results could not be taken.
    #[error(transparent)]
    Results(#[from] SimulationError),
    /// Nobody could say who has to endorse the results.
    #[error(transparent)]
    Interest(#[from] InterestError),
    /// A deployment wrote private data.
    #[error("Private data is forbidden to be used in instantiate")]
    PrivateInInstantiate,
    /// Private data cannot be handed to other peers, so it must not get lost either.
    #[error("private data is not supported by this peer")]
    Private,
}

/// Runs the chaincode; a deployment also runs the `Init` of what it deploys.
pub(crate) async fn simulate(
    executor: &dyn Executor,
    decorators: &dyn Decorators,
    prepared: &Prepared,
) -> Result<ExecuteOutcome, SimulationFailure> {
    let input = decorated(decorators, prepared).await?;
    let chaincode = ChaincodeId::new(&prepared.proposal.chaincode, &prepared.version);
    let args = input.args.clone();
    let invocation = Invocation {
        chaincode,
        input,
        kind: InvocationKind::Transaction,
    };
    let mut outcome = executor.execute(Arc::clone(&prepared.params), invocation).await?;
    if outcome.response.status >= ERROR_THRESHOLD {
        outcome.event = None;
        return Ok(outcome);
    }
    if prepared.proposal.chaincode == "lscc" {
        legacy_init::run(executor, &prepared.params, &args).await?;
    }
    Ok(outcome)
}

async fn decorated(
    decorators: &dyn Decorators,
    prepared: &Prepared,
) -> Result<ChaincodeInput, SimulationFailure> {
    let mut input = prepared.proposal.input.clone();
    input.decorations.clear();
    let decorated = decorators.decorate(&prepared.proposal, input).await;
    decorated.map_err(SimulationFailure::Decorator)
}

/// What a simulation came to.
#[derive(Default)]
pub(crate) struct Results {
    /// The public read-write set, serialized; empty without simulator.
    pub(crate) public: bytes::Bytes,
    /// The chaincode concerned; none without simulator.
    pub(crate) interest: Option<ChaincodeInterest>,
}

/// Takes the results. Reads the ledger.
pub(crate) fn results(
    executor: &dyn Executor,
    params: &TransactionParams,
    chaincode: &str,
) -> Result<Results, SimulationFailure> {
    let Some(simulator) = &params.simulator else {
        return Ok(Results::default());
    };
    simulator.done();
    let results = simulator.results()?;
    match (&results.private, chaincode) {
        (None, _) => {}
        (Some(_), "lscc") => return Err(SimulationFailure::PrivateInInstantiate),
        (Some(_), _) => return Err(SimulationFailure::Private),
    }
    let interest = interest(&results, |name| executor.is_system_namespace(name))?;
    Ok(Results {
        public: results.public,
        interest: Some(interest),
    })
}
