//! Auth filter that lets every proposal through, as Fabric's `DefaultAuth` does.

use plugin_api::{Filter, Flow, Init, Request, Result, export_plugin};

const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false
}"#;

struct DefaultAuth;

impl Filter for DefaultAuth {
    type State = ();

    async fn before(&self, _request: &Request) -> Result<Flow<()>> {
        Ok(Flow::Continue)
    }
}

fn new(_init: Init<'_>) -> Result<DefaultAuth> {
    Ok(DefaultAuth)
}

export_plugin! {
    name: "DefaultAuth",
    description: "Lets every proposal through.",
    config_schema: SCHEMA,
    filter: new,
}
