//! Errors, with the texts that Fabric's node platform has.

use plugin_api::packages::{ReadError, chain};
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a package is refused.
#[derive(Debug, Error)]
pub(crate) enum PackageError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("illegal file detected in payload: \"{0}\"")]
    IllegalFile(String),
    #[error("illegal file mode detected for file {name}: {mode:o}")]
    IllegalMode { name: String, mode: u32 },
    #[error("no package.json found at the root of the chaincode package")]
    NoPackageJson,
    #[error("package.json says that the dependencies are vendored, but there is no node_modules beside it")]
    NothingVendored,
    #[error(
        "there is a node_modules beside package.json, which does not say \"fabric\": {{\"vendored\": true}}"
    )]
    NotSaidVendored,
}

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub(crate) enum OptionsError {
    #[error("config is not as the schema says")]
    Json(#[from] serde_json::Error),
    #[error("{key} is no URL: {value:?}")]
    Url {
        key: String,
        value: String,
        #[source]
        source: url::ParseError,
    },
    #[error("{key} must be an http or https URL, found scheme {scheme:?}")]
    Scheme { key: String, scheme: String },
    #[error("{key} must not contain a user or password; use npm.tokenFile")]
    Credentials { key: String },
    #[error("cannot read {key} {path}")]
    File {
        key: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("npm.tokenFile {0} holds no token: letters, digits and any of -._~+/=: in one line")]
    NoToken(PathBuf),
}

impl OptionsError {
    /// The whole chain in one line.
    pub(crate) fn text(&self) -> String {
        chain(self)
    }
}
