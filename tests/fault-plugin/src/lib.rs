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

/// What the library does as it is mapped. Tests change this text in the file.
static INITIALISER: [u8; 19] = *b"initialiser returns";

/// Runs inside of the dynamic linker.
extern "C" fn initialise() {
    // read as it is in the file, not as the compiler has seen it
    match std::hint::black_box(&INITIALISER).as_slice() {
        b"initialiser hangs  " => loop {
            std::thread::park();
        },
        b"initialiser aborts " => std::process::abort(),
        b"initialiser exits  " => exit(),
        _ => {}
    }
}

#[allow(clippy::disallowed_methods, reason = "this plugin is there to misbehave")]
fn exit() -> ! {
    std::process::exit(0)
}

#[used]
#[allow(unsafe_code, reason = "a fault that safe code cannot have")]
// SAFETY: the linker calls what is in this section, with arguments that a C function may ignore.
// JUSTIFICATION: safe code does not run while a library is mapped.
#[unsafe(link_section = ".init_array")]
static INITIALISE: extern "C" fn() = initialise;

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
        "slow constructor" => {
            std::thread::park_timeout(std::time::Duration::from_secs(4));
            Ok(options.mode)
        }
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
