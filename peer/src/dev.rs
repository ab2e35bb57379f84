//! `peer dev`: a network of one organisation in this process, for people who write chaincode and clients.
//!
//! [`network`] is the network itself, for tests and tools too. The rest serves the command: what it says
//! ([`run`]), and a chaincode that follows its source folder.

mod chaincode_folder;
mod changes;
mod connection_profile;
pub mod folder;
mod genesis;
pub mod identities;
pub mod network;
pub mod network_client;
mod notice;
mod prepare;
mod ready;
mod settings;

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use core_config::LoadOptions;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::chaincode_folder::{ChaincodeFolder, told};
use self::changes::Changes;
use self::folder::Folder;
use self::network::{Network, NetworkSpec};
use self::ready::{Ready, RunningChaincode};
use crate::cli::context::Context;
use crate::cli::progress::during;
use crate::cli::{DevArgs, Output};
use crate::client::ctor::parse_ctor;

/// Names the folder of core.yaml.
const CONFIG_FOLDER: &str = "FABRIC_CFG_PATH";

/// Brings up a network, says how to reach it, and keeps it until SIGINT or SIGTERM.
///
/// # Errors
/// When the network does not come up or a part of it dies; with JSON output also when the chaincode does not
/// start, while a person is told and may mend it.
pub async fn run(args: &DevArgs, output: Output) -> Result<()> {
    let context = match output {
        Output::Text => Context::of_development(output)?,
        Output::Json => Context::load(output, Vec::new())?,
    };
    let mut stop = StopSignals::listen()?;
    crate::node::last_resort::arm()?;
    let source = source(args)?;
    let spec = spec(&context, args)?;
    if args.reset {
        Folder::reset(&args.dir)?;
    }
    let network = tokio::select! {
        started = during("bringing up CA, orderer, channel and peer", Network::start(spec)) => started?,
        () = stop.received() => return Ok(()),
    };
    let ended = tokio::select! {
        ended = serve(&network, source, &args.dir, output) => ended,
        part = network.node().failed() => Err(anyhow!("{part} ended unexpectedly")),
        () = stop.received() => Ok(()),
    };
    during("stopping", network.shutdown()).await?;
    ended
}

fn source(args: &DevArgs) -> Result<Option<ChaincodeFolder>> {
    let init = parse_ctor(&args.ctor).context("--ctor")?;
    let of_folder = |folder: &std::path::PathBuf| {
        ChaincodeFolder::new(folder, args.name.as_deref(), args.lang.as_deref(), init)
    };
    args.chaincode.as_ref().map(of_folder).transpose()
}

/// The network of these arguments, with the configuration that this process was started with.
fn spec(context: &Context, args: &DevArgs) -> Result<NetworkSpec> {
    let process = LoadOptions::of_process().context("could not look at this process")?;
    let mut variables: Vec<_> = process
        .variables
        .into_iter()
        .filter(|(name, _)| name != CONFIG_FOLDER)
        .collect();
    let folder = context.config.file().and_then(Path::parent);
    // after `. env.sh` the configuration may be the one that this reset deletes
    let goes_away = |folder: &Path| args.reset && same_folder(folder, &args.dir);
    if let Some(folder) = folder.filter(|folder| !goes_away(folder)) {
        variables.push((CONFIG_FOLDER.to_owned(), folder.display().to_string()));
    }
    Ok(NetworkSpec {
        dir: args.dir.clone(),
        channel: args.channel.clone(),
        peer_port: args.port,
        orderer_port: args.orderer_port,
        tls: !args.no_tls,
        overrides: Vec::new(),
        variables,
    })
}

fn same_folder(one: &Path, other: &Path) -> bool {
    std::fs::canonicalize(one)
        .ok()
        .zip(std::fs::canonicalize(other).ok())
        .is_some_and(|(one, other)| one == other)
}

/// Deploys the chaincode, says how to reach the network, and follows the chaincode's changes.
async fn serve(network: &Network, source: Option<ChaincodeFolder>, dir: &Path, output: Output) -> Result<()> {
    let Some(mut source) = source else {
        Ready::new(network, dir, None, None, false).print(output)?;
        return std::future::pending().await;
    };
    source.settle_language(&network.node().platforms()).await?;
    // watched from before the first build, so that no change is missed
    let changes = match Changes::of(source.path()) {
        Ok(changes) => Some(changes),
        Err(error) => {
            notice::not_watching(source.name(), &protos::wire_message(&error));
            None
        }
    };
    let first = source.take_over(network).await;
    let mut running = None;
    let failure = match first {
        Ok(taken) => {
            running = Some(taken.version().to_owned());
            notice::taken_over(source.name(), &taken);
            source.retire(network, &taken).await;
            None
        }
        Err(error) if output == Output::Text && changes.is_some() => Some(told(&error)),
        Err(error) => return Err(error),
    };
    let chaincode = running.clone().map(|version| RunningChaincode {
        name: source.name().to_owned(),
        version,
    });
    Ready::new(network, dir, chaincode, Some(source.name()), changes.is_some()).print(output)?;
    if let Some(failure) = failure {
        notice::not_taken_over(source.name(), None, &failure);
    }
    match changes {
        Some(changes) => follow(network, &source, &changes, running).await,
        None => std::future::pending().await,
    }
}

/// Takes every change over; a chaincode that does not build is reported, and the one before goes on answering.
async fn follow(
    network: &Network,
    source: &ChaincodeFolder,
    changes: &Changes,
    mut running: Option<String>,
) -> Result<()> {
    loop {
        changes.next().await;
        notice::changed(source.name());
        match source.take_over(network).await {
            Ok(taken) => {
                running = Some(taken.version().to_owned());
                notice::taken_over(source.name(), &taken);
                source.retire(network, &taken).await;
            }
            Err(error) => notice::not_taken_over(source.name(), running.as_deref(), &told(&error)),
        }
    }
}

/// SIGINT and SIGTERM, noticed from the start, and what comes when the terminal goes: SIGHUP.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl StopSignals {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
        tracing::info!("stopping");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_terminal_that_goes_ends_the_network_in_order() {
        let mut stop = StopSignals::listen().unwrap();
        let process = std::process::id().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-HUP", &process])
            .status();
        assert!(sent.unwrap().success());
        tokio::time::timeout(std::time::Duration::from_secs(60), stop.received())
            .await
            .unwrap();
    }
}
