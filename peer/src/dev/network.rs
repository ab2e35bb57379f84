//! A network of one organisation in this process: CA, orderer, channel, peer.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use peer::dev::network::{Network, NetworkSpec};
//!
//! let network = Network::start(NetworkSpec::new("/tmp/net", "mychannel")).await?;
//! let package: bytes::Bytes = std::fs::read("kv.cds")?.into();
//! network.install(package).await?;
//! network.deploy("kv", "1", ["init"], None).await?;
//! let written = network.invoke("kv", ["put", "a", "1"]).await?.valid()?;
//! println!("block {}", written.block);
//! assert_eq!(network.query("kv", ["get", "a"]).await?, "1");
//! network.shutdown().await?;
//! # Ok(())
//! # }
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use core_config::{CoreConfig, Override};
use deliver::client::GrpcTarget;
use msp::LocalMsp;

use super::connection_profile::connection_profile;
use super::folder::{Folder, Ports, Readers, write_file};
use super::genesis::channel_creation;
use super::identities::{Identities, ORDERER, PEER};
use super::network_client::{Committed, NetworkClient};
use super::prepare::{Prepared, prepare};
use super::settings;
use crate::node::Node;

/// The connection profile's file.
const PROFILE: &str = "connection-org1.json";
/// The wallet's folder.
const WALLET: &str = "wallet";

/// What kind of network.
#[derive(Clone, Debug)]
pub struct NetworkSpec {
    /// Its folder: identities, ledgers, ports. A network that was there before goes on where it stopped.
    pub dir: PathBuf,
    /// The channel that clients use; it is created where there is none of this name.
    pub channel: String,
    /// Port of the peer, 0 for a free one; chaincode connects to the next. A network keeps its first ports.
    pub peer_port: u16,
    /// Port of the orderer, 0 for a free one.
    pub orderer_port: u16,
    /// Whether peer, orderer and chaincode use TLS.
    pub tls: bool,
    /// Configuration values that win over all others.
    pub overrides: Vec<Override>,
    /// The environment for the configuration, such as `FABRIC_CFG_PATH` and `CORE_*`. That of the process does
    /// not count, and no core.yaml is searched for.
    pub variables: Vec<(String, String)>,
}

impl NetworkSpec {
    /// A network with TLS on free ports and with the shipped configuration.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, channel: &str) -> Self {
        Self {
            dir: dir.into(),
            channel: channel.to_owned(),
            peer_port: 0,
            orderer_port: 0,
            tls: true,
            overrides: Vec::new(),
            variables: Vec::new(),
        }
    }
}

/// A running network. Dropping it stops it without waiting; [`Self::shutdown`] waits.
pub struct Network {
    node: Node,
    config: CoreConfig,
    folder: Folder,
    identities: Identities,
    ports: Ports,
    admin: NetworkClient,
    user: NetworkClient,
    admin_msp: Arc<LocalMsp>,
    user_msp: Arc<LocalMsp>,
    targets: Targets,
    channel: String,
}

/// Where peer and orderer are.
struct Targets {
    peer: GrpcTarget,
    orderer: GrpcTarget,
}

impl Network {
    /// Starts a network and returns when its channel can be used.
    ///
    /// # Errors
    /// When the folder is somebody else's or in use, a port is taken, or a part does not start.
    pub async fn start(spec: NetworkSpec) -> Result<Self> {
        let channel = spec.channel.clone();
        let Prepared {
            folder,
            identities,
            ports,
            config,
            listeners,
            admin,
            user,
        } = tokio::task::spawn_blocking(move || prepare(spec)).await??;
        let targets = Targets {
            peer: settings::peer_target(&config, &identities, ports)?,
            orderer: settings::orderer_target(&config, &identities, ports)?,
        };
        let node = Node::start(config.clone(), listeners)
            .await
            .context("the node did not start")?;
        let connected = join(&channel, &targets, &admin, &identities).await;
        let (client, joined) = match connected {
            Ok(connected) => connected,
            Err(error) => {
                node.shutdown().await?;
                return Err(error);
            }
        };
        let network = Self {
            node,
            config,
            user: client.with_identity(Arc::clone(&user)),
            admin: client,
            folder,
            identities,
            ports,
            admin_msp: admin,
            user_msp: user,
            targets,
            channel,
        };
        network.write_client_files(&joined)?;
        Ok(network)
    }

    fn write_client_files(&self, channels: &[String]) -> Result<()> {
        settings::write_client_files(&self.folder, &self.config, &self.identities, &self.env())?;
        let (peer, orderer) = settings::servers(&self.config, &self.identities, self.ports)?;
        let profile = connection_profile(&peer, &orderer, channels);
        write_file(
            &self.connection_profile(),
            &serde_json::to_vec_pretty(&profile)?,
            Readers::All,
        )?;
        self.identities.write_wallet(&self.wallet())
    }

    /// The node: peer and embedded orderer.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The configuration that the node was started with.
    #[must_use]
    pub fn config(&self) -> &CoreConfig {
        &self.config
    }

    /// The network's folder.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The folders of the identities.
    #[must_use]
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// The organisation's admin.
    #[must_use]
    pub fn admin(&self) -> &Arc<LocalMsp> {
        &self.admin_msp
    }

