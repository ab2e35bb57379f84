//! System chaincodes over a real channel: what they answer, and that what LSCC writes can be committed.

mod deploying;
mod installing;
mod queries;
mod refusals;

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chaincode::{PackageStore, SccOutcome, SystemChaincode, TransactionParams};
use channel::{Channel, Channels};
use committer::TxValidator;
use committer::test_support::{PolicyPlugins, TestNetwork, TestProposal, TestTransaction, deployment_spec};
use ledger::{Config, LedgerProvider};
use msp::LocalSigner;
use prost::Message;
use protos::common::{Envelope, Header, HeaderType, Payload};
use protos::peer::{SignedChaincodeDeploymentSpec, TxValidationCode};

use crate::{Cscc, DeployablePlugins, Lscc, PackageBuilder, PackageValidator, Qscc};

const CHANNEL: &str = "mychannel";

/// A platform that knows which types it takes.
#[derive(Default)]
struct FakePlatforms {
    refused: HashSet<&'static str>,
}

#[async_trait]
impl PackageValidator for FakePlatforms {
    async fn validate(&self, kind: &str, _spec: &Bytes) -> Result<(), Box<dyn Error + Send + Sync>> {
        match self.refused.contains(kind) {
            true => Err("platform refuses".into()),
            false => Ok(()),
        }
    }
}

/// A peer of the first organisation in one channel.
struct Scene {
    network: TestNetwork,
    channels: Arc<Channels>,
    channel: Arc<Channel>,
    packages: Arc<PackageStore>,
    lscc: Lscc,
    cscc: Cscc,
    qscc: Qscc,
}

impl Scene {
    fn new() -> Self {
        Self::with(TestNetwork::new(), FakePlatforms::default())
    }

    fn with(network: TestNetwork, platforms: FakePlatforms) -> Self {
        let provider = LedgerProvider::open(Config::new(network.folder().join("ledgers"))).unwrap();
        let validator = Arc::new(TxValidator::new(1, Arc::new(PolicyPlugins)).unwrap());
        let channels = Arc::new(Channels::open(provider, network.org1.local_msp(), validator).unwrap());
        let channel = channels.join(network.genesis(CHANNEL)).unwrap();
        let packages = Arc::new(PackageStore::open(network.folder()).unwrap());
        Self {
            lscc: Lscc::new(Arc::clone(&channels), Arc::clone(&packages), Arc::new(platforms)),
            cscc: Cscc::new(Arc::clone(&channels)),
            qscc: Qscc::new(Arc::clone(&channels)),
            network,
            channels,
            channel,
            packages,
        }
    }

    /// A call of a system chaincode on a channel, or on none.
    async fn call(
        &self,
        chaincode: &dyn SystemChaincode,
        signer: &Arc<LocalSigner>,
        channel: &str,
        args: &[&[u8]],
    ) -> SccOutcome {
        let proposal = TestProposal::new(signer, channel, chaincode.name(), args);
        let params = self.params(&proposal);
        chaincode
            .invoke(&params, &committer::test_support::chaincode_input(args))
            .await
    }

    fn params(&self, proposal: &TestProposal) -> TransactionParams {
        let channel = proposal.channel_header.channel_id.as_str().into();
        let ledger = self
            .channels
            .get(&channel)
            .map(|channel| Arc::clone(channel.ledger()));
        TransactionParams {
            channel,
            tx_id: proposal.tx_id(),
            simulator: ledger.map(|ledger| Arc::new(ledger.new_tx_simulator(&proposal.tx_id()))),
            signed_proposal: Some(Arc::new(proposal.unpack())),
            history: None,
            invoked_by: None,
        }
    }

    /// A call of LSCC by the first organisation's admin on the channel.
    async fn lscc(&self, args: &[&[u8]]) -> SccOutcome {
        self.call(&self.lscc, &self.network.org1.admin, CHANNEL, args)
            .await
    }

    async fn install(&self, package: &[u8]) -> SccOutcome {
        self.call(&self.lscc, &self.network.org1.admin, "", &[b"install", package])
            .await
    }

    /// Runs LSCC and commits what it did; the answer and the validation code.
    async fn commit(&self, signer: &Arc<LocalSigner>, args: &[&[u8]]) -> (SccOutcome, TxValidationCode) {
        let proposal = TestProposal::new(signer, CHANNEL, "lscc", args);
        let params = self.params(&proposal);
        let outcome = self
            .lscc
            .invoke(&params, &committer::test_support::chaincode_input(args))
            .await;
        let mut transaction = TestTransaction::new(proposal, "syscc", &[&self.network.org1.node]);
        transaction.action.results = params.simulator.unwrap().results().unwrap().public;
        transaction.action.response = Some(outcome.response.clone());
        let previous = self
            .channel
            .ledger()
            .block_by_number(u64::MAX)
            .unwrap()
            .header
            .unwrap();
        let block = self.network.block_after(&previous, &[transaction.sign()]);
        let code = self.channel.commit(block).await.unwrap().codes[0];
        (outcome, code)
    }

    /// Installs and deploys a chaincode.
    async fn deploy(&self, name: &str, version: &str) {
        assert_eq!(text(&self.install(&cds(name, version)).await), "OK");
        let spec = cds(name, version);
        let deployed = self
            .commit(&self.network.org1.admin, &[b"deploy", CHANNEL.as_bytes(), &spec])
            .await;
        assert_eq!(deployed.1, TxValidationCode::Valid, "{}", message(&deployed.0));
    }
}

/// An encoded deployment spec.
fn cds(name: &str, version: &str) -> Vec<u8> {
    deployment_spec(name, version).encode_to_vec()
}

/// A signed package that nobody has endorsed.
fn signed_package(name: &str, version: &str, instantiation_policy: &str) -> Vec<u8> {
    let policy = msp::policy::from_string(instantiation_policy).unwrap();
    let signed = SignedChaincodeDeploymentSpec {
        chaincode_deployment_spec: cds(name, version).into(),
        instantiation_policy: policy.encode_to_vec().into(),
        ..Default::default()
    };
    let channel_header = protos::common::ChannelHeader {
        r#type: HeaderType::ChaincodePackage.into(),
        ..Default::default()
    };
    let header = Header {
        channel_header: channel_header.encode_to_vec().into(),
        ..Default::default()
    };
    let payload = Payload {
        header: Some(header),
        data: signed.encode_to_vec().into(),
    };
    Envelope {
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    }
    .encode_to_vec()
}

/// The message of a refusal.
fn message(outcome: &SccOutcome) -> &str {
    assert_eq!(outcome.response.status, 500, "{outcome:?}");
    &outcome.response.message
}

/// The payload of a success.
fn payload(outcome: &SccOutcome) -> Bytes {
    assert_eq!(outcome.response.status, 200, "{}", outcome.response.message);
    outcome.response.payload.clone()
}

fn text(outcome: &SccOutcome) -> String {
    String::from_utf8(payload(outcome).to_vec()).unwrap()
}
