//! From the configuration of the whole peer to the settings of each crate, and faults between values.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use container::{
    BuildLevel, ChaincodeLogging, DockerConfig, Endpoint, EngineHints, EngineTls, Limits, LogStore,
    OwnLimits, ProcessConfig, PullPolicy, RegistryLogin, RegistryLogins, SandboxMode,
};
use core_config::{
    CoreConfig, MetricsProvider, Sandbox, StateDatabase, TlsConfig, VmRuntime, first_local_ip,
    split_host_port,
};
use msp::{LocalMsp, LocalSigner};
use orderer::OrdererSettings;
use prost::Message;
use protos::common::Block;
use protos::wire_message;

use super::{plugins, servers};
use crate::operations;

/// Every fault of a configuration, one a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n  "))]
pub struct Faults(pub Vec<String>);

impl Faults {
    fn none_or(faults: Vec<String>) -> Result<(), Self> {
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Self(faults))
        }
    }
}

use crate::version;

/// What to do when Docker is wanted and nobody says where it is.
pub const NO_ENDPOINT: &str =
    "runtime docker needs vm.endpoint, the Docker Engine; set it, or set vm.runtime: process";
/// No limit of the engine's answers is shorter.
const LEAST_TIMEOUT: Duration = Duration::from_secs(1);
/// Where Fabric's images are published.
const IMAGE_NAMESPACE: &str = "hyperledger";

/// Finds faults that no single value shows.
///
/// # Errors
/// All faults, with what to do about them.
pub fn check(config: &CoreConfig) -> Result<(), Faults> {
    Faults::none_or(between_values(config))
}

fn between_values(config: &CoreConfig) -> Vec<String> {
    let mut faults = Vec::new();
    if uses(config, VmRuntime::Docker) {
        let usable = docker(config).and_then(|docker| Ok(docker.context(NO_ENDPOINT)?.check()?));
        faults.extend(usable.err().map(|error| wire_message(error.as_ref())));
    }
    if config.ledger.state.state_database != StateDatabase::Embedded {
        faults.push(
            "ledger.state.stateDatabase: CouchDB is not supported; set goleveldb (the peer's embedded store takes its place)"
                .to_owned(),
        );
    }
    if config.metrics.provider == MetricsProvider::Statsd {
        faults.push("metrics.provider: statsd is not supported; set prometheus or disabled".to_owned());
    }
    if config.orderer.enabled
        && (config.orderer.local_msp_dir.is_none() || config.orderer.local_msp_id.is_none())
    {
        faults.push(
            "orderer.enabled needs orderer.localMspDir and orderer.localMspId, the identity that signs blocks".to_owned(),
        );
    }
    faults.extend(plugins::section(config).err().into_iter().flatten());
    faults
}

/// Finds all that would keep a peer from starting, as far as it shows without opening a ledger or a port. Reads
/// files and loads plugins: it blocks.
///
/// # Errors
/// All faults.
pub fn check_everything(config: &CoreConfig) -> Result<(), Faults> {
    let mut faults = between_values(config);
    let told = |error: anyhow::Error| wire_message(error.as_ref());
    faults.extend(addresses(config).err().map(told));
    faults.extend(tls_faults("peer.tls", &config.peer.tls));
    faults.extend(operations::faults(config));
    faults.extend(local_msp(config).err().map(told));
    if config.orderer.enabled {
        faults.extend(tls_faults("orderer.tls", &config.orderer.tls));
        // without the two keys the fault is named already
        if config.orderer.local_msp_dir.is_some() && config.orderer.local_msp_id.is_some() {
            faults.extend(orderer_identity(config).err().map(told));
        }
    }
    if plugins::section(config).is_ok() {
        faults.extend(plugins::load(config).err().map(told));
    }
    Faults::none_or(faults)
}

