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

use super::connection_profile::{ConnectionProfile, Endpoint};
use super::{OrdererArgs, Output, PeerArgs};
use crate::client::connection::PeerConnection;
use crate::client::proposal::{PreparedProposal, ProposalRequest};
use crate::logging::{self, Style};
use crate::node::settings;

/// A command's surroundings.
#[derive(Debug)]
pub struct Context {
    /// The configuration after all layers.
    pub config: CoreConfig,
    /// How results are printed.
    pub output: Output,
}

/// What a command logs that prints a result and ends, unless `FABRIC_LOGGING_SPEC` or `logging.spec` says otherwise:
/// what goes well is in the result.
const COMMANDS_LOG: &str = "warning";

/// The same for `peer dev`: what chaincode prints. What becomes of a chaincode is told in words of its own.
const DEVELOPMENT_LOGS: &str = "warning:chaincode,peer.cli.progress=info:\
                                chaincode.launcher,chaincode.stream,endorser,scc.lscc.install=error";

impl Context {
    /// Loads the configuration of this process and starts logging, as a peer does.
    ///
    /// # Errors
    /// When a layer cannot be read or a value is wrong.
    pub fn load(output: Output, overrides: Vec<Override>) -> Result<Self> {
        Self::logging(output, overrides, None, Style::Peer)
    }

