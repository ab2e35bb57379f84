//! What a development network needs before its node can start: folder, identities, sockets, configuration.

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::{Context, Result};
use core_config::{CoreConfig, LoadOptions, MACHINE_VARIABLES};
use msp::LocalMsp;
use prost::Message;

use super::folder::{Folder, Ports, Readers, write_file};
use super::genesis::system_genesis;
use super::identities::{ADMIN, Identities, USER};
use super::network::NetworkSpec;
use super::settings::{self, GENESIS_FILE, HOST, address};
use crate::node::Listeners;

/// The folder of the identities.
const CRYPTO_CONFIG: &str = "crypto-config";

/// All of it.
pub(super) struct Prepared {
    pub(super) folder: Folder,
    pub(super) identities: Identities,
    pub(super) ports: Ports,
    pub(super) config: CoreConfig,
    pub(super) listeners: Listeners,
    pub(super) admin: Arc<LocalMsp>,
    pub(super) user: Arc<LocalMsp>,
}

/// Finds or makes it. Blocks.
pub(super) fn prepare(spec: NetworkSpec) -> Result<Prepared> {
    channelconfig::validate_channel_id(&spec.channel).context(
        "a channel's name has lower case letters, digits, dots and dashes, and begins with a letter",
    )?;
    let mut folder = Folder::open(&spec.dir)?;
    let (ports, listeners) = listen(&folder, spec.peer_port, spec.orderer_port)?;
    folder.keep_ports(ports)?;
    let identities = Identities::ensure(folder.join(CRYPTO_CONFIG))?;
    let genesis = folder.join(GENESIS_FILE);
    if !genesis.exists() {
        let block = system_genesis(&identities, &address(ports.orderer))?;
        write_file(&genesis, &block.encode_to_vec(), Readers::All)?;
    }
    let overrides = settings::node_overrides(&folder, &identities, ports, spec.tls);
    let process = LoadOptions::of_process().context("could not look at this process")?;
    let of_machine = |(name, _): &&(String, String)| MACHINE_VARIABLES.contains(&name.as_str());
    let mut variables: Vec<_> = process.variables.iter().filter(of_machine).cloned().collect();
    variables.extend(spec.variables);
    let options = LoadOptions {
        variables,
        search: Vec::new(),
        overrides,
        ..process
    };
    let config = CoreConfig::load(&options.with_overrides(spec.overrides))?;
    let admin = Arc::new(identities.load_user(ADMIN)?);
    let user = Arc::new(identities.load_user(USER)?);
    Ok(Prepared {
        folder,
        identities,
        ports,
        config,
        listeners,
        admin,
        user,
    })
}

/// Binds every socket, so that a port is ours from the moment it is chosen.
fn listen(folder: &Folder, peer_port: u16, orderer_port: u16) -> Result<(Ports, Listeners)> {
    let wanted = match folder.ports() {
        Some(kept) => {
            let differs = |wanted: u16, kept: u16| wanted != 0 && wanted != kept;
            if differs(peer_port, kept.peer) || differs(orderer_port, kept.orderer) {
                tracing::warn!(
                    peer = kept.peer,
                    orderer = kept.orderer,
                    "this network keeps its ports"
                );
            }
            kept
        }
        None => Ports {
            peer: peer_port,
            chaincode: if peer_port == 0 {
                0
            } else {
                peer_port.wrapping_add(1)
            },
            orderer: orderer_port,
        },
    };
    let (peer, peer_listener) = bind("peer", wanted.peer)?;
    let (chaincode, chaincode_listener) = bind("chaincode listener", wanted.chaincode)?;
    let (orderer, orderer_listener) = bind("orderer", wanted.orderer)?;
    let listeners = Listeners {
        peer: Some(peer_listener),
        chaincode: Some(chaincode_listener),
        orderer: Some(orderer_listener),
    };
    Ok((
        Ports {
            peer,
            chaincode,
            orderer,
        },
        listeners,
    ))
}

fn bind(what: &str, port: u16) -> Result<(u16, TcpListener)> {
    let bound =
        TcpListener::bind((HOST, port)).and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
    bound.with_context(|| {
        format!(
            "port {port} of the {what} cannot be used; stop what uses it, or choose others: --port 0 --orderer-port 0 \
             takes free ones, in a new folder or with --reset"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_second_start_finds_ports_identities_and_genesis_block_again() {
        let temporary = tempfile::tempdir().unwrap();
        let spec = NetworkSpec::new(temporary.path().join("net"), "mychannel");
        let first = prepare(spec.clone()).unwrap();
        let ports = first.ports;
        let creator = first.admin.serialized_identity();
        let genesis = fs::read(first.folder.join(GENESIS_FILE)).unwrap();
        assert!(ports.peer != 0 && ports.chaincode != 0 && ports.orderer != 0);
        assert_eq!(first.config.peer.listen_address, address(ports.peer));
        drop(first);
        let second = prepare(NetworkSpec { tls: false, ..spec }).unwrap();
        assert_eq!(second.ports, ports);
        assert_eq!(second.admin.serialized_identity(), creator);
        assert_eq!(fs::read(second.folder.join(GENESIS_FILE)).unwrap(), genesis);
        assert!(!second.config.peer.tls.enabled && !second.config.orderer.tls.enabled);
    }

    #[test]
    fn a_taken_port_is_refused_with_advice() {
        let taken = TcpListener::bind((HOST, 0)).unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let port = taken.local_addr().unwrap().port();
        let spec = NetworkSpec {
            orderer_port: port,
            ..NetworkSpec::new(temporary.path(), "mychannel")
        };
        let error = prepare(spec).err().unwrap();
        assert!(
            error.to_string().contains(&format!("port {port} of the orderer")),
            "{error}"
        );
        assert!(error.to_string().contains("--orderer-port 0"), "{error}");
    }

    #[test]
    fn a_bad_channel_name_leaves_no_trace() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("net");
        let error = prepare(NetworkSpec::new(&dir, "My Channel")).err().unwrap();
        assert!(
            format!("{error:#}").starts_with("a channel's name has lower case letters"),
            "{error:#}"
        );
        assert!(!dir.exists());
    }

    #[test]
    fn the_callers_overrides_win() {
        let temporary = tempfile::tempdir().unwrap();
        let overrides = vec![core_config::Override::new(
            "peer.tls.clientAuthRequired",
            true,
            "test",
        )];
        let spec = NetworkSpec {
            overrides,
            ..NetworkSpec::new(temporary.path().join("net"), "mychannel")
        };
        assert!(prepare(spec).unwrap().config.peer.tls.client_auth_required);
    }
}
