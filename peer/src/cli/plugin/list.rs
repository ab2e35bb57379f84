//! `peer plugin list`

use anyhow::Result;

use crate::cli::context::Context;
use crate::cli::output;
use crate::node::plugins;

/// Loads the plugins as the peer would, and lists them.
pub(super) fn run(context: &Context) -> Result<()> {
    let listed: Vec<_> = plugins::load(&context.config)?
        .list()
        .iter()
        .map(Listed::from)
        .collect();
    output::result(context.output, &listed, |listed| {
        let rows: Vec<_> = listed.iter().map(Listed::row).collect();
        output::table(
            &["KIND", "NAME", "PLUGIN", "DIGEST", "API", "EXECUTOR", "FILE"],
            &rows,
        )
    })
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
            self.sha256.chars().take(8).collect(),
            self.api.clone(),
            self.executor.clone(),
            self.file.clone(),
        ]
    }
}
