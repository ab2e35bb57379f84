//! A network in this process, in dev mode: the test itself plays the chaincode.

use std::path::Path;

use bytes::Bytes;
use core_config::Override;
use peer::client::proposal::{PreparedProposal, ProposalRequest};
use peer::dev::network::{Network, NetworkSpec};
use protos::peer::{ProposalResponse, SignedProposal};
use tempfile::TempDir;

use crate::ports::Reserved;
use crate::{binaries, packages, shim};

/// The chaincode that the test plays.
pub const CHAINCODE: &str = "kv";

/// A network with an instantiated chaincode.
pub struct Harness {
    /// The network.
    pub network: Network,
    place: Place,
}

/// What stays of a network that stops: its folder, and that its ports are nobody else's.
pub struct Place {
    /// Gone when this is dropped.
    pub folder: TempDir,
    _ports: [Reserved; 3],
}

impl Harness {
    /// Starts a network without TLS and instantiates the scripted chaincode.
    pub async fn start() -> Self {
        Self::start_with([]).await
    }

    /// As [`Self::start`], with the core.yaml in a folder.
    pub async fn start_from(config: &Path) -> Self {
        let folder = config.to_str().expect("UTF-8").to_owned();
        Self::start_as(vec![("FABRIC_CFG_PATH".to_owned(), folder)], []).await
    }

    /// As [`Self::start`], with further settings.
    pub async fn start_with(settings: impl IntoIterator<Item = (&str, serde_json::Value)>) -> Self {
        Self::start_as(Vec::new(), settings).await
    }

    async fn start_as(
        variables: Vec<(String, String)>,
        settings: impl IntoIterator<Item = (&str, serde_json::Value)>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let set = |key: &str, value: serde_json::Value| Override::new(key, value, "test");
        let mut overrides = vec![
            set("chaincode.mode", "dev".into()),
            // the machine may be busy with something else
            set("chaincode.executetimeout", "60s".into()),
            set(
                "peer.handlers.pluginDirs",
                serde_json::json!([binaries::plugin_dir()]),
            ),
        ];
        overrides.extend(settings.into_iter().map(|(key, value)| set(key, value)));
        let ([peer, chaincode], orderer) = (Reserved::pair(), Reserved::any());
        let spec = NetworkSpec {
            tls: false,
            overrides,
            variables,
            peer_port: peer.number(),
            orderer_port: orderer.number(),
            ..NetworkSpec::new(folder.path().join("net"), "mychannel")
        };
        let network = Network::start(spec).await.expect("network");
        let place = Place {
            folder,
            _ports: [peer, chaincode, orderer],
        };
        let harness = Self { network, place };
        let package = packages::deployment_spec(CHAINCODE, "1", packages::node_package());
        harness.network.install(package).await.expect("install");
        let shim = harness.connect("kv:1").await;
        harness
            .network
            .deploy(CHAINCODE, "1", ["init"], None)
            .await
            .expect("instantiate");
        drop(shim);
        harness
    }

    /// The network, and where it can start again.
    #[must_use]
    pub fn into_network(self) -> (Network, Place) {
        (self.network, self.place)
    }

    /// Connects a scripted chaincode and waits until the peer takes transactions for it.
    pub async fn connect(&self, name: &str) -> shim::Shim {
        let address = format!("127.0.0.1:{}", self.network.ports().chaincode);
        shim::Shim::connect(&address, name)
            .await
            .expect("the peer takes the chaincode")
    }

    /// Sends a proposal as it is.
    pub async fn send(&self, signed: SignedProposal) -> Result<ProposalResponse, tonic::Status> {
        let channel = self.network.admin_client().peer().channel();
        let mut client = protos::peer::endorser_client::EndorserClient::new(channel)
            .max_encoding_message_size(usize::MAX)
            .max_decoding_message_size(usize::MAX);
        client
            .process_proposal(signed)
            .await
            .map(tonic::Response::into_inner)
    }

    /// A good proposal of the user.
    #[must_use]
    pub fn proposal(&self, chaincode: &str, args: &[&str]) -> PreparedProposal {
        let args = args.iter().map(|arg| Bytes::from((*arg).to_owned()));
        let request = ProposalRequest::new("mychannel", chaincode, args);
        PreparedProposal::new(&request, self.network.user().signer()).expect("signs")
    }

    /// Calls the chaincode as the user.
    pub async fn call(&self, args: &[&str]) -> Result<ProposalResponse, tonic::Status> {
        self.send(self.proposal(CHAINCODE, args).signed).await
    }

    /// Blocks on the channel.
    #[must_use]
    pub fn height(&self) -> u64 {
        let channel = self
            .network
            .node()
            .channels()
            .get(&"mychannel".into())
            .expect("joined");
        *channel.ledger().height_watch().borrow()
    }
}
