//! `peer plugin …`

mod running;

use anyhow::Result;
use handlers::Question;

use super::context::Context;
use super::{PluginCommand, QuestionArgs, output};
use crate::node::plugins;

/// Runs a command.
///
/// # Errors
/// When a plugin cannot be loaded; the text lists every fault. When a running peer refuses or does not answer.
pub async fn run(context: &Context, command: &PluginCommand) -> Result<()> {
    match command {
        PluginCommand::List { running: false } => list(context),
        PluginCommand::List { running: true } => running::list(context).await,
        PluginCommand::Reload => running::reload(context).await,
        PluginCommand::Explain {
            question,
            running: true,
        } => running::explain(context, question).await,
        PluginCommand::Explain {
            question,
            running: false,
        } => explain(context, question),
    }
}

fn list(context: &Context) -> Result<()> {
    let listed: Vec<_> = plugins::load(&context.config)?
        .list()
        .iter()
        .map(Listed::from)
        .collect();
    output::result(context.output, &listed, |listed| {
        let rows: Vec<_> = listed.iter().map(Listed::row).collect();
        output::table(&["KIND", "NAME", "PLUGIN", "API", "EXECUTOR", "FILE"], &rows)
    })
}

fn explain(context: &Context, question: &QuestionArgs) -> Result<()> {
    let question = Question {
        channel: question.channel.clone(),
        chaincode: question.chaincode.clone(),
        function: question.function.clone(),
        mspid: question.mspid.clone(),
    };
    let explained = plugins::load(&context.config)?.current().explain(&question);
    running::print_explained(context, &serde_json::to_value(explained)?)
}

/// A loaded plugin, as printed.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    kind: String,
    name: String,
    plugin: String,
    version: String,
    api: String,
    executor: String,
    file: String,
    sha256: String,
    config_path: String,
}

impl From<&handlers::PluginInfo> for Listed {
    fn from(info: &handlers::PluginInfo) -> Self {
        Self {
            kind: info.kind.name().to_owned(),
            name: info.instance.clone(),
            plugin: info.plugin.clone(),
            version: info.version.clone(),
            api: info.api.clone(),
            executor: info.executor.name().to_owned(),
            file: info.file.clone(),
            sha256: info.sha256.clone(),
            config_path: info.config_path.clone(),
        }
    }
}

impl Listed {
    fn row(&self) -> Vec<String> {
        vec![
            self.kind.clone(),
            self.name.clone(),
            format!("{} {}", self.plugin, self.version),
            self.api.clone(),
            self.executor.clone(),
            self.file.clone(),
        ]
    }
}