fn addresses(config: &CoreConfig) -> Result<()> {
    let address = config.peer.effective_address(first_local_ip)?;
    let endpoint = config
        .peer
        .chaincode_endpoint(&address, config.chaincode.dev_mode());
    endpoint.context("peer.chaincodeAddress, peer.chaincodeListenAddress and peer.address")?;
    split_host_port(&config.peer.listen_address).context("peer.listenAddress")?;
    if config.orderer.enabled {
        split_host_port(&config.orderer.listen_address).context("orderer.listenAddress")?;
    }
    Ok(())
}

fn tls_faults(section: &str, tls: &TlsConfig) -> Vec<String> {
    if !tls.enabled {
        return Vec::new();
    }
    let mut faults: Vec<String> = tls
        .problems()
        .iter()
        .map(|problem| format!("{section}: {problem}"))
        .collect();
    if faults.is_empty() {
        let usable = servers::security(tls, None);
        faults.extend(
            usable
                .err()
                .map(|error| format!("{section}: {}", wire_message(error.as_ref()))),
        );
    }
    faults
}

/// The peer's own identity: `peer.mspConfigPath`, with the key from `peer.BCCSP.SW.FileKeyStore.KeyStore` if that
/// is set.
///
/// # Errors
/// When the folder is not an MSP with a signing identity.
pub fn local_msp(config: &CoreConfig) -> Result<LocalMsp> {
    let (folder, msp_id) = (&config.peer.msp_config_path, &config.peer.local_msp_id);
    let loaded = match &config.peer.key_store {
        Some(keys) => LocalMsp::load_with_keystore(folder, keys, msp_id),
        None => LocalMsp::load_folder(folder, msp_id),
    };
    loaded.with_context(|| {
        format!(
            "Cannot run peer because the local MSP in {} is unusable; peer.mspConfigPath, or CORE_PEER_MSPCONFIGPATH, \
             names the folder",
            folder.display()
        )
    })
}

/// Whether any chaincode gets this runtime.
#[must_use]
pub fn uses(config: &CoreConfig, runtime: VmRuntime) -> bool {
    let mut own = config.chaincode.overrides.values().map(|own| own.runtime);
    config.vm.runtime == runtime || own.any(|own| own == Some(runtime))
}

/// Settings of the ledgers.
#[must_use]
pub fn ledger(config: &CoreConfig) -> ledger::Config {
    ledger::Config {
        root_dir: config.peer.file_system_path.join("ledgersData"),
        history_enabled: config.ledger.enable_history_database,
        total_query_limit: u32::try_from(config.ledger.state.total_query_limit).unwrap_or(u32::MAX),
    }
}

/// Settings of the process runtime.
#[must_use]
pub fn process(config: &CoreConfig) -> ProcessConfig {
    let process = &config.chaincode.process;
    let mut settings = ProcessConfig::new(process_folder(config), config.machine_variables());
    settings.sandbox = match process.sandbox {
        Sandbox::Auto => SandboxMode::Auto,
        Sandbox::Off => SandboxMode::Off,
        Sandbox::Required => SandboxMode::Required,
    };
    (settings.user, settings.group) = (process.uid, process.gid);
    settings.limits = Limits {
        memory_bytes: process.memory,
        pids: process.pids,
        nofile: process.nofile,
        cpu: process.cpu,
    };
    settings.build_limits = Limits {
        memory_bytes: process.build_memory,
        pids: process.build_pids,
        nofile: process.build_nofile,
        cpu: process.cpu,
    };
    settings.overrides = config
        .chaincode
        .overrides
        .iter()
        .map(|(name, own)| (name.clone(), own_limits(&settings, &own.process)))
        .collect();
    settings.build_timeout = process.build_timeout.max(LEAST_TIMEOUT);
    settings.hidden = secrets(config);
    settings.logs = Some(chaincode_logs(config));
    if let Some(folder) = process.node_path.as_deref().and_then(Path::parent) {
        put_first_in_path(&mut settings, folder);
    }
    settings
}

