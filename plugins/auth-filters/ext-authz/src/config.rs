//! What the operator says.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The entry's `config`, see the schema.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) endpoint: String,
    pub(crate) tls: Option<Tls>,
    #[serde(default = "timeout")]
    pub(crate) timeout_seconds: f64,
    #[serde(default = "max_in_flight")]
    pub(crate) max_in_flight: usize,
    #[serde(default)]
    pub(crate) headers: Vec<String>,
    #[serde(default)]
    pub(crate) context_extensions: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) max_body_bytes: usize,
    #[serde(default)]
    pub(crate) set: Vec<String>,
}

fn timeout() -> f64 {
    0.5
}

fn max_in_flight() -> usize {
    256
}

/// How the service is recognised, and how it recognises us.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) ca_file: PathBuf,
    pub(crate) cert_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) server_name: Option<String>,
}
