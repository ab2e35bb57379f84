//! Decorator that returns the chaincode input unchanged, as Fabric's `DefaultDecorator` does.

use plugin_api::{Decorator, Editor, Init, Request, Result, export_plugin};

const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false
}"#;

struct DefaultDecorator;

impl Decorator for DefaultDecorator {
    fn decorate(&self, _request: &Request, _input: &mut Editor<'_>) -> Result<()> {
        Ok(())
    }
}

fn new(_init: Init<'_>) -> Result<DefaultDecorator> {
    Ok(DefaultDecorator)
}

export_plugin! {
    name: "DefaultDecorator",
    description: "Returns the chaincode input unchanged.",
    config_schema: SCHEMA,
    decorator: new,
}