/// The limits of all chaincode with those of one chaincode in their place, where it has some.
fn own_limits(all: &ProcessConfig, own: &core_config::OwnLimits) -> OwnLimits {
    OwnLimits {
        limits: Limits {
            memory_bytes: own.memory.unwrap_or(all.limits.memory_bytes),
            pids: own.pids.unwrap_or(all.limits.pids),
            nofile: own.nofile.unwrap_or(all.limits.nofile),
            cpu: own.cpu.or(all.limits.cpu),
        },
        build_limits: Limits {
            memory_bytes: own.build_memory.unwrap_or(all.build_limits.memory_bytes),
            pids: own.build_pids.unwrap_or(all.build_limits.pids),
            nofile: own.build_nofile.unwrap_or(all.build_limits.nofile),
            cpu: own.cpu.or(all.build_limits.cpu),
        },
    }
}

/// Settings of the Docker runtime; none if `vm.endpoint` is empty.
///
/// # Errors
/// When `vm.endpoint` or `vm.docker.tls` cannot be used.
pub fn docker(config: &CoreConfig) -> Result<Option<DockerConfig>> {
    let docker = &config.vm.docker;
    let tls = if docker.tls.enabled {
        let file = |file: &Option<PathBuf>, key: &str| {
            file.clone()
                .with_context(|| format!("vm.docker.tls.enabled needs vm.docker.tls.{key}.file"))
        };
        Some(EngineTls {
            ca: file(&docker.tls.ca_file, "ca")?,
            cert: file(&docker.tls.cert_file, "cert")?,
            key: file(&docker.tls.key_file, "key")?,
        })
    } else {
        None
    };
    let Some(endpoint) = Endpoint::parse(&config.vm.endpoint, tls.clone())? else {
        return Ok(None);
    };
    let mut settings = DockerConfig::new(endpoint, config.peer.file_system_path.join("dockerBuilds"));
    settings.tls = tls;
    settings.hints = EngineHints {
        docker_host: config.vm.docker_host.clone(),
        runtime_dir: config.vm.runtime_dir.clone(),
    };
    settings.attach_stdout = docker.attach_stdout;
    settings.host_config = docker.host_config.clone();
    settings.overrides = config
        .chaincode
        .overrides
        .iter()
        .map(|(name, own)| (name.clone(), own.host_config.clone()))
        .collect();
    settings.builder = image_name(&config.chaincode.builder);
    settings.pull = config.chaincode.pull;
    settings.pull_policy = match docker.pull_policy {
        core_config::PullPolicy::Never => PullPolicy::Never,
        core_config::PullPolicy::Missing => PullPolicy::Missing,
        core_config::PullPolicy::Always => PullPolicy::Always,
    };
    settings.mirror = docker.mirror.clone();
    settings.auth = registry_logins(config)?;
    settings.pull_timeout = docker.pull_timeout.max(LEAST_TIMEOUT);
    settings.build_timeout = docker.build_timeout.max(LEAST_TIMEOUT);
    settings.start_timeout = docker.start_timeout.max(LEAST_TIMEOUT);
    settings.level = BuildLevel {
        version: version::FABRIC.to_owned(),
        base_version: String::new(),
    };
    settings.logs = Some(chaincode_logs(config));
    Ok(Some(settings))
}

/// Logins for registries. Who they are for is checked now; the files are read when they are needed.
fn registry_logins(config: &CoreConfig) -> Result<RegistryLogins> {
    let auth = &config.vm.docker.auth;
    for own in &auth.registries {
        let host = &own.registry;
        let odd = |char: char| char.is_whitespace() || char == '/' || char == '@';
        if host.is_empty() || host.contains(odd) {
            bail!("vm.docker.auth.registries: registry {host:?} is not HOST or HOST:PORT");
        }
        if own.username.is_empty() || own.password_file.as_os_str().is_empty() {
            bail!("vm.docker.auth.registries: {host} needs username and passwordFile");
        }
    }
    let discovered = || {
        let folder = config.vm.docker_config.as_ref()?;
        Some(folder.join("config.json")).filter(|file| file.exists())
    };
    Ok(RegistryLogins {
        config_file: auth.config_file.clone().or_else(discovered),
        registries: auth
            .registries
            .iter()
            .map(|own| RegistryLogin {
                registry: own.registry.clone(),
                username: own.username.clone(),
                password_file: own.password_file.clone(),
            })
            .collect(),
    })
}