    /// The same for a command that ends with its result.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn of_command(output: Output) -> Result<Self> {
        Self::logging(output, Vec::new(), Some(COMMANDS_LOG), Style::Peer)
    }

    /// The same for `peer dev`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn of_development(output: Output) -> Result<Self> {
        Self::logging(output, Vec::new(), Some(DEVELOPMENT_LOGS), Style::Development)
    }

    fn logging(
        output: Output,
        overrides: Vec<Override>,
        unless_said: Option<&str>,
        style: Style,
    ) -> Result<Self> {
        let options = LoadOptions::of_process().context("could not look at this process")?;
        let config = CoreConfig::load(&options.with_overrides(overrides))?;
        let logging = &config.logging;
        let spec = logging.stated_spec().or(unless_said).unwrap_or(&logging.level);
        logging::init(spec, logging.format.as_deref().unwrap_or_default(), style);
        Ok(Self { config, output })
    }

    /// Loads the identity that signs: `peer.mspConfigPath` and `peer.localMspId`.
    ///
    /// # Errors
    /// When the folder is not an MSP with a signing identity.
    pub fn identity(&self) -> Result<LocalMsp> {
        settings::local_msp(&self.config)
    }

    /// The peers a command is for: those of the connection profile, else those of the flags, else `peer.address`.
    ///
    /// # Errors
    /// When TLS files are missing or do not match the addresses, or the profile names no peer.
    pub fn peers(&self, args: &PeerArgs, channel: &str) -> Result<Vec<GrpcTarget>> {
        let config = &self.config.peer;
        if let Some(path) = &args.connection_profile {
            let endpoints = ConnectionProfile::read(path)?.endorsers(channel)?;
            if endpoints.is_empty() {
                bail!("connection profile {} names no endorsing peer", path.display());
            }
            return endpoints
                .into_iter()
                .map(|endpoint| self.listed(endpoint))
                .collect();
        }
        let name = config.tls.server_host_override.as_deref();
        if args.addresses.is_empty() {
            let root = config.tls.rootcert_file.as_deref();
            return Ok(vec![self.target(
                &config.address,
                config.tls.enabled,
                root,
                name,
            )?]);
        }
        if config.tls.enabled && args.tls_roots.len() != args.addresses.len() {
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
            .map(|(address, root)| self.target(address, config.tls.enabled, root, name))
            .collect()
    }

    /// Connects to the only peer of a command that asks one.
    ///
    /// # Errors
    /// When the arguments name several, or there is no connection.
    pub async fn peer(&self, args: &PeerArgs, channel: &str, command: &str) -> Result<PeerConnection> {
        match self.peers(args, channel)?.as_slice() {
            [target] => Ok(PeerConnection::open(target).await?),
            targets => bail!(
                "'{command}' command can only be executed against one peer. received {}",
                targets.len()
            ),
        }
    }

    /// Connects to the orderer of the flags, else to the connection profile's, else to the first that the channel's
    /// configuration names. `peer` is asked for that configuration; without one, the peer at `peer.address` is.
    ///
    /// # Errors
    /// When there is no orderer to be found or no connection.
    pub async fn orderer(
        &self,
        wanted: OrdererWanted<'_>,
        channel: &str,
        signer: &LocalSigner,
    ) -> Result<OrdererClient> {
        let args = wanted.args;
        if duration(&args.handshake_time_shift)? != Duration::ZERO {
            bail!(
                "--tlsHandshakeTimeShift is not supported, certificates are checked by the clock of this machine: \
                 set the clock, or renew the certificate"
            );
        }
        let mut target = match (&args.orderer, wanted.profile) {
            (Some(address), _) => self.target(
                address,
                args.tls,
                args.cafile.as_deref(),
                args.hostname_override.as_deref(),
            )?,
            (None, Some(path)) => match ConnectionProfile::read(path)?.orderer(channel)? {
                Some(endpoint) => self.listed(endpoint)?,
                None => self.orderer_of_channel(&wanted, channel, signer).await?,
            },
            (None, None) => self.orderer_of_channel(&wanted, channel, signer).await?,
        };
        if let (Some(tls), true) = (&mut target.tls, args.clientauth) {
            tls.identity = Some(self.orderer_identity(args)?);
        }
        target.connect_timeout = duration(&args.conn_timeout)?;
        Ok(OrdererClient::connect(&target).await?)
    }

    /// What the client shows to an orderer: the pair of the flags, else the one that it shows to peers.
    fn orderer_identity(&self, args: &OrdererArgs) -> Result<ClientIdentity> {
        match (&args.certfile, &args.keyfile) {
            (Some(certificate), Some(key)) => client_identity(certificate, key),
            (None, None) => {
                let pair = self.config.peer.tls.client_pair();
                let (certificate, key) = pair.context("--clientauth needs --certfile and --keyfile")?;
                client_identity(certificate, key)
            }
            _ => bail!("--clientauth needs both --certfile and --keyfile"),
        }
    }

    async fn orderer_of_channel(
        &self,
        wanted: &OrdererWanted<'_>,
        channel: &str,
        signer: &LocalSigner,
    ) -> Result<GrpcTarget> {
        let args = wanted.args;
        let peer = match wanted.peer {
            Some(peer) => peer.clone(),
            None => self.peer(&PeerArgs::default(), channel, "").await?,
        };
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
            args.hostname_override.as_deref(),
        )?;
        if let (Some(tls), None) = (&mut target.tls, &args.cafile) {
            tls.roots = endpoint.tls_roots;
        }
        Ok(target)
    }

    /// A node of a connection profile. What the profile leaves open is as in the configuration.
    fn listed(&self, endpoint: Endpoint) -> Result<GrpcTarget> {
        let config = &self.config.peer.tls;
        let name = endpoint
            .server_name
            .or_else(|| config.server_host_override.clone());
        let root = config
            .rootcert_file
            .as_deref()
            .filter(|_| endpoint.roots.is_empty());
        let tls = endpoint.tls.unwrap_or(config.enabled);
        let mut target = self.target(&endpoint.address, tls, root, name.as_deref())?;
        if let Some(tls) = &mut target.tls {
            tls.roots.extend(endpoint.roots);
        }
        Ok(target)
    }

    fn target(
        &self,
        address: &str,
        tls: bool,
        root: Option<&Path>,
        name: Option<&str>,
    ) -> Result<GrpcTarget> {
        let tls = if tls { Some(self.tls(root, name)?) } else { None };
        Ok(GrpcTarget {
            address: address.to_owned(),
            tls,
            connect_timeout: self.config.peer.client_conn_timeout.max(Duration::from_secs(1)),
            keepalive: None,
        })
    }

    fn tls(&self, root: Option<&Path>, server_name: Option<&str>) -> Result<ClientTls> {
        let roots = root.map(read).transpose()?.into_iter().collect();
        let identity = match self.config.peer.tls.client_pair() {
            Some((certificate, key)) if self.config.peer.tls.client_auth_required => {
                Some(client_identity(certificate, key)?)
            }
            _ => None,
        };
        Ok(ClientTls {
            roots,
            identity,
            server_name: server_name.map(str::to_owned),
        })
    }
}

