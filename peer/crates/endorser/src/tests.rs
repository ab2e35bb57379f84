//! The endorser over a real channel, with chaincode that is scripted.

mod deploying;
mod proposals;
mod responses;
mod whole_way;

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chaincode::{
    DefinitionError, ExecuteError, ExecuteOutcome, Invocation, InvocationKind, SecurityError,
    TransactionParams,
};
use channel::{Channel, Channels};
use committer::TxValidator;
use committer::test_support::{PolicyPlugins, TestNetwork, TestProposal};
use ledger::{Config, LedgerProvider};
use parking_lot::Mutex;
use protos::peer::{ChaincodeData, ChaincodeEvent, ChaincodeInput, Endorsement, ProposalResponse, Response};
use protos::{ChaincodeId, UnpackedProposal};

use crate::{Decorators, EndorseFailure, Endorsed, Endorser, Endorsers, EndorsingPeer, Executor, Parts};

const CHANNEL: &str = "mychannel";

/// What a scripted chaincode does.
type Script = dyn Fn(&TransactionParams, &Invocation) -> Result<ExecuteOutcome, ExecuteError> + Send + Sync;

/// Chaincode without streams.
#[derive(Default)]
struct FakeExecutor {
    scripts: HashMap<&'static str, Box<Script>>,
    definitions: HashMap<&'static str, ChaincodeData>,
    /// Chaincode whose package does not fit.
    mismatched: Vec<&'static str>,
    calls: Mutex<Vec<(Invocation, Arc<TransactionParams>)>>,
}

#[async_trait]
impl Executor for FakeExecutor {
    fn is_system_chaincode(&self, name: &str) -> bool {
        ["lscc", "cscc", "qscc", "vscc"].contains(&name)
    }

    fn is_invokable_externally(&self, name: &str) -> bool {
        name != "vscc"
    }

    fn definition(&self, params: &TransactionParams, name: &str) -> Result<ChaincodeData, DefinitionError> {
        let simulator = params.simulator.as_ref().ok_or(DefinitionError::NoLedger)?;
        simulator.get_state("lscc", name).unwrap();
        if self.mismatched.contains(&name) {
            let id = ChaincodeId::new(name, "1.0");
            return Err(DefinitionError::Security(SecurityError::Policy(id)));
        }
        self.definitions
            .get(name)
            .cloned()
            .ok_or_else(|| DefinitionError::NotFound(name.into()))
    }

    async fn execute(
        &self,
        params: Arc<TransactionParams>,
        invocation: Invocation,
    ) -> Result<ExecuteOutcome, ExecuteError> {
        self.calls.lock().push((invocation.clone(), Arc::clone(&params)));
        match self.scripts.get(&*invocation.chaincode.name) {
            Some(script) => script(&params, &invocation),
            None => Ok(ExecuteOutcome {
                response: status(200),
                event: None,
            }),
        }
    }
}

impl FakeExecutor {
    /// Defines a chaincode that runs a script.
    fn define(
        mut self,
        name: &'static str,
        script: impl Fn(&TransactionParams, &Invocation) -> Result<ExecuteOutcome, ExecuteError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let data = ChaincodeData {
            name: name.into(),
            version: "1.0".into(),
            escc: "escc".into(),
            vscc: "vscc".into(),
            ..Default::default()
        };
        self.definitions.insert(name, data);
        self.scripts.insert(name, Box::new(script));
        self
    }

    /// Defines `mycc`, which always answers so.
    fn answering(response: Response) -> Self {
        Self::default().define("mycc", move |_, _| {
            let event = ChaincodeEvent {
                event_name: "ev".into(),
                ..Default::default()
            };
            Ok(ExecuteOutcome {
                response: response.clone(),
                event: Some(event),
            })
        })
    }
}

/// Adds one decoration after those that are there, or fails.
#[derive(Default)]
struct FakeDecorators {
    fails: bool,
}

#[async_trait]
impl Decorators for FakeDecorators {
    async fn decorate(
        &self,
        _proposal: &UnpackedProposal,
        mut input: ChaincodeInput,
    ) -> Result<ChaincodeInput, Box<dyn Error + Send + Sync>> {
        if self.fails {
            return Err("decorator broke".into());
        }
        input.decorations.insert("peer".into(), Bytes::from_static(b"1"));
        Ok(input)
    }
}

