//! Language platform for Java chaincode: checks packages, packs folders, plans builds with Maven or Gradle.

mod build;
mod error;
mod mirror;
mod options;
mod package;
mod payload;
mod platform;
mod schema;

use options::Options;
use platform::Java;
use plugin_api::{Init, PluginError, Result, export_plugin};

fn new(init: Init<'_>) -> Result<Java> {
    Options::parse(init.config_json.as_str(), &|name| init.fact(name))
        .map(Java::new)
        .map_err(|error| PluginError::config(error.text()))
}

export_plugin! {
    name: "java",
    description: "Chaincode in Java and other languages of its machine, built with Maven or Gradle.",
    config_schema: schema::SCHEMA,
    platform: new,
}
