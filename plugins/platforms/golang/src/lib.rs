//! Language platform for Go chaincode: checks packages, packs modules and GOPATH packages, plans builds with `go`.

mod build;
mod error;
mod gopath;
mod module;
mod options;
mod package;
mod payload;
mod platform;
mod schema;

use options::Options;
use platform::Golang;
use plugin_api::{Init, PluginError, Result, export_plugin};

fn new(init: Init<'_>) -> Result<Golang> {
    Options::parse(init.config_json.as_str(), &|name| init.fact(name))
        .map(Golang::new)
        .map_err(|error| PluginError::config(error.text()))
}

export_plugin! {
    name: "golang",
    description: "Chaincode in Go, as a module or below GOPATH, with or without vendored dependencies.",
    config_schema: schema::SCHEMA,
    platform: new,
}
