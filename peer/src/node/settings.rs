//! From the configuration of the whole peer to the settings of each crate, and faults between values.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use container::{ChaincodeLogging, Limits, ProcessConfig, SandboxMode};
use core_config::{CoreConfig, Sandbox, StateDatabase, VmRuntime};
use msp::{LocalMsp, LocalSigner};
use orderer::OrdererSettings;
use prost::Message;
use protos::common::Block;

/// Finds faults that no single value shows.
///
/// # Errors
/// The first fault, with what to do about it.
pub fn check(config: &CoreConfig) -> Result<()> {
    if config.vm.runtime == VmRuntime::Docker {
        bail!("vm.runtime: docker is not supported yet; set vm.runtime: process, or chaincode.mode: dev");
    }
    if config.ledger.state.state_database != StateDatabase::Embedded {
        bail!(
            "ledger.state.stateDatabase: CouchDB is not supported; set goleveldb (the peer's embedded store takes its place)"
        );
    }
    if config.orderer.enabled
        && (config.orderer.local_msp_dir.is_none() || config.orderer.local_msp_id.is_none())
    {
        bail!(
            "orderer.enabled needs orderer.localMspDir and orderer.localMspId, the identity that signs blocks"
        );
    }
    let _handlers: handlers::Config =
        serde_json::from_value(config.peer.handlers.clone()).context("peer.handlers is malformed")?;
    Ok(())
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
    let mut settings = ProcessConfig::new(config.peer.file_system_path.join("process"));
    settings.sandbox = match process.sandbox {
        Sandbox::Auto => SandboxMode::Auto,
        Sandbox::Off => SandboxMode::Off,
        Sandbox::Required => SandboxMode::Required,
    };
    settings.user = process.uid;
    settings.limits = Limits {
        memory_bytes: process.memory,
        pids: process.pids,
        nofile: process.nofile,
    };
    settings.build_limits = Limits {
        memory_bytes: process.build_memory,
        pids: process.build_pids,
        nofile: process.build_nofile,
    };
    settings.build_timeout = config.chaincode.install_timeout.max(Duration::from_secs(1));
    settings.hidden = secrets(config);
    if let Some(folder) = process.node_path.as_deref().and_then(Path::parent) {
        put_first_in_path(&mut settings, folder);
    }
    settings
}

/// Folders with the peer's keys and ledgers, which chaincode has no business in. What it needs below them, such as
/// its own build, the runtime puts back.
fn secrets(config: &CoreConfig) -> Vec<PathBuf> {
    let folder_of = |file: &Option<PathBuf>| file.as_deref().and_then(Path::parent).map(Path::to_owned);
    let mut folders = vec![
        config.peer.msp_config_path.clone(),
        config.peer.file_system_path.join("ledgersData"),
    ];
    for tls in [&config.peer.tls, &config.orderer.tls]
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
