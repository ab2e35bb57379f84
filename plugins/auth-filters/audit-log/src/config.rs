//! This filter's `config`.

use plugin_api::{PluginError, Result};
use serde::Deserialize;
use std::path::PathBuf;

/// Keys and their meaning, for operators and for the peer's check.
pub(crate) const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false,
    "properties": {
        "file": {
            "type": "string",
            "pattern": "^/",
            "description": "Absolute path of the file that records go to; without it they go to the peer's log."
        },
        "maxSizeMiB": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1048576,
            "default": 100,
            "description": "Size at which the file is moved away, in MiB."
        },
        "keep": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1000,
            "default": 10,
            "description": "How many files that were moved away stay."
        },
        "queue": {
            "type": "integer",
            "minimum": 16,
            "maximum": 1048576,
            "default": 8192,
            "description": "How many requests may be under way or wait for the disk at a time."
        },
        "onFull": {
            "enum": ["deny", "drop"],
            "default": "deny",
            "description": "When no more may wait: refuse requests, or let them pass without a record."
        },
        "attrs": {
            "type": "array",
            "maxItems": 16,
            "uniqueItems": true,
            "items": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,100}$" },
            "default": ["policy.id", "jwt.sub"],
            "description": "Names of what other filters say about a request that is recorded."
        }
    }
}"#;

/// The settings.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) file: Option<PathBuf>,
    #[serde(rename = "maxSizeMiB")]
    pub(crate) max_size_mib: u64,
    pub(crate) keep: u32,
    pub(crate) queue: usize,
    pub(crate) on_full: OnFull,
    pub(crate) attrs: Vec<String>,
}

/// What happens to a request whose record has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFull {
    /// It is refused.
    Deny,
    /// It passes, and the missing record is counted.
    Drop,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: None,
            max_size_mib: 100,
            keep: 10,
            queue: 8192,
            on_full: OnFull::Deny,
            attrs: ["policy.id", "jwt.sub"].map(str::to_owned).to_vec(),
        }
    }
}

/// The settings in a configuration.
pub(crate) fn parse(json: &str) -> Result<Config> {
    serde_json::from_str(json).map_err(|error| PluginError::config(error.to_string()))
}
