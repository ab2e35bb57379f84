//! Auth filter that rejects creators whose certificate has expired, as Fabric's `ExpirationCheck` does.
//!
//! It runs before any signature is checked and says nothing about identities that are no X.509
//! certificates: the endorser deals with those.

mod expiry;
mod filter;
mod messages;

use filter::ExpirationCheck;
use plugin_api::{Init, Result, export_plugin};

const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false
}"#;

fn new(_init: Init<'_>) -> Result<ExpirationCheck> {
    Ok(ExpirationCheck::new())
}

export_plugin! {
    name: "ExpirationCheck",
    description: "Rejects creators whose certificate has expired.",
    config_schema: SCHEMA,
    filter: new,
}
