//! Everything before chaincode runs: the checks of a proposal, and what its simulation needs.

use std::sync::Arc;

use chaincode::TransactionParams;
use channel::{AclError, Channel, Channels, proposal_signature};
use msp::Identity;
use protos::{TxId, UnpackedProposal, wire_message};

use crate::executor::Executor;
use crate::simulate::SimulateError;
use crate::validate::{ValidateError, validate};

/// The resource that a proposal for user chaincode needs.
const PROPOSE: &str = "peer/Propose";
/// System chaincodes that read blocks, not state: they get no simulator.
const WITHOUT_SIMULATOR: [&str; 2] = ["qscc", "cscc"];
/// The version that endorsements of system chaincode bear.
const SYSTEM_VERSION: &str = "syscc";
/// The plugin that endorses what system chaincode did.
const ENDORSEMENT_PLUGIN: &str = "escc";

/// Why a proposal is rejected before anything runs. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum PreProcessError {
    /// The proposal is malformed or not its creator's.
    #[error("error validating proposal")]
    Invalid(#[from] ValidateError),
    /// The target is a system chaincode for the peer's own use.
    #[error("chaincode {0} cannot be invoked through a proposal")]
    NotInvokable(String),
    /// The transaction is on the ledger, valid or not.
    #[error("duplicate transaction found [{tx_id}]. Creator [{creator}]")]
    Duplicate {
        /// The transaction.
        tx_id: TxId,
        /// Its creator, in hexadecimal.
        creator: String,
    },
    /// The channel does not let the creator propose.
    #[error(transparent)]
    Acl(#[from] AclError),
}

/// A proposal that may run, with what it runs with.
pub(crate) struct Prepared {
    pub(crate) proposal: Arc<UnpackedProposal>,
    pub(crate) params: Arc<TransactionParams>,
    /// The version that runs and is endorsed.
    pub(crate) version: String,
    /// The plugin that endorses.
    pub(crate) endorsement_plugin: String,
}

/// What ends a proposal before its chaincode runs.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// A gRPC error.
    Rejected(PreProcessError),
    /// A response with status 500.
    Failed(SimulateError),
}

impl<E: Into<PreProcessError>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Rejected(error.into())
    }
}

/// Checks a proposal and prepares its simulation. Verifies signatures and reads the ledger: called where blocking
/// is allowed.
pub(crate) fn prepare(
    channels: &Channels,
    executor: &dyn Executor,
    proposal: Arc<UnpackedProposal>,
) -> Result<Prepared, Stopped> {
    if proposal.channel.is_empty() {
        validate(&proposal, channels.local_msp().identities())?;
        check_invokable(executor, &proposal)?;
        return define(executor, params(&proposal, None), proposal);
    }
    let Some(channel) = channels.get(&proposal.channel) else {
        return Err(Stopped::Failed(SimulateError::NoChannel(
            proposal.channel.to_string(),
        )));
    };
    check(executor, &channel, &proposal)?;
    let simulated = !WITHOUT_SIMULATOR.contains(&proposal.chaincode.as_str());
    define(
        executor,
        params(&proposal, simulated.then_some(&*channel)),
        proposal,
    )
}

/// The checks in Fabric 2.5's order.
fn check(
    executor: &dyn Executor,
    channel: &Channel,
    proposal: &UnpackedProposal,
) -> Result<(), PreProcessError> {
    let bundle = channel.bundle();
    let creator = validate(proposal, bundle.msp_manager())?;
    check_invokable(executor, proposal)?;
    check_duplicate(channel, proposal)?;
    if executor.is_system_chaincode(&proposal.chaincode) {
        return Ok(());
    }
    check_propose(channel, proposal, creator)
}

/// The creator's signature was verified a moment ago: the policy is asked without verifying it again. Only a
/// refusal goes the long way, which words it.
fn check_propose(
    channel: &Channel,
    proposal: &UnpackedProposal,
    creator: Arc<Identity>,
) -> Result<(), PreProcessError> {
    let bundle = channel.bundle();
    let allowed = |policy: &str| bundle.policies().evaluate_identities(policy, &[creator]).is_ok();
    if bundle.resource_policy(PROPOSE).is_some_and(allowed) {
        return Ok(());
    }
    Ok(channel.check_acl(PROPOSE, &proposal_signature(proposal))?)
}

fn check_invokable(executor: &dyn Executor, proposal: &UnpackedProposal) -> Result<(), PreProcessError> {
    if executor.is_invokable_externally(&proposal.chaincode) {
        return Ok(());
    }
    Err(PreProcessError::NotInvokable(proposal.chaincode.clone()))
}

/// A ledger that cannot be read counts as "not found", as in Fabric: what follows fails on it anyhow.
fn check_duplicate(channel: &Channel, proposal: &UnpackedProposal) -> Result<(), PreProcessError> {
    match channel.ledger().tx_exists(&proposal.tx_id) {
        Ok(false) => Ok(()),
        Ok(true) => Err(PreProcessError::Duplicate {
            tx_id: proposal.tx_id.clone(),
            creator: hex::encode(&proposal.signature_header.creator),
        }),
        Err(error) => {
            tracing::error!(error = wire_message(&error), "could not look up a transaction id");
            Ok(())
        }
    }
}

fn params(proposal: &Arc<UnpackedProposal>, simulated: Option<&Channel>) -> TransactionParams {
    let ledger = simulated.map(Channel::ledger);
    TransactionParams {
        channel: proposal.channel.clone(),
        tx_id: proposal.tx_id.clone(),
        signed_proposal: Some(Arc::clone(proposal)),
        simulator: ledger.map(|ledger| Arc::new(ledger.new_tx_simulator(&proposal.tx_id))),
        // none when the history database is off; chaincode that asks for history is told so
        history: ledger
            .and_then(|ledger| ledger.history_query_executor().ok())
            .map(Arc::new),
        invoked_by: None,
    }
}

/// Looks up what runs: the definition of user chaincode, whose read is part of the transaction.
fn define(
    executor: &dyn Executor,
    params: TransactionParams,
    proposal: Arc<UnpackedProposal>,
) -> Result<Prepared, Stopped> {
    let (version, endorsement_plugin) = if executor.is_system_chaincode(&proposal.chaincode) {
        (SYSTEM_VERSION.to_owned(), ENDORSEMENT_PLUGIN.to_owned())
    } else {
        let definition = executor
            .definition(&params, &proposal.chaincode)
            .map_err(|source| {
                Stopped::Failed(SimulateError::Definition {
                    chaincode: proposal.chaincode.clone(),
                    channel: proposal.channel.to_string(),
                    source: Box::new(source),
                })
            })?;
        (definition.version, definition.escc)
    };
    Ok(Prepared {
        proposal,
        params: Arc::new(params),
        version,
        endorsement_plugin,
    })
}