    /// A user of the organisation.
    #[must_use]
    pub fn user(&self) -> &Arc<LocalMsp> {
        &self.user_msp
    }

    /// A connected client that acts as the admin.
    #[must_use]
    pub fn admin_client(&self) -> &NetworkClient {
        &self.admin
    }

    /// A connected client that acts as the user.
    #[must_use]
    pub fn user_client(&self) -> &NetworkClient {
        &self.user
    }

    /// How to connect to the peer.
    #[must_use]
    pub fn peer_target(&self) -> GrpcTarget {
        self.targets.peer.clone()
    }

    /// How to connect to the orderer.
    #[must_use]
    pub fn orderer_target(&self) -> GrpcTarget {
        self.targets.orderer.clone()
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The ports.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// The variables with which `peer` commands act on this network as its admin.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        settings::environment(
            &self.folder,
            &self.identities,
            self.ports,
            self.config.peer.tls.enabled,
        )
    }

    /// The file that fabric-network connects with.
    #[must_use]
    pub fn connection_profile(&self) -> PathBuf {
        self.folder.join(PROFILE)
    }

    /// The folder of identities for fabric-network.
    #[must_use]
    pub fn wallet(&self) -> PathBuf {
        self.folder.join(WALLET)
    }

    /// Installs a package, as the admin.
    ///
    /// # Errors
    /// When the peer refuses.
    pub async fn install(&self, package: Bytes) -> Result<()> {
        self.admin.install(package).await
    }

    /// Instantiates an installed chaincode, as the admin; see [`NetworkClient::deploy`].
    ///
    /// # Errors
    /// When the chaincode does not start, its Init fails, or the transaction is invalid.
    pub async fn deploy<A: Into<Bytes>>(
        &self,
        name: &str,
        version: &str,
        args: impl IntoIterator<Item = A>,
        policy: Option<&str>,
    ) -> Result<Committed> {
        self.admin.deploy(name, version, args, policy).await
    }

    /// Upgrades an instantiated chaincode, as the admin.
    ///
    /// # Errors
    /// As [`Self::deploy`].
    pub async fn upgrade<A: Into<Bytes>>(
        &self,
        name: &str,
        version: &str,
        args: impl IntoIterator<Item = A>,
        policy: Option<&str>,
    ) -> Result<Committed> {
        self.admin.upgrade(name, version, args, policy).await
    }

    /// Calls a chaincode as the user and waits for the commit.
    ///
    /// # Errors
    /// When somebody refuses. An invalid transaction is no error, see [`Committed::valid`].
    pub async fn invoke<A: Into<Bytes>>(
        &self,
        chaincode: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Committed> {
        self.user.invoke(chaincode, args).await
    }

    /// Calls a chaincode as the user; nothing is submitted.
    ///
    /// # Errors
    /// When the peer or the chaincode refuses.
    pub async fn query<A: Into<Bytes>>(
        &self,
        chaincode: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Bytes> {
        self.user.query(chaincode, args).await
    }

    /// Stops everything; the folder can then be used again.
    ///
    /// # Errors
    /// When a part broke down.
    pub async fn shutdown(self) -> Result<()> {
        let Self {
            node,
            admin,
            user,
            folder,
            ..
        } = self;
        // listeners wait for connections to end
        drop((admin, user));
        let stopped = node.shutdown().await;
        drop(folder);
        stopped
    }
}

/// Connects as the admin and lets the peer join the channel, unless it has. Returns the channels joined, too.
async fn join(
    channel: &str,
    targets: &Targets,
    admin: &Arc<LocalMsp>,
    identities: &Identities,
) -> Result<(NetworkClient, Vec<String>)> {
    let client = NetworkClient::connect(Arc::clone(admin), channel, &targets.peer, &targets.orderer).await?;
    let mut joined = client.joined().await?;
    if !joined.iter().any(|known| known == channel) {
        let creation = || channel_creation(identities, channel, admin.signer());
        let genesis = client.genesis(creation).await?;
        client.join(&genesis).await?;
        tracing::info!(channel, peer = PEER, orderer = ORDERER, "channel joined");
        joined.push(channel.to_owned());
    }
    Ok((client, joined))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_that_does_not_start_leaves_nothing_running() {
        let folder = tempfile::tempdir().unwrap();
        let lists = ["authFilters", "decorators", "platforms"];
        let nothing = |list| Override::new(format!("peer.handlers.{list}"), serde_json::json!([]), "test");
        let spec = NetworkSpec {
            overrides: lists.map(nothing).to_vec(),
            ..NetworkSpec::new(folder.path().join("net"), "mychannel")
        };
        let mut prepared = prepare(spec).unwrap();
        // no plugin has been built for this test
        for map in ["endorsers", "validators"] {
            prepared.config.peer.handlers[map] = serde_json::json!({});
        }
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        prepared.config.peer.listen_address = taken.local_addr().unwrap().to_string();
        prepared.listeners.peer = None;
        let error = Node::start(prepared.config, prepared.listeners)
            .await
            .err()
            .unwrap();
        assert!(format!("{error:#}").contains("could not listen on"), "{error:#}");
        for port in [prepared.ports.orderer, prepared.ports.chaincode] {
            assert!(
                TcpStream::connect(("127.0.0.1", port)).is_err(),
                "{port} is served"
            );
        }
    }
}