/// Fabric's template variables in the name of an image.
pub(super) fn image_name(template: &str) -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    [
        ("$(ARCH)", architecture),
        ("$(PROJECT_VERSION)", version::FABRIC),
        ("$(TWO_DIGIT_VERSION)", version::FABRIC),
        ("$(BASE_VERSION)", version::FABRIC),
        ("$(DOCKER_NS)", IMAGE_NAMESPACE),
        ("$(BASE_DOCKER_NS)", IMAGE_NAMESPACE),
    ]
    .into_iter()
    .fold(template.to_owned(), |name, (variable, value)| {
        name.replace(variable, value)
    })
}

/// Where what chaincode prints is kept.
#[must_use]
pub fn chaincode_logs(config: &CoreConfig) -> LogStore {
    LogStore {
        root: config.peer.file_system_path.join("chaincodeLogs"),
        max_bytes: config.chaincode.output_log_size,
    }
}

/// Where the process runtime has its builds.
#[must_use]
pub fn process_folder(config: &CoreConfig) -> PathBuf {
    config.peer.file_system_path.join("process")
}

/// Folders with the peer's keys and ledgers, which chaincode has no business in. What it needs below them, such as
/// its own build, the runtime puts back.
fn secrets(config: &CoreConfig) -> Vec<PathBuf> {
    let folder_of = |file: &Option<PathBuf>| file.as_deref().and_then(Path::parent).map(Path::to_owned);
    let mut folders = vec![
        config.peer.msp_config_path.clone(),
        config.peer.file_system_path.join("ledgersData"),
    ];
    folders.extend(config.peer.key_store.clone());
    for tls in [&config.peer.tls, &config.orderer.tls, &config.operations.tls]
        .into_iter()
        .filter(|tls| tls.enabled)
    {
        folders.extend(
            [folder_of(&tls.key_file), folder_of(&tls.client_key_file)]
                .into_iter()
                .flatten(),
        );
    }
    if config.orderer.enabled {
        folders.extend(config.orderer.local_msp_dir.clone());
        folders.push(config.orderer.file_system_path.clone());
    }
    folders.sort();
    folders.dedup();
    folders
}

/// The configured node program goes before those of the search path.
fn put_first_in_path(settings: &mut ProcessConfig, folder: &Path) {
    if let Some((_, path)) = settings.environment.iter_mut().find(|(name, _)| name == "PATH") {
        *path = format!("{}:{path}", folder.display());
    }
}

/// Settings of chaincode support.
#[must_use]
pub fn chaincode(config: &CoreConfig, connect: String) -> chaincode::Config {
    let section = &config.chaincode;
    chaincode::Config {
        execute_timeout: section.execute_timeout,
        startup_timeout: section.startup_timeout,
        install_timeout: section.install_timeout,
        keepalive: section.keepalive,
        dev_mode: section.dev_mode(),
        total_query_limit: u32::try_from(config.ledger.state.total_query_limit).unwrap_or(u32::MAX),
        chaincode_address: connect,
        local_msp_id: config.peer.local_msp_id.clone(),
        logging: ChaincodeLogging {
            level: section.logging.level.clone(),
            shim: section.logging.shim.clone(),
            format: section.logging.format.clone(),
        },
        announce_batches: false,
    }
}

/// Settings of the embedded orderer.
#[must_use]
pub fn orderer(config: &CoreConfig) -> OrdererSettings {
    OrdererSettings {
        file_system_path: config.orderer.file_system_path.clone(),
        time_window: config.peer.authentication_timewindow,
        mutual_tls: config.orderer.tls.enabled && config.orderer.tls.client_auth_required,
        no_expiration_checks: false,
    }
}

