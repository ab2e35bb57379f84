//! Language platform for Node.js chaincode: checks packages, packs folders, plans builds with npm.

mod build;
mod error;
mod options;
mod package;
mod payload;
mod platform;
mod schema;

use options::Options;
use platform::Node;
use plugin_api::{Init, PluginError, Result, export_plugin};

fn new(init: Init<'_>) -> Result<Node> {
    Options::parse(init.config_json.as_str(), &|name| init.fact(name))
        .map(Node::new)
        .map_err(|error| PluginError::config(error.text()))
}

export_plugin! {
    name: "node",
    description: "Chaincode in JavaScript and TypeScript, built with npm.",
    config_schema: schema::SCHEMA,
    platform: new,
}
