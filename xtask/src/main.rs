//! `cargo xtask`: everything that a newcomer or CI runs, in one place.

mod abi_fixture;
mod bench;
mod demo;
mod dist;
mod docker;
mod steps;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Builds, demonstrates, tests and packages the peer"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything, bring up a network, run a real chaincode through it, print the result.
    #[command(after_help = "\
Examples:
  cargo xtask demo                       Node; the chaincode is a process of this machine
  cargo xtask demo --language golang     the same in Go; or java
  cargo xtask demo --runtime docker      it is built and runs in containers")]
    Demo(demo::Demo),
    /// Check, run all tests, run the demo. Needs node, npm, Go, a JDK and Maven; fetches the npm packages itself.
    #[command(after_help = "\
Examples:
  cargo xtask test                       everything
  cargo xtask test -- -p ledger          only what cargo test selects with these arguments")]
    Test {
        /// Passed to `cargo test` instead of `--workspace`.
        #[arg(last = true)]
        cargo: Vec<String>,
    },
    /// Install and start a Docker Engine if none answers, and make images that stand in for Fabric's, of this machine's
    /// files. Without a registry; needs Debian or Ubuntu, and root if there is no engine.
    Docker,
    /// Formatting, clippy and documentation, warnings denied.
    Check,
    /// Build in release mode and load the peer: throughput, latency, CPU of the peer per endorsement.
    #[command(after_help = "\
Examples:
  cargo xtask bench                                        no-op, get and put at concurrency 1, 8 and 32
  cargo xtask bench -- --operation noop --concurrency 32   only this (options of loadgen, see -- --help)")]
    Bench {
        /// Passed to the load generator.
        #[arg(last = true)]
        loadgen: Vec<String>,
    },
    /// Build and keep a plugin library of this version of plugin-api, which every later peer must load. Part of a
    /// release that changes the version; COMPATIBILITY.md has the rules.
    AbiFixture {
        /// Take plugin-api from this commit.
        #[arg(long)]
        commit: Option<String>,
    },
    /// Lay out what an operator installs: bin/, plugins/, config/. An existing config/core.yaml stays.
    Dist {
        /// Where to: a new or empty folder, or one that was laid out before.
        #[arg(long, default_value = "target/fabric-peer")]
        to: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Demo(demo) => demo::run(demo),
        Task::Test { cargo } => test::run(&cargo),
        Task::Docker => docker::set_up(),
        Task::Check => test::check(),
        Task::Bench { loadgen } => bench::run(&loadgen),
        Task::AbiFixture { commit } => abi_fixture::run(commit.as_deref()),
        Task::Dist { to } => dist::run(&to),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            steps::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
