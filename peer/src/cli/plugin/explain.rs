//! `peer plugin explain` without a running peer: what its configuration says.

use anyhow::Result;
use handlers::Question;

use super::running;
use crate::cli::QuestionArgs;
use crate::cli::context::Context;
use crate::node::plugins;

/// Loads the plugins and prints the chain.
///
/// # Errors
/// When a plugin cannot be loaded; the text lists every fault.
pub(super) fn run(context: &Context, question: &QuestionArgs) -> Result<()> {
    let question = Question {
        channel: question.channel.clone(),
        chaincode: question.chaincode.clone(),
        function: question.function.clone(),
        mspid: question.mspid.clone(),
    };
    let explained = plugins::load(&context.config)?.current().explain(&question);
    running::print_explained(context, &serde_json::to_value(explained)?)
}
