//! The whole way with the real parts: install, deploy, invoke, commit, query; only the container is fake.

use chaincode::test_support::{FakeShim, FakeStart, FakeVm, ShimAnswer};
use chaincode::{ChaincodeSupport, PackageStore};
use committer::test_support::{TestTransaction, deployment_spec};
use msp::LocalSigner;
use prost::Message;
use protos::peer::TxValidationCode as Code;
use scc::{Cscc, Lscc, PackageValidator, Qscc};

use super::*;

struct AnyPackage;

#[async_trait]
impl PackageValidator for AnyPackage {
    async fn validate(&self, _kind: &str, _spec: &Bytes) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

/// A contract with `put`, `get` and an event.
fn contract(id: &str) -> FakeShim {
    FakeShim::new(id, |stub| async move {
        match stub.text(0).as_str() {
            "put" => {
                stub.put_state(&stub.text(1), stub.arg(2)).await.unwrap();
                ShimAnswer::success("done").with_event("put", "x")
            }
            "get" => ShimAnswer::success(stub.get_state(&stub.text(1)).await.unwrap()),
            "init" => {
                stub.put_state("a", "0").await.unwrap();
                ShimAnswer::success("")
            }
            other => ShimAnswer::error(&format!("no function {other}")),
        }
    })
}

struct Peer {
    network: TestNetwork,
    channel: Arc<Channel>,
    endorser: Endorser,
    _support: Arc<ChaincodeSupport>,
}

impl Peer {
    fn start() -> Self {
        let network = TestNetwork::new();
        let channels = channels(&network);
        let packages = Arc::new(PackageStore::open(network.folder()).unwrap());
        let vm = FakeVm::new();
        let support = ChaincodeSupport::new(
            chaincode::Config::default(),
            chaincode::Parts {
                vm: Some(Arc::<FakeVm>::clone(&vm)),
                packages: Arc::clone(&packages),
                channels: Arc::<Channels>::clone(&channels),
                tls: None,
            },
        );
        vm.connect(&support);
        vm.plan("mycc:1.0", FakeStart::Run(contract("mycc:1.0")));
        let lscc = Lscc::new(Arc::clone(&channels), packages, Arc::new(AnyPackage));
        support.register_system_chaincode(Arc::new(lscc));
        support.register_system_chaincode(Arc::new(Cscc::new(Arc::clone(&channels))));
        support.register_system_chaincode(Arc::new(Qscc::new(Arc::clone(&channels))));
        Self {
            channel: channels.get(&CHANNEL.into()).unwrap(),
            endorser: Endorser::new(Parts {
                channels,
                chaincodes: Arc::<ChaincodeSupport>::clone(&support),
            }),
            network,
            _support: support,
        }
    }

    async fn propose(&self, proposal: &TestProposal) -> ProposalResponse {
        self.endorser
            .process_proposal(
                Ok(proposal.unpack()),
                &FakeDecorators::default(),
                Arc::new(FakeEndorsers),
            )
            .await
            .unwrap()
    }

    /// Endorses, assembles, orders and commits.
    async fn submit(&self, signer: &Arc<LocalSigner>, chaincode: &str, args: &[&[u8]]) -> Code {
        let proposal = TestProposal::new(signer, CHANNEL, chaincode, args);
        let endorsed = self.propose(&proposal).await;
        assert!(endorsed.endorsement.is_some(), "{:?}", endorsed.response);
        self.order(&[TestTransaction::assemble(&proposal, &[endorsed])])
            .await[0]
    }

    async fn order(&self, envelopes: &[protos::common::Envelope]) -> Vec<Code> {
        let previous = self
            .channel
            .ledger()
            .block_by_number(u64::MAX)
            .unwrap()
            .header
            .unwrap();
        let block = self.network.block_after(&previous, envelopes);
        self.channel.commit(block).await.unwrap().codes
    }

    async fn query(&self, args: &[&[u8]]) -> Bytes {
        let proposal = TestProposal::new(&self.network.org1.user, CHANNEL, "mycc", args);
        self.propose(&proposal).await.response.unwrap().payload
    }

    /// Installs and deploys `mycc`.
    async fn deploy(&self) {
        let (admin, spec) = (
            &self.network.org1.admin,
            deployment_spec("mycc", "1.0").encode_to_vec(),
        );
        let install = TestProposal::new(admin, "", "lscc", &[b"install", &spec]);
        assert_eq!(self.propose(&install).await.response.unwrap().payload, "OK");
        let code = self
            .submit(admin, "lscc", &[b"deploy", CHANNEL.as_bytes(), &spec])
            .await;
        assert_eq!(code, Code::Valid);
    }
}

#[tokio::test]
async fn what_is_put_can_be_read_back() {
    let peer = Peer::start();
    peer.deploy().await;
    assert_eq!(peer.query(&[b"get", b"a"]).await, "0", "init has written");
    assert_eq!(
        peer.submit(&peer.network.org1.user, "mycc", &[b"put", b"a", b"1"])
            .await,
        Code::Valid
    );
    assert_eq!(peer.query(&[b"get", b"a"]).await, "1");
}

#[tokio::test]
async fn transactions_over_the_same_state_conflict() {
    let peer = Peer::start();
    peer.deploy().await;
    let read_and_write = TestProposal::new(&peer.network.org1.user, CHANNEL, "mycc", &[b"get", b"a"]);
    let endorsed = peer.propose(&read_and_write).await;
    assert_eq!(
        peer.submit(&peer.network.org1.user, "mycc", &[b"put", b"a", b"1"])
            .await,
        Code::Valid
    );
    let late = TestTransaction::assemble(&read_and_write, &[endorsed]);
    assert_eq!(peer.order(&[late]).await, [Code::MvccReadConflict]);
}

#[tokio::test]
async fn events_bear_the_peers_ids() {
    let peer = Peer::start();
    peer.deploy().await;
    let proposal = TestProposal::new(&peer.network.org1.user, CHANNEL, "mycc", &[b"put", b"a", b"1"]);
    let endorsed = peer.propose(&proposal).await;
    let payload = protos::peer::ProposalResponsePayload::decode(endorsed.payload).unwrap();
    let action = protos::peer::ChaincodeAction::decode(payload.extension).unwrap();
    let event = ChaincodeEvent::decode(action.events).unwrap();
    assert_eq!(
        (event.chaincode_id.as_str(), event.event_name.as_str()),
        ("mycc", "put")
    );
    assert_eq!(event.tx_id, proposal.tx_id().as_str());
}

#[tokio::test]
async fn an_endorsement_that_was_tampered_with_is_invalid() {
    let peer = Peer::start();
    peer.deploy().await;
    let proposal = TestProposal::new(&peer.network.org1.user, CHANNEL, "mycc", &[b"put", b"a", b"1"]);
    let mut endorsed = peer.propose(&proposal).await;
    let signature = &mut endorsed.endorsement.as_mut().unwrap().signature;
    let mut flipped = signature.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    *signature = flipped.into();
    let transaction = TestTransaction::assemble(&proposal, &[endorsed]);
    assert_eq!(peer.order(&[transaction]).await, [Code::EndorsementPolicyFailure]);
}