/// Which orderer a command wants, and whom to ask for one.
#[derive(Clone, Copy, Debug)]
pub struct OrdererWanted<'a> {
    /// The flags.
    pub args: &'a OrdererArgs,
    /// The connection profile, if one was given.
    pub profile: Option<&'a Path>,
    /// The peer that the command talks to already.
    pub peer: Option<&'a PeerConnection>,
}

impl<'a> OrdererWanted<'a> {
    /// Only the flags say it.
    #[must_use]
    pub fn by(args: &'a OrdererArgs) -> Self {
        Self {
            args,
            profile: None,
            peer: None,
        }
    }
}

fn client_identity(certificate: &Path, key: &Path) -> Result<ClientIdentity> {
    Ok(ClientIdentity {
        certificate_pem: read(certificate)?,
        key_pem: read(key)?,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn context(variables: &[(&str, &str)]) -> Context {
        let options = LoadOptions {
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            current_dir: "/".into(),
            search: Vec::new(),
            program_dir: None,
            overrides: Vec::new(),
        };
        Context {
            config: CoreConfig::load(&options).unwrap(),
            output: Output::Text,
        }
    }

    fn peers(addresses: &[&str]) -> PeerArgs {
        PeerArgs {
            addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
            ..PeerArgs::default()
        }
    }

    #[tokio::test]
    async fn a_command_for_one_peer_refuses_several() {
        let refused = context(&[])
            .peer(&peers(&["a:1", "b:1"]), "c", "query")
            .await
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "'query' command can only be executed against one peer. received 2"
        );
    }

    #[test]
    fn the_name_to_expect_is_kept_with_addresses_of_the_command_line() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.pem");
        std::fs::write(&root, "PEM").unwrap();
        let context = context(&[
            ("CORE_PEER_TLS_ENABLED", "true"),
            ("CORE_PEER_TLS_ROOTCERT_FILE", root.to_str().unwrap()),
            ("CORE_PEER_TLS_SERVERHOSTOVERRIDE", "peer0"),
        ]);
        let mut args = peers(&["a:1"]);
        args.tls_roots = vec![root];
        for args in [args, PeerArgs::default()] {
            let targets = context.peers(&args, "c").unwrap();
            let name = targets[0].tls.as_ref().and_then(|tls| tls.server_name.as_deref());
            assert_eq!(name, Some("peer0"));
        }
    }

    #[test]
    fn a_connection_profile_comes_first_and_says_how_to_connect() {
        let folder = tempfile::tempdir().unwrap();
        let profile = folder.path().join("net.yaml");
        let text =
            "channels: {c: {peers: {p: {}}}}\npeers: {p: {url: 'grpcs://p:7051', tlsCACerts: {pem: PEM}}}";
        std::fs::write(&profile, text).unwrap();
        let args = PeerArgs {
            connection_profile: Some(profile),
            ..peers(&["a:1"])
        };
        let targets = context(&[]).peers(&args, "c").unwrap();
        assert_eq!((targets.len(), targets[0].address.as_str()), (1, "p:7051"));
        assert_eq!(targets[0].tls.as_ref().unwrap().roots, ["PEM"]);
    }

    #[test]
    fn client_authentication_takes_the_flags_pair_then_that_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            std::fs::write(folder.path().join(name), name).unwrap();
            folder.path().join(name)
        };
        let (certificate, key) = (file("own.crt"), file("own.key"));
        let context = context(&[
            ("CORE_PEER_TLS_CLIENTCERT_FILE", certificate.to_str().unwrap()),
            ("CORE_PEER_TLS_CLIENTKEY_FILE", key.to_str().unwrap()),
        ]);
        let mut args = OrdererArgs::default();
        assert_eq!(
            context.orderer_identity(&args).unwrap().certificate_pem,
            "own.crt"
        );
        args.certfile = Some(file("flag.crt"));
        let error = context.orderer_identity(&args).err().unwrap().to_string();
        assert_eq!(error, "--clientauth needs both --certfile and --keyfile");
        args.keyfile = Some(file("flag.key"));
        assert_eq!(context.orderer_identity(&args).unwrap().key_pem, "flag.key");
    }
}
