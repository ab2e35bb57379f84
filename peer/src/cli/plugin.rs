//! `peer plugin …`: one module for each command.

mod inspect;
mod list;
pub mod new;
pub mod test;
mod verify;

use anyhow::Result;

use super::context::Context;
use super::{Output, PluginCommand};

/// Runs a command. Only those that are about this peer's plugins read its configuration.
///
/// # Errors
/// As the command documents it.
pub async fn run(output: Output, command: &PluginCommand) -> Result<()> {
    let context = || Context::load(output, Vec::new());
    match command {
        PluginCommand::List => list::run(&context()?),
        PluginCommand::Inspect { file } => inspect::run(output, file),
        PluginCommand::Verify => verify::run(&context()?),
        PluginCommand::New(args) => new::run(output, args),
        PluginCommand::Test(args) => test::run(output, args).await,
        PluginCommand::TestCheck(args) => test::run_check(args).await,
    }
}
