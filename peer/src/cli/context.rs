//! What every command needs: configuration, identity, and whom to talk to.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use channelconfig::Bundle;
use core_config::{CoreConfig, LoadOptions, Override};
use deliver::client::{ClientIdentity, ClientTls, GrpcTarget, OrdererClient};
use msp::{LocalMsp, LocalSigner};
use prost::Message;
use protos::common::Block;

use super::{OrdererArgs, Output, PeerArgs};
use crate::client::connection::PeerConnection;
use crate::client::proposal::{PreparedProposal, ProposalRequest};
use crate::logging;

/// A command's surroundings.
#[derive(Debug)]
pub struct Context {
    /// The configuration after all layers.
    pub config: CoreConfig,
    /// How results are printed.
    pub output: Output,
}

impl Context {
    /// Loads the configuration of this process and starts logging.
    ///
    /// # Errors
    /// When a layer cannot be read or a value is wrong.
    pub fn load(output: Output, overrides: Vec<Override>) -> Result<Self> {
        let options = LoadOptions::of_process().context("could not look at this process")?;
        let config = CoreConfig::load(&options.with_overrides(overrides))?;
        logging::init(
            config.logging.spec(),
            config.logging.format.as_deref().unwrap_or_default(),
        );
        Ok(Self { config, output })
    }

    /// Loads the identity that signs: `peer.mspConfigPath` and `peer.localMspId`.
    ///
    /// # Errors
    /// When the folder is not an MSP with a signing identity.
    pub fn identity(&self) -> Result<LocalMsp> {
        let folder = &self.config.peer.msp_config_path;
        LocalMsp::load_folder(folder, &self.config.peer.local_msp_id).with_context(|| {
            format!(
                "Cannot run peer because the MSP in {} is unusable",
                folder.display()
            )
        })
    }

    /// The peers a command is for: those of the flags, else `peer.address`.
    ///
    /// # Errors
    /// When TLS files are missing or do not match the addresses.
    pub fn peers(&self, args: &PeerArgs) -> Result<Vec<GrpcTarget>> {
        let tls = self.config.peer.tls.enabled;
        if args.addresses.is_empty() {
            let root = self.config.peer.tls.rootcert_file.as_deref();
            let name = self.config.peer.tls.server_host_override.clone();
            return Ok(vec![self.target(&self.config.peer.address, tls, root, name)?]);
        }
        if tls && args.tls_roots.len() != args.addresses.len() {
            bail!(
                "number of --peerAddresses ({}) does not match the number of --tlsRootCertFiles ({})",
                args.addresses.len(),
                args.tls_roots.len()
            );
        }
        let roots = args
            .tls_roots
            .iter()
            .map(|path| Some(path.as_path()))
            .chain(std::iter::repeat(None));
        args.addresses
            .iter()
            .zip(roots)
            .map(|(address, root)| self.target(address, tls, root, None))
            .collect()
    }

    /// Connects to the first of the peers.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn peer(&self, args: &PeerArgs) -> Result<PeerConnection> {
        let targets = self.peers(args)?;
        let target = targets.first().context("no peer address given")?;
        Ok(PeerConnection::open(target).await?)
    }

    /// Connects to the orderer of the flags, else to the first that the channel's configuration names.
    ///
    /// # Errors
    /// When there is no orderer to be found or no connection.
    pub async fn orderer(
        &self,
        args: &OrdererArgs,
        channel: &str,
        signer: &LocalSigner,
    ) -> Result<OrdererClient> {
        let target = match &args.orderer {
            Some(address) => {
                let mut target = self.target(
                    address,
                    args.tls,
                    args.cafile.as_deref(),
                    args.hostname_override.clone(),
                )?;
                if let (Some(tls), true) = (&mut target.tls, args.clientauth) {
                    tls.identity = client_identity(args.certfile.as_deref(), args.keyfile.as_deref())?;
                }
                target
            }
            None => self.orderer_of_channel(args, channel, signer).await?,
        };
        Ok(OrdererClient::connect(&target).await?)
    }

    async fn orderer_of_channel(
        &self,
        args: &OrdererArgs,
        channel: &str,
        signer: &LocalSigner,
    ) -> Result<GrpcTarget> {
        let peer = self.peer(&PeerArgs::default()).await?;
        let request = ProposalRequest::new("", "cscc", ["GetConfigBlock".to_owned(), channel.to_owned()]);
        let block = peer.call(PreparedProposal::new(&request, signer)?.signed).await;
        let block =
            block.with_context(|| format!("no --orderer given, and no configuration of {channel}"))?;
        let bundle = Bundle::from_config_block(&Block::decode(block)?)?;
        let endpoint = channel::orderer_endpoints(&bundle).into_iter().next();
        let endpoint =
            endpoint.with_context(|| format!("the configuration of {channel} names no orderer"))?;
        let tls = args.tls || self.config.peer.tls.enabled;
        let mut target = self.target(
            &endpoint.address,
            tls,
            args.cafile.as_deref(),
            args.hostname_override.clone(),
        )?;
        if let (Some(tls), None) = (&mut target.tls, &args.cafile) {
            tls.roots = endpoint.tls_roots;
        }
        Ok(target)
    }

    fn target(
        &self,
        address: &str,
        tls: bool,
        root: Option<&Path>,
        name: Option<String>,
    ) -> Result<GrpcTarget> {
        let tls = if tls { Some(self.tls(root, name)?) } else { None };
        Ok(GrpcTarget {
            address: address.to_owned(),
            tls,
            connect_timeout: self.config.peer.client_conn_timeout.max(Duration::from_secs(1)),
            keepalive: None,
        })
    }

    fn tls(&self, root: Option<&Path>, server_name: Option<String>) -> Result<ClientTls> {
        let roots = root.map(read).transpose()?.into_iter().collect();
        let identity = match self.config.peer.tls.client_pair() {
            Some((certificate, key)) if self.config.peer.tls.client_auth_required => {
                client_identity(Some(certificate), Some(key))?
            }
            _ => None,
        };
        Ok(ClientTls {
            roots,
            identity,
            server_name,
        })
    }
}

fn client_identity(certificate: Option<&Path>, key: Option<&Path>) -> Result<Option<ClientIdentity>> {
    let (Some(certificate), Some(key)) = (certificate, key) else {
        bail!("mutual TLS needs both a client certificate and its key");
    };
    Ok(Some(ClientIdentity {
        certificate_pem: read(certificate)?,
        key_pem: read(key)?,
    }))
}

/// Reads a file, naming it on failure.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Bytes> {
    Ok(std::fs::read(path)
        .with_context(|| format!("could not read {}", path.display()))?
        .into())
}

/// Writes a file, naming it on failure.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("could not write {}", path.display()))
}

/// A duration of the command line, in Go's syntax: `30s`, `1m30s`.
///
/// # Errors
/// When it is none.
pub fn duration(text: &str) -> Result<Duration> {
    core_config::parse_duration(text)
        .with_context(|| format!("{text:?} is not a duration such as 30s or 1m30s"))
}