/// Under the name `escc` one that signs where it is called, and under `elsewhere` one that puts another payload in
/// place of the given one; `sick` fails.
struct FakeEndorsers;

fn signed(peer: &EndorsingPeer, payload: &Bytes) -> Endorsed {
    let endorser = peer.serialized_identity();
    let signature = peer.sign(&[payload, &endorser]).unwrap();
    Endorsed {
        endorsement: Endorsement { endorser, signature },
        payload: None,
    }
}

#[async_trait]
impl Endorsers for FakeEndorsers {
    fn endorse_here(
        &self,
        plugin: &str,
        payload: &Bytes,
        peer: &EndorsingPeer,
    ) -> Option<Result<Endorsed, EndorseFailure>> {
        match plugin {
            "escc" => Some(Ok(signed(peer, payload))),
            "elsewhere" | "sick" => None,
            _ => Some(Err(EndorseFailure::Unknown)),
        }
    }

    async fn endorse(
        &self,
        plugin: &str,
        _payload: &Bytes,
        peer: &EndorsingPeer,
    ) -> Result<Endorsed, EndorseFailure> {
        if plugin == "sick" {
            return Err(EndorseFailure::Failed("no key today".into()));
        }
        let other = Bytes::from_static(b"other payload");
        Ok(Endorsed {
            payload: Some(other.clone()),
            ..signed(peer, &other)
        })
    }
}

fn status(status: i32) -> Response {
    Response {
        status,
        message: format!("said {status}"),
        payload: Bytes::from_static(b"payload"),
    }
}

/// An endorsing peer of the first organisation in one channel.
struct Scene {
    network: TestNetwork,
    channel: Arc<Channel>,
    executor: Arc<FakeExecutor>,
    decorators: FakeDecorators,
    endorser: Endorser,
}

impl Scene {
    fn new(executor: FakeExecutor) -> Self {
        Self::with(executor, FakeDecorators::default())
    }

    fn with(executor: FakeExecutor, decorators: FakeDecorators) -> Self {
        let network = TestNetwork::new();
        let channels = channels(&network);
        let channel = channels.get(&CHANNEL.into()).unwrap();
        let executor = Arc::new(executor);
        let endorser = Endorser::new(Parts {
            channels,
            chaincodes: Arc::<FakeExecutor>::clone(&executor),
        });
        Self {
            network,
            channel,
            executor,
            decorators,
            endorser,
        }
    }

    fn proposal(&self, chaincode: &str, args: &[&[u8]]) -> TestProposal {
        TestProposal::new(&self.network.org1.user, CHANNEL, chaincode, args)
    }

    async fn response(&self, proposal: &TestProposal) -> ProposalResponse {
        let unpacked = Ok(proposal.unpack());
        let endorsers = Arc::new(FakeEndorsers);
        let answered = self
            .endorser
            .process_proposal(unpacked, &self.decorators, endorsers)
            .await;
        answered.unwrap_or_else(|rejected| panic!("rejected: {rejected}"))
    }

    async fn rejection(&self, proposal: &TestProposal) -> String {
        self.endorser
            .process_proposal(Ok(proposal.unpack()), &self.decorators, Arc::new(FakeEndorsers))
            .await
            .unwrap_err()
            .text
    }

    /// The text of a response with status 500 and nothing else in it.
    async fn failure(&self, proposal: &TestProposal) -> String {
        let answered = self.response(proposal).await;
        assert_eq!((answered.payload.len(), &answered.endorsement), (0, &None));
        let response = answered.response.unwrap();
        assert_eq!(response.status, 500);
        response.message
    }

    fn calls(&self) -> Vec<(Invocation, Arc<TransactionParams>)> {
        self.executor.calls.lock().clone()
    }
}

/// The channels of a peer of the first organisation, one joined.
fn channels(network: &TestNetwork) -> Arc<Channels> {
    let provider = LedgerProvider::open(Config::new(network.folder().join("ledgers"))).unwrap();
    let validator = Arc::new(TxValidator::new(1, Arc::new(PolicyPlugins)).unwrap());
    let channels = Channels::open(provider, network.org1.local_msp(), validator).unwrap();
    channels.join(network.genesis(CHANNEL)).unwrap();
    Arc::new(channels)
}