/// The identity that signs blocks, and the block that the embedded orderer starts with.
///
/// # Errors
/// When the identity or the block cannot be read.
pub fn orderer_identity(config: &CoreConfig) -> Result<(Arc<LocalSigner>, Option<Block>)> {
    let folder = config
        .orderer
        .local_msp_dir
        .as_deref()
        .context("orderer.localMspDir is not set")?;
    let msp_id = config
        .orderer
        .local_msp_id
        .as_deref()
        .context("orderer.localMspId is not set")?;
    let local_msp = LocalMsp::load_folder(folder, msp_id)
        .with_context(|| format!("the orderer's MSP in {} is unusable", folder.display()))?;
    let bootstrap = match &config.orderer.bootstrap_file {
        Some(path) => {
            let bytes = crate::cli::context::read(path)?;
            let block = Block::decode(bytes);
            Some(block.with_context(|| format!("orderer.bootstrapFile {} is no block", path.display()))?)
        }
        None => None,
    };
    Ok((Arc::clone(local_msp.signer()), bootstrap))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use core_config::LoadOptions;

    use super::*;
    use crate::dev::identities::{Identities, ORG_MSP};

    fn load(folder: &Path, yaml: &str) -> CoreConfig {
        fs::write(folder.join("core.yaml"), yaml).unwrap();
        let options = LoadOptions {
            variables: Vec::new(),
            current_dir: folder.to_owned(),
            search: vec![folder.to_owned()],
            program_dir: None,
            overrides: Vec::new(),
        };
        CoreConfig::load(&options).unwrap()
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let config = load(
            folder.path(),
            "peer: {address: nowhere, tls: {enabled: true}, handlers: {platforms: [], decorators: [], \
             authFilters: [{name: NoSuchPlugin}]}}\n\
             ledger: {state: {stateDatabase: CouchDB}}\n\
             operations: {listenAddress: nowhere, tls: {enabled: true}}\nmetrics: {provider: statsd}\n\
             orderer: {enabled: true, tls: {enabled: true}}",
        );
        let faults = check_everything(&config).unwrap_err().0;
        for expected in [
            "ledger.state.stateDatabase: CouchDB is not supported",
            "metrics.provider: statsd is not supported; set prometheus or disabled",
            "operations.listenAddress",
            "operations.tls: error loading TLS key",
            "orderer.enabled needs orderer.localMspDir",
            "peer.address isn't in host:port format: nowhere",
            "peer.tls: error loading TLS key",
            "peer.tls: error loading TLS certificate",
            "peer.tls: error loading TLS root certificate",
            "orderer.tls: error loading TLS key",
            "Cannot run peer because the local MSP in",
            "3 plugin(s) refused\n  peer.handlers.authFilters[0] (name \"NoSuchPlugin\")",
        ] {
            assert!(
                faults.iter().any(|fault| fault.starts_with(expected)),
                "{expected}\n{faults:#?}"
            );
        }
    }

    #[test]
    fn a_fault_in_the_plugins_section_names_entry_and_file() {
        let folder = tempfile::tempdir().unwrap();
        let yaml = "peer: {handlers: {authFilters: [{name: A}, {name: B, libary: x}], decorator: []}}";
        let config = load(folder.path(), yaml);
        let faults = check(&config).unwrap_err().0;
        let file = folder.path().join("core.yaml").display().to_string();
        assert_eq!(
            faults,
            [
                format!(
                    "peer.handlers.authFilters[1].libary: unknown key; did you mean \"library\"? (in {file})"
                ),
                format!("peer.handlers.decorator: unknown key; did you mean \"decorators\"? (in {file})"),
            ]
        );
        assert_eq!(
            plugins::load(&config).unwrap_err().to_string(),
            faults.join("\n  ")
        );
    }

    #[test]
    fn the_key_may_lie_in_a_folder_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let identities = Identities::ensure(folder.path().join("crypto-config")).unwrap();
        let msp = identities.peer_msp();
        let keys = folder.path().join("keys");
        fs::rename(msp.join("keystore"), &keys).unwrap();
        let yaml = format!(
            "peer: {{mspConfigPath: {}, localMspId: {ORG_MSP}}}",
            msp.display()
        );
        assert!(local_msp(&load(folder.path(), &yaml)).is_err());
        let with_keys =
            format!("{yaml}\n").replace("}\n", ", BCCSP: {SW: {FileKeyStore: {KeyStore: keys}}}}");
        let config = load(folder.path(), &with_keys);
        local_msp(&config).unwrap();
        assert!(
            process(&config).hidden.contains(&keys),
            "chaincode must not see it"
        );
        let operations =
            format!("{yaml}\noperations: {{tls: {{enabled: true, key: {{file: ops/key.pem}}}}}}");
        let hidden = process(&load(folder.path(), &operations)).hidden;
        assert!(hidden.contains(&folder.path().join("ops")), "{hidden:?}");
    }

    #[test]
    fn single_chaincodes_have_limits_of_their_own_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let yaml = "chaincode: {process: {memory: 5, buildMemory: 6, cpu: 1.5}, overrides: {mycc: {process: \
                    {memory: 7, buildPids: 8}}, other: {runtime: docker}}}";
        let settings = process(&load(folder.path(), yaml));
        let own = &settings.overrides["mycc"];
        assert_eq!(
            (own.limits.memory_bytes, own.limits.pids),
            (7, settings.limits.pids)
        );
        assert_eq!((own.limits.cpu, own.build_limits.cpu), (Some(1.5), Some(1.5)));
        assert_eq!((own.build_limits.memory_bytes, own.build_limits.pids), (6, 8));
        assert_eq!(settings.overrides["other"].limits, settings.limits);
    }

    #[test]
    fn logins_for_registries_are_checked_and_found() {
        let folder = tempfile::tempdir().unwrap();
        let logins = |yaml: &str| {
            let config = load(folder.path(), &format!("vm: {{docker: {{auth: {yaml}}}}}"));
            docker(&config).map(|docker| docker.unwrap().auth)
        };
        assert_eq!(logins("{}").unwrap(), RegistryLogins::default());
        let own =
            "{configFile: c.json, registries: [{registry: 'r.example:5000', username: u, passwordFile: p}]}";
        let found = logins(own).unwrap();
        assert_eq!(found.config_file, Some(folder.path().join("c.json")));
        assert_eq!(found.registries[0].password_file, folder.path().join("p"));
        for (wrong, text) in [
            (
                "{registry: 'https://r.example/v2', username: u, passwordFile: p}",
                "is not HOST or HOST:PORT",
            ),
            (
                "{registry: 'u:p@r.example', username: u, passwordFile: p}",
                "is not HOST or HOST:PORT",
            ),
            (
                "{registry: r.example, username: '', passwordFile: p}",
                "needs username and passwordFile",
            ),
        ] {
            let error = logins(&format!("{{registries: [{wrong}]}}")).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
        let mut config = load(folder.path(), "{}");
        config.vm.docker_config = Some(folder.path().to_owned());
        let discovered = |config: &CoreConfig| docker(config).unwrap().unwrap().auth.config_file;
        assert_eq!(discovered(&config), None, "there is none");
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        assert_eq!(discovered(&config), Some(folder.path().join("config.json")));
    }

    #[test]
    fn a_certificate_that_is_none_is_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["c", "k"] {
            fs::write(folder.path().join(name), "no PEM").unwrap();
        }
        let yaml = "peer: {tls: {enabled: true, cert: {file: c}, key: {file: k}, rootcert: {file: ''}}}";
        let config = load(folder.path(), yaml);
        let faults = tls_faults("peer.tls", &config.peer.tls);
        assert!(
            faults.len() == 1 && faults[0].starts_with("peer.tls: "),
            "{faults:?}"
        );
    }
}
