//! One case: proposals signed beforehand, sent by as many clients as the case says, each with a connection of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use msp::LocalMsp;
use peer::client::proposal::{PreparedProposal, ProposalRequest};
use protos::peer::SignedProposal;
use protos::peer::endorser_client::EndorserClient;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use crate::Operation;
use crate::cpu;
use crate::network::{CHAINCODE, KEYS, Network};
use crate::report::Figures;

/// Requests before the clock starts, as a part of a round.
const WARM_UP_PART: u32 = 10;
const FIRST_ERROR: u32 = 400;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What a transaction does.
    pub operation: Operation,
    /// How many are under way at a time.
    pub concurrency: u16,
}

/// The clients.
pub struct Load<'a> {
    network: &'a Network,
    identity: LocalMsp,
    requests: u32,
    rounds: u8,
}

impl<'a> Load<'a> {
    /// Clients with the network's own identity.
    ///
    /// # Errors
    /// When the identity cannot be read.
    pub fn new(network: &'a Network, requests: u32, rounds: u8) -> Result<Self> {
        let (folder, msp_id) = network.client_msp()?;
        let identity = LocalMsp::load_folder(&folder, &msp_id)
            .with_context(|| format!("cannot use the identity in {}", folder.display()))?;
        Ok(Self {
            network,
            identity,
            requests,
            rounds,
        })
    }

    /// The clients' identity.
    pub fn identity(&self) -> &LocalMsp {
        &self.identity
    }

    /// No-ops at this concurrency for as long as something else takes.
    ///
    /// # Errors
    /// When any answer is something else than an endorsement, or what goes on meanwhile fails.
    pub async fn steady(
        &self,
        concurrency: u16,
        meanwhile: impl AsyncFnOnce() -> Result<()>,
    ) -> Result<Round> {
        let clients = self.connect(concurrency).await?;
        let proposals: Arc<[SignedProposal]> = self.proposals(Operation::Noop, self.requests)?.into();
        let (next, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let before = cpu::time_of(self.network.pid())?;
        let start = Instant::now();
        let mut running = JoinSet::new();
        for client in clients {
            let (proposals, next, stop) = (Arc::clone(&proposals), Arc::clone(&next), Arc::clone(&stop));
            running.spawn(async move {
                let mut latencies = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    // nothing is ordered, so a proposal may come back
                    let at = next.fetch_add(1, Ordering::Relaxed) % proposals.len().max(1);
                    let Some(proposal) = proposals.get(at) else { break };
                    latencies.push(endorsed(&client, proposal).await?);
                }
                anyhow::Ok(latencies)
            });
        }
        let done = meanwhile().await;
        stop.store(true, Ordering::Relaxed);
        let mut latencies = Vec::new();
        while let Some(sent) = running.join_next().await {
            latencies.extend(sent??);
        }
        done?;
        Ok(Round {
            elapsed: start.elapsed(),
            cpu: cpu::time_of(self.network.pid())?.saturating_sub(before),
            latencies,
        })
    }

    /// Measures one case.
    ///
    /// # Errors
    /// When any answer is something else than an endorsement.
    pub async fn run(&self, case: Case) -> Result<Figures> {
        let clients = self.connect(case.concurrency).await?;
        let warm_up = self.proposals(case.operation, self.requests / WARM_UP_PART)?;
        send_all(&clients, warm_up).await?;
        let mut rounds = Vec::new();
        for _ in 0..self.rounds {
            let proposals = self.proposals(case.operation, self.requests)?;
            let before = cpu::time_of(self.network.pid())?;
            let start = Instant::now();
            let latencies = send_all(&clients, proposals).await?;
            rounds.push(Round {
                elapsed: start.elapsed(),
                cpu: cpu::time_of(self.network.pid())?.saturating_sub(before),
                latencies,
            });
        }
        Ok(Figures::of(case, &rounds))
    }

    async fn connect(&self, clients: u16) -> Result<Vec<EndorserClient<Channel>>> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.network.peer()))?.tcp_nodelay(true);
        let mut connected = Vec::new();
        for _ in 0..clients {
            connected.push(EndorserClient::new(endpoint.connect().await?));
        }
        Ok(connected)
    }

    fn proposals(&self, operation: Operation, count: u32) -> Result<Vec<SignedProposal>> {
        let signer = self.identity.signer();
        (0..count)
            .map(|index| {
                let args = [operation.name().to_owned(), format!("k{}", index % KEYS)];
                let request = ProposalRequest::new(self.network.channel(), CHAINCODE, args);
                Ok(PreparedProposal::new(&request, signer)?.signed)
            })
            .collect()
    }
}

/// What one round took.
pub struct Round {
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Processor time of the peer in between.
    pub cpu: Duration,
    /// Of every request.
    pub latencies: Vec<Duration>,
}

/// Every client takes the next proposal when its last one is answered.
async fn send_all(
    clients: &[EndorserClient<Channel>],
    proposals: Vec<SignedProposal>,
) -> Result<Vec<Duration>> {
    let proposals: Arc<[SignedProposal]> = proposals.into();
    let next = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn(send(client.clone(), Arc::clone(&proposals), Arc::clone(&next)));
    }
    let mut latencies = Vec::with_capacity(proposals.len());
    while let Some(sent) = running.join_next().await {
        latencies.extend(sent??);
    }
    Ok(latencies)
}

async fn send(
    client: EndorserClient<Channel>,
    proposals: Arc<[SignedProposal]>,
    next: Arc<AtomicUsize>,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while let Some(proposal) = proposals.get(next.fetch_add(1, Ordering::Relaxed)) {
        latencies.push(endorsed(&client, proposal).await?);
    }
    Ok(latencies)
}

/// How long the peer took for an endorsement.
async fn endorsed(client: &EndorserClient<Channel>, proposal: &SignedProposal) -> Result<Duration> {
    let start = Instant::now();
    let answer = client.clone().process_proposal(proposal.clone()).await;
    let took = start.elapsed();
    let answer = answer.context("the peer rejected a proposal")?.into_inner();
    let response = answer.response.unwrap_or_default();
    if answer.endorsement.is_none() || response.status.unsigned_abs() >= FIRST_ERROR {
        bail!("no endorsement, but {}: {}", response.status, response.message);
    }
    Ok(took)
}
