//! `loadgen`: a network of the given peer binary, a native chaincode, and clients that send pre-signed proposals as
//! fast as they are answered. What is measured is the peer: its answers and the processor time it took for them.
#![forbid(unsafe_code)]

mod chaincode;
mod cpu;
mod load;
mod network;
mod report;
mod swaps;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use tempfile::TempDir;

use crate::load::{Case, Load};
use crate::network::Network;
use crate::swaps::Ground;

#[derive(Debug, Parser)]
#[command(
    name = "loadgen",
    about = "Load a peer with pre-signed proposals; report throughput, latency and its CPU time per endorsement",
    after_help = "\
The peer runs as a process of its own (`peer dev`, chaincode in dev mode, no TLS); chaincode and clients run in this
one. Proposals are signed before the clock starts, and nothing is ordered: every figure is of endorsing alone.

Examples:
  cargo xtask bench                                    build everything in release mode and measure it
  loadgen --peer target/bench/bin/peer                 the same with a built tree
  loadgen --peer bin/peer --concurrency 32 --operation noop --rounds 5 --output json
  loadgen --peer bin/peer --swaps 1000                 exchange an auth filter so often under load (the first
                                                       concurrency), and compare with the same load without

Exit codes: 0 measured, 1 something failed (any answer that is no endorsement fails the run), 2 wrong command line"
)]
struct Cli {
    /// The peer binary; its plugins are found as its configuration says.
    #[arg(long)]
    peer: PathBuf,
    /// Requests under way at a time, each on a connection of its own.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32], value_parser = clap::value_parser!(u16).range(1..=512))]
    concurrency: Vec<u16>,
    /// What the chaincode is asked to do.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Operation::Noop, Operation::Get, Operation::Put])]
    operation: Vec<Operation>,
    /// Proposals of one round.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    requests: u32,
    /// Rounds of every case; the medians are reported.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// Instead of the cases: reload the plugins so many times while no-ops are endorsed.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    swaps: Option<u32>,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What one transaction does.
#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Operation {
    /// Nothing: the chaincode answers at once.
    Noop,
    /// Reads one key.
    Get,
    /// Writes one key.
    Put,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::Get => "get",
            Self::Put => "put",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// A table.
    Text,
    /// One JSON document.
    Json,
}

fn main() -> ExitCode {
    match measure(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(cli: &Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("could not start the asynchronous runtime")?;
    runtime.block_on(run(cli))
}

async fn run(cli: &Cli) -> Result<()> {
    report::progress("bringing up a network (peer dev), installing and instantiating the chaincode");
    let folder = tempfile::tempdir().context("could not create a temporary folder")?;
    if let Some(swaps) = cli.swaps {
        return swap(cli, folder, swaps).await;
    }
    let network = Network::start(&cli.peer, folder, None).await?;
    let load = Load::new(&network, cli.requests, cli.rounds)?;
    let mut figures = Vec::new();
    for operation in cli.operation.iter().copied() {
        for concurrency in cli.concurrency.iter().copied() {
            let case = Case {
                operation,
                concurrency,
            };
            report::progress(&format!("{} at concurrency {concurrency}", operation.name()));
            figures.push(load.run(case).await?);
        }
    }
    network.stop().await?;
    match cli.output {
        Output::Text => report::table(&figures),
        Output::Json => report::json(&figures)?,
    }
    Ok(())
}

async fn swap(cli: &Cli, folder: TempDir, swaps: u32) -> Result<()> {
    let concurrency = cli.concurrency.first().copied().unwrap_or(1);
    let ground = Ground::lay(folder.path(), &cli.peer)?;
    let network = Network::start(&cli.peer, folder, Some(ground.config())).await?;
    let load = Load::new(&network, cli.requests, cli.rounds)?;
    let swapped = swaps::measure(&network, &ground, &load, (swaps, concurrency)).await?;
    network.stop().await?;
    match cli.output {
        Output::Text => report::swapped(&swapped),
        Output::Json => report::json(&swapped)?,
    }
    Ok(())
}
