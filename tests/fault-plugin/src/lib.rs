//! Test fixture: a plugin that misbehaves as its configuration says, `{"mode": "…"}`.

mod decorator;
mod endorsement;
mod filter;
mod validation;

use plugin_api::{Init, PluginError, Result, export_plugin};
use serde::Deserialize;

const SCHEMA: &str = r#"{
    "type": "object",
    "required": ["mode"],
    "properties": {"mode": {"type": "string"}},
    "additionalProperties": false
}"#;

#[derive(Deserialize)]
struct Options {
    mode: String,
}

/// The mode, after those that concern the constructor itself.
#[allow(clippy::panic, reason = "this plugin is there to misbehave")]
fn mode_of(init: &Init<'_>) -> Result<String> {
    let options: Options = serde_json::from_str(init.config_json.as_str())
        .map_err(|error| PluginError::config(error.to_string()))?;
    match options.mode.as_str() {
        "panic in constructor" => panic!("constructor fault"),
        "refuse config" => Err(PluginError::config("mode is not to my taste")),
        "hang in constructor" => loop {
            std::thread::park();
        },
        "fail in constructor" => Err(PluginError::unknown("no licence")),
        _ => Ok(options.mode),
    }
}

export_plugin! {
    name: "Fault",
    description: "Misbehaves as configured.",
    config_schema: SCHEMA,
    filter: filter::new,
    decorator: decorator::new,
    endorsement: endorsement::new,
    validation: validation::new,
}
