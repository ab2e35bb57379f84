//! `peer config …`

use anyhow::Result;
use core_config::{CoreConfig, EffectiveValue};
use serde::Serialize;

use super::context::Context;
use super::{ConfigCommand, output};
use crate::node::settings;

/// Runs a command.
///
/// # Errors
/// When the configuration is wrong; the text lists every fault.
pub fn run(context: &Context, command: &ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Check => check(context),
        ConfigCommand::Print { .. } => print(context),
    }
}

#[derive(Serialize)]
struct Checked<'a> {
    file: Option<String>,
    unsupported: &'a [String],
}

/// Loading has found faults of values already; what is left are faults between values and in what they name.
fn check(context: &Context) -> Result<()> {
    settings::check_everything(&context.config)?;
    let checked = Checked {
        file: file(&context.config),
        unsupported: context.config.unsupported_keys(),
    };
    output::result(context.output, &checked, |checked| {
        let mut text = format!(
            "configuration is good ({})",
            checked.file.as_deref().unwrap_or("shipped defaults")
        );
        if !checked.unsupported.is_empty() {
            text.push_str(&format!(
                "\nignored, not supported: {}",
                checked.unsupported.join(", ")
            ));
        }
        text
    })
}

fn file(config: &CoreConfig) -> Option<String> {
    config.file().map(|path| path.display().to_string())
}

/// One value in force, as printed.
#[derive(Serialize)]
struct Effective {
    key: String,
    value: String,
    source: String,
}

impl From<&EffectiveValue> for Effective {
    fn from(value: &EffectiveValue) -> Self {
        Self {
            key: value.key.clone(),
            value: value.value.clone(),
            source: value.source.to_string(),
        }
    }
}

fn print(context: &Context) -> Result<()> {
    let effective: Vec<_> = context.config.effective().iter().map(Effective::from).collect();
    output::result(context.output, &effective, |effective| {
        let rows: Vec<_> = effective
            .iter()
            .map(|value| vec![value.key.clone(), value.value.clone(), value.source.clone()])
            .collect();
        output::table(&["KEY", "VALUE", "FROM"], &rows)
    })
}
