//! The configuration of a development network: of its node, and of the `peer` commands that use it.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use core_config::{CoreConfig, Override, VmRuntime};
use deliver::client::{ClientIdentity, ClientTls, GrpcTarget};
use serde_json::Value;

use super::connection_profile::Server;
use super::folder::{Folder, Ports, Readers, write_file};
use super::identities::{ADMIN, Identities, NodeTls, ORDERER_MSP, ORG_MSP, PEER, read_text};

/// Everything listens here and nowhere else.
pub(super) const HOST: &str = "127.0.0.1";
/// What the operator is told when a value's origin is asked for.
const SOURCE: &str = "peer dev";

/// The file of the system channel's genesis block.
pub(super) const GENESIS_FILE: &str = "genesis.block";

/// How long a connection on this machine may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// `host:port` on this machine.
pub(super) fn address(port: u16) -> String {
    format!("{HOST}:{port}")
}

/// What the node is told, above whatever files and variables say.
pub(super) fn node_overrides(
    folder: &Folder,
    identities: &Identities,
    ports: Ports,
    tls: bool,
) -> Vec<Override> {
    let path = |path: &Path| Value::from(path.display().to_string());
    let mut values: Vec<(String, Value)> = Vec::new();
    let mut set = |key: &str, value: Value| values.push((key.to_owned(), value));
    set("peer.id", PEER.into());
    set("peer.networkId", format!("dev-{}", ports.peer).into());
    set("peer.address", address(ports.peer).into());
    set("peer.addressAutoDetect", false.into());
    set("peer.listenAddress", address(ports.peer).into());
    set("peer.chaincodeAddress", address(ports.chaincode).into());
    set("peer.chaincodeListenAddress", address(ports.chaincode).into());
    set("peer.fileSystemPath", path(&folder.join("peer")));
    set("peer.mspConfigPath", path(&identities.peer_msp()));
    set("peer.localMspId", ORG_MSP.into());
    set("peer.BCCSP.SW.FileKeyStore.KeyStore", "".into());
    let client_roots = Value::from(vec![
        path(&identities.peer_tls().root),
        path(&identities.orderer_tls().root),
    ]);
    tls_overrides("peer.tls", tls, &identities.peer_tls(), &client_roots, &mut set);
    set("peer.tls.rootcert.file", path(&identities.peer_tls().root));
    // its port is for the peer that is there to stay
    set("operations.listenAddress", "".into());
    set("orderer.enabled", true.into());
    set("orderer.listenAddress", address(ports.orderer).into());
    set("orderer.bootstrapFile", path(&folder.join(GENESIS_FILE)));
    set("orderer.localMspDir", path(&identities.orderer_msp()));
    set("orderer.localMspId", ORDERER_MSP.into());
    set("orderer.fileSystemPath", path(&folder.join("orderer")));
    tls_overrides(
        "orderer.tls",
        tls,
        &identities.orderer_tls(),
        &client_roots,
        &mut set,
    );
    values
        .into_iter()
        .map(|(key, value)| Override::new(key, value, SOURCE))
        .collect()
}

fn tls_overrides(
    section: &str,
    enabled: bool,
    files: &NodeTls,
    client_roots: &Value,
    set: &mut impl FnMut(&str, Value),
) {
    set(&format!("{section}.enabled"), enabled.into());
    set(&format!("{section}.clientAuthRequired"), false.into());
    set(
        &format!("{section}.cert.file"),
        files.certificate.display().to_string().into(),
    );
    set(
        &format!("{section}.key.file"),
        files.key.display().to_string().into(),
    );
    set(&format!("{section}.clientRootCAs.files"), client_roots.clone());
}

