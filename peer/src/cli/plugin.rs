//! `peer plugin …`: one module for each command.

mod explain;
mod inspect;
mod list;
pub mod new;
mod running;
pub mod test;
mod verify;

use anyhow::Result;

use super::context::Context;
use super::{Output, PluginCommand};

/// Runs a command. Only those that are about this peer's plugins read its configuration.
///
/// # Errors
/// As the command documents it; when a running peer refuses or does not answer.
pub async fn run(output: Output, command: &PluginCommand) -> Result<()> {
    let context = || Context::of_command(output);
    match command {
        PluginCommand::List { running: false } => list::run(&context()?),
        PluginCommand::List { running: true } => running::list(&context()?).await,
        PluginCommand::Reload => running::reload(&context()?).await,
        PluginCommand::Explain {
            question,
            running: true,
        } => running::explain(&context()?, question).await,
        PluginCommand::Explain {
            question,
            running: false,
        } => explain::run(&context()?, question),
        PluginCommand::Inspect { file } => inspect::run(output, file),
        PluginCommand::Verify => verify::run(&context()?),
        PluginCommand::New(args) => new::run(output, args),
        PluginCommand::Test(args) => test::run(output, args).await,
        PluginCommand::TestCheck(args) => test::run_check(args).await,
    }
}
