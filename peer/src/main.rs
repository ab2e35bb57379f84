//! The peer binary: parses the command line, runs the command, says why it failed.

#![forbid(unsafe_code)]

use std::error::Error as StdError;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use core_config::Override;
use peer::cli::context::Context;
use peer::cli::{Cli, Command, NodeCommand, Wanting, chaincode, channel, config, output, plugin};
use peer::version::Versions;
use peer::{dev, node};

/// How long threads that nobody waits for any more may take to end. A plugin may hold one for ever.
const LAST_GRACE: Duration = Duration::from_secs(2);

/// Exit codes.
const DONE: u8 = 0;
const FAILED: u8 = 1;
/// That of [`Wanting`].
const WANTING: u8 = 3;

fn main() -> ExitCode {
    if let Some(code) = container::sandbox::run_if_requested() {
        return code;
    }
    handlers::try_out_if_requested();
    if let Err(error) = handlers::report_crashes() {
        return failed(&format!("could not install the crash handlers: {error}"));
    }
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("could not start the runtime: {error}")),
    };
    let code = match runtime.block_on(run(cli)) {
        Ok(()) => DONE,
        Err(error) => {
            failed(&protos::wire_message(AsRef::<dyn StdError>::as_ref(&error)));
            if error.is::<Wanting>() { WANTING } else { FAILED }
        }
    };
    runtime.shutdown_timeout(LAST_GRACE);
    if handlers::is_mapping() {
        // whether anybody still reads it does not matter
        std::io::stdout().flush().ok();
        handlers::exit_now(code);
    }
    ExitCode::from(code)
}

#[expect(clippy::print_stderr, reason = "the last word of a failed command")]
fn failed(why: &str) -> ExitCode {
    eprintln!("Error: {why}");
    ExitCode::from(FAILED)
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Version => output::result(cli.output, &Versions::of_this_build(), Versions::text),
        Command::Node(NodeCommand::Start { chaincode_dev }) => {
            let overrides =
                chaincode_dev.then(|| Override::new("chaincode.mode", "dev", "--peer-chaincodedev"));
            let context = Context::load(cli.output, overrides.into_iter().collect())?;
            node::run(context.config).await
        }
        Command::Channel(args) => channel::run(&Context::of_command(cli.output)?, args).await,
        Command::Chaincode(args) => chaincode::run(&Context::of_command(cli.output)?, *args).await,
        Command::Plugin(command) => plugin::run(cli.output, &command).await,
        Command::Config(command) => config::run(&Context::of_command(cli.output)?, &command),
        Command::Dev(args) => dev::run(&args, cli.output).await,
    }
}