/// The variables with which `peer` commands, ours and Fabric's, act on the network as its admin.
pub(super) fn environment(
    folder: &Folder,
    identities: &Identities,
    ports: Ports,
    tls: bool,
) -> Vec<(String, String)> {
    let mut variables = vec![
        ("FABRIC_CFG_PATH", folder.path().display().to_string()),
        ("CORE_PEER_ADDRESS", address(ports.peer)),
        ("CORE_PEER_LOCALMSPID", ORG_MSP.to_owned()),
        (
            "CORE_PEER_MSPCONFIGPATH",
            identities.user_msp(ADMIN).display().to_string(),
        ),
        ("CORE_PEER_TLS_ENABLED", tls.to_string()),
    ];
    if tls {
        let own = identities.user_tls(ADMIN);
        variables.extend([
            (
                "CORE_PEER_TLS_ROOTCERT_FILE",
                identities.peer_tls().root.display().to_string(),
            ),
            (
                "CORE_PEER_TLS_CLIENTCERT_FILE",
                own.certificate.display().to_string(),
            ),
            ("CORE_PEER_TLS_CLIENTKEY_FILE", own.key.display().to_string()),
        ]);
    }
    variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// How to connect to the peer. Blocks.
pub(super) fn peer_target(config: &CoreConfig, identities: &Identities, ports: Ports) -> Result<GrpcTarget> {
    let tls = &config.peer.tls;
    target(
        ports.peer,
        tls.enabled,
        tls.client_auth_required,
        &identities.peer_tls(),
        identities,
    )
}

/// How to connect to the orderer. Blocks.
pub(super) fn orderer_target(
    config: &CoreConfig,
    identities: &Identities,
    ports: Ports,
) -> Result<GrpcTarget> {
    let tls = &config.orderer.tls;
    target(
        ports.orderer,
        tls.enabled,
        tls.client_auth_required,
        &identities.orderer_tls(),
        identities,
    )
}

fn target(
    port: u16,
    tls: bool,
    mutual: bool,
    server: &NodeTls,
    identities: &Identities,
) -> Result<GrpcTarget> {
    let tls = if tls {
        let own = identities.user_tls(ADMIN);
        let identity = ClientIdentity {
            certificate_pem: read_text(&own.certificate)?.into(),
            key_pem: read_text(&own.key)?.into(),
        };
        let roots = vec![server.root_pem()?.into()];
        Some(ClientTls {
            roots,
            identity: mutual.then_some(identity),
            server_name: None,
        })
    } else {
        None
    };
    Ok(GrpcTarget {
        address: address(port),
        tls,
        connect_timeout: CONNECT_TIMEOUT,
        keepalive: None,
    })
}

/// Peer and orderer for the connection profile. Blocks.
pub(super) fn servers(
    config: &CoreConfig,
    identities: &Identities,
    ports: Ports,
) -> Result<(Server, Server)> {
    let server = |port: u16, tls: bool, files: &NodeTls| -> Result<Server> {
        let root_pem = if tls { Some(files.root_pem()?) } else { None };
        Ok(Server {
            address: address(port),
            root_pem,
        })
    };
    Ok((
        server(ports.peer, config.peer.tls.enabled, &identities.peer_tls())?,
        server(
            ports.orderer,
            config.orderer.tls.enabled,
            &identities.orderer_tls(),
        )?,
    ))
}

/// Writes `core.yaml` and `env.sh`. Blocks.
///
/// # Errors
/// When they cannot be written.
pub(super) fn write_client_files(
    folder: &Folder,
    config: &CoreConfig,
    identities: &Identities,
    environment: &[(String, String)],
) -> Result<()> {
    let yaml = client_core_yaml(config, identities)?;
    write_file(&folder.join("core.yaml"), yaml.as_bytes(), Readers::All)?;
    let program = std::env::current_exe().ok();
    let program_dir = program.as_deref().and_then(Path::parent);
    let shell = env_sh(environment, program_dir);
    write_file(&folder.join("env.sh"), shell.as_bytes(), Readers::All)?;
    Ok(())
}

/// JSON is YAML, so every value is written as JSON.
fn client_core_yaml(config: &CoreConfig, identities: &Identities) -> Result<String> {
    let peer = &config.peer;
    let admin_tls = identities.user_tls(ADMIN);
    let text = |path: &Path| Value::from(path.display().to_string());
    Ok(format!(
        "\
# Written by `peer dev` at every start, for the `peer` commands: they act as {ADMIN} of {ORG_MSP}.
# The node itself is configured by the command line of `peer dev` and by the core.yaml that it was started with.
peer:
  id: {id}
  networkId: {network}
  address: {address}
  fileSystemPath: {data}
  localMspId: {ORG_MSP}
  mspConfigPath: {msp}
  tls:
    enabled: {tls}
    cert: {{file: {server_certificate}}}
    key: {{file: {server_key}}}
    rootcert: {{file: {root}}}
    clientCert: {{file: {certificate}}}
    clientKey: {{file: {key}}}
    clientAuthRequired: {mutual}
  handlers: {handlers}
vm:
  runtime: {runtime}
  endpoint: {endpoint}
",
        id = Value::from(peer.id.as_str()),
        network = Value::from(peer.network_id.as_str()),
        address = Value::from(peer.address.as_str()),
        data = text(&peer.file_system_path),
        runtime = match config.vm.runtime {
            VmRuntime::Process => "process",
            VmRuntime::Docker => "docker",
        },
        endpoint = Value::from(config.vm.endpoint.as_str()),
        msp = text(&identities.user_msp(ADMIN)),
        tls = peer.tls.enabled,
        server_certificate = text(&identities.peer_tls().certificate),
        server_key = text(&identities.peer_tls().key),
        root = text(&identities.peer_tls().root),
        certificate = text(&admin_tls.certificate),
        key = text(&admin_tls.key),
        mutual = peer.tls.client_auth_required,
        handlers = serde_json::to_string(&peer.handlers)?,
    ))
}

fn env_sh(environment: &[(String, String)], program_dir: Option<&Path>) -> String {
    let mut text =
        "# Use it with: . env.sh\n# From then on, `peer` commands in this shell act on this network.\n"
            .to_owned();
    for (name, value) in environment {
        text.push_str(&format!("export {name}={}\n", shell_quoted(value)));
    }
    if let Some(folder) = program_dir {
        text.push_str(&format!(
            "export PATH={}:\"$PATH\"\n",
            shell_quoted(&folder.display().to_string())
        ));
    }
    text
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use core_config::LoadOptions;
    use std::path::PathBuf;

    use super::*;

    const PORTS: Ports = Ports {
        peer: 7051,
        chaincode: 7052,
        orderer: 7050,
    };

    struct Place {
        _temporary: tempfile::TempDir,
        folder: Folder,
        identities: Identities,
    }

    fn place() -> Place {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::open(&temporary.path().join("it's here")).unwrap();
        let identities = Identities::ensure(folder.join("crypto-config")).unwrap();
        Place {
            _temporary: temporary,
            folder,
            identities,
        }
    }

    fn load(variables: Vec<(String, String)>, overrides: Vec<Override>) -> CoreConfig {
        let options = LoadOptions {
            variables,
            current_dir: PathBuf::from("/"),
            search: Vec::new(),
            program_dir: None,
            overrides,
        };
        CoreConfig::load(&options).unwrap()
    }

    #[test]
    fn the_node_is_told_everything_that_differs_from_the_defaults() {
        let Place {
            _temporary,
            folder,
            identities,
        } = place();
        let hostile = vec![("CORE_PEER_ADDRESS".to_owned(), "elsewhere:1".to_owned())];
        let config = load(hostile, node_overrides(&folder, &identities, PORTS, true));
        assert_eq!(config.peer.address, "127.0.0.1:7051");
        assert_eq!(
            config.peer.chaincode_listen_address.as_deref(),
            Some("127.0.0.1:7052")
        );
        assert_eq!(config.peer.key_store, None);
        assert_eq!(config.peer.file_system_path, folder.join("peer"));
        assert!(config.peer.tls.enabled && config.orderer.enabled && config.orderer.tls.enabled);
        config.peer.tls.load().unwrap();
        config.orderer.tls.load().unwrap();
        assert_eq!(config.orderer.bootstrap_file, Some(folder.join(GENESIS_FILE)));
        assert_eq!(config.orderer.local_msp_id.as_deref(), Some(ORDERER_MSP));
        assert!(
            config.unsupported_keys().is_empty(),
            "{:?}",
            config.unsupported_keys()
        );
    }

    #[test]
    fn the_written_core_yaml_is_what_commands_need() {
        let Place {
            _temporary,
            folder,
            identities,
        } = place();
        let node = load(Vec::new(), node_overrides(&folder, &identities, PORTS, true));
        let environment = environment(&folder, &identities, PORTS, true);
        write_client_files(&folder, &node, &identities, &environment).unwrap();
        let alone = vec![("FABRIC_CFG_PATH".to_owned(), folder.path().display().to_string())];
        for variables in [alone, environment] {
            let config = load(variables, Vec::new());
            assert_eq!(config.peer.address, "127.0.0.1:7051");
            assert_eq!(config.peer.msp_config_path, identities.user_msp(ADMIN));
            assert_eq!(config.peer.tls.rootcert_file, Some(identities.peer_tls().root));
            assert_eq!(config.peer.handlers, node.peer.handlers);
            assert!(
                config.unsupported_keys().is_empty(),
                "{:?}",
                config.unsupported_keys()
            );
        }
    }

    #[test]
    fn the_shell_file_survives_odd_folders() {
        let text = env_sh(
            &[("A".to_owned(), "it's".to_owned())],
            Some(Path::new("/opt/a b")),
        );
        assert!(text.contains(r"export A='it'\''s'"), "{text}");
        assert!(text.contains("export PATH='/opt/a b':\"$PATH\""), "{text}");
    }
}
