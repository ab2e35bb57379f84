//! `ProcessProposal`: the way of a proposal through the endorser.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use channel::Channels;
use protos::peer::{ChaincodeInterest, ProposalResponse, Response};
use protos::{UnpackError, UnpackedProposal, wire_message};

use chaincode::ExecuteOutcome;

use crate::endorse::{EndorsingPeer, response_payload};
use crate::executor::{Decorators, EndorseFailure, Endorsed, Endorsers, Executor};
use crate::metrics::Metrics;
use crate::pre_process::{Prepared, Stopped, prepare};
use crate::reply::{self, Fate, RejectedProposal};
use crate::simulate::{Results, SimulateError, results, simulate};

/// What an endorser is made of.
pub struct Parts {
    /// The peer's channels, with its own MSP.
    pub channels: Arc<Channels>,
    /// Runs chaincode.
    pub chaincodes: Arc<dyn Executor>,
}

/// The endorser. Cloning counts references.
#[derive(Clone)]
pub struct Endorser {
    parts: Arc<Parts>,
    metrics: Arc<Metrics>,
}

impl Endorser {
    /// Puts an endorser together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Arc::new(parts),
            metrics: Arc::new(Metrics::new()),
        }
    }

    /// What it has counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Checks, simulates and endorses a proposal. The caller runs it in a task of its own: once begun it goes on
    /// to its end. `decorators` edit this proposal's input and `endorsers` endorse its results: they may know more of the
    /// request than is in it.
    ///
    /// # Errors
    /// With the text of a gRPC status when the proposal is malformed, or not allowed. Whatever goes
    /// wrong later is a response with status 500.
    pub async fn process_proposal(
        &self,
        unpacked: Result<UnpackedProposal, UnpackError>,
        decorators: &dyn Decorators,
        endorsers: Arc<dyn Endorsers>,
    ) -> Result<ProposalResponse, RejectedProposal> {
        let started = Instant::now();
        self.metrics.received();
        let proposal = unpacked.map_err(|error| {
            self.metrics.malformed();
            tracing::warn!(error = wire_message(&error), "proposal does not unpack");
            RejectedProposal::from(error)
        })?;
        let proposal = Arc::new(proposal);
        let outcome = self
            .endorse_proposal(Arc::clone(&proposal), decorators, endorsers)
            .await;
        self.metrics.ended(&proposal, &outcome, started.elapsed());
        match outcome {
            Ok(response) => Ok(response),
            Err(Stopped::Rejected(error)) => {
                tracing::warn!(error = wire_message(&error), "proposal rejected");
                Err(error.into())
            }
            Err(Stopped::Failed(error)) => {
                tracing::warn!(error = wire_message(&error), "proposal failed");
                Ok(reply::failed(&error))
            }
        }
    }

    async fn endorse_proposal(
        &self,
        proposal: Arc<UnpackedProposal>,
        decorators: &dyn Decorators,
        endorsers: Arc<dyn Endorsers>,
    ) -> Result<ProposalResponse, Stopped> {
        let parts = Arc::clone(&self.parts);
        let prepared = blocking(move || prepare(&parts.channels, &*parts.chaincodes, proposal)).await?;
        let release = Release(Arc::clone(&prepared.params));
        let simulated = simulate(&*self.parts.chaincodes, decorators, &prepared).await;
        let outcome = simulated.map_err(|failure| Stopped::Failed(failure.into()))?;
        drop(release);
        let (parts, here) = (Arc::clone(&self.parts), Arc::clone(&endorsers));
        let concluded =
            blocking(move || conclude(&parts, prepared, outcome, &*here).map_err(Stopped::Failed)).await?;
        match concluded {
            Concluded::Answered(response) => Ok(response),
            Concluded::Unendorsed(results) => {
                let made = endorsers.endorse(&results.plugin, &results.payload, &results.peer);
                let answered = made.await.map_err(|failure| results.failed(failure));
                Ok(results.endorsed(answered.map_err(Stopped::Failed)?))
            }
        }
    }
}

impl std::fmt::Debug for Endorser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endorser").finish_non_exhaustive()
    }
}

/// Turns a chaincode's response into the reply. Reads the ledger and signs.
fn conclude(
    parts: &Parts,
    prepared: Prepared,
    outcome: ExecuteOutcome,
    endorsers: &dyn Endorsers,
) -> Result<Concluded, SimulateError> {
    let proposal = &prepared.proposal;
    let fate = Fate::of(outcome.response.status, proposal.channel.is_empty());
    let Results { public, interest } = results(&*parts.chaincodes, &prepared.params, &proposal.chaincode)?;
    if outcome.response.status >= crate::simulate::ERROR_THRESHOLD {
        tracing::info!(status = outcome.response.status, "chaincode returned an error");
    }
    if fate == Fate::Plain {
        return Ok(Concluded::Answered(reply::plain(outcome.response)));
    }
    let payload = response_payload(proposal, &prepared.version, &outcome, public);
    if fate == Fate::Error {
        let answer = reply::unendorsed(outcome.response, payload, interest);
        return Ok(Concluded::Answered(answer));
    }
    let results = Unendorsed {
        peer: EndorsingPeer::new(&parts.channels, &proposal.channel),
        plugin: prepared.endorsement_plugin,
        response: outcome.response,
        payload,
        interest,
    };
    match endorsers.endorse_here(&results.plugin, &results.payload, &results.peer) {
        Some(Ok(made)) => Ok(Concluded::Answered(results.endorsed(made))),
        Some(Err(failure)) => Err(results.failed(failure)),
        None => Ok(Concluded::Unendorsed(results)),
    }
}

/// What a chaincode's response has become.
enum Concluded {
    Answered(ProposalResponse),
    /// The plugin that endorses it runs elsewhere.
    Unendorsed(Unendorsed),
}

/// Results that wait for their endorsement.
struct Unendorsed {
    peer: EndorsingPeer,
    /// The name of the plugin.
    plugin: String,
    response: Response,
    payload: Bytes,
    interest: Option<ChaincodeInterest>,
}

impl Unendorsed {
    fn endorsed(self, made: Endorsed) -> ProposalResponse {
        let payload = made.payload.unwrap_or(self.payload);
        reply::endorsed(self.response, payload, self.interest, made.endorsement)
    }

    fn failed(&self, failure: EndorseFailure) -> SimulateError {
        match failure {
            EndorseFailure::Unknown => SimulateError::Plugin(self.plugin.clone()),
            EndorseFailure::Failed(error) => SimulateError::Endorsing(error),
        }
    }
}

/// Ends a simulation on every way out: what still holds on to it can read no more.
struct Release(Arc<chaincode::TransactionParams>);

impl Drop for Release {
    fn drop(&mut self) {
        if let Some(simulator) = &self.0.simulator {
            simulator.done();
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Stopped> + Send + 'static,
) -> Result<T, Stopped> {
    match workers::run(work).await {
        Ok(done) => done,
        Err(broken) => {
            tracing::error!(error = %broken, "a step of a proposal broke off");
            Err(Stopped::Failed(SimulateError::Broken))
        }
    }
}
