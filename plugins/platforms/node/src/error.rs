//! Errors, with the texts that Fabric's node platform has.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a package is refused.
#[derive(Debug, Error)]
pub(crate) enum PackageError {
    #[error("failure opening codepackage gzip stream: gzip: invalid header")]
    NotGzip,
    #[error("illegal file detected in payload: \"{0}\"")]
    IllegalFile(String),
    #[error("illegal file mode detected for file {name}: {mode:o}")]
    IllegalMode { name: String, mode: u32 },
    #[error("no package.json found at the root of the chaincode package")]
    NoPackageJson,
    #[error("code package is damaged")]
    Damaged(#[source] io::Error),
    #[error("code package unpacks to more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("code package has more than {limit} files")]
    TooManyFiles { limit: usize },
}

/// Why a folder cannot be packed.
#[derive(Debug, Error)]
pub(crate) enum PayloadError {
    #[error("ChaincodeSpec's path cannot be empty")]
    EmptyPath,
    #[error("Error writing Chaincode package contents: no source files found in '{0}'")]
    NoFiles(String),
    #[error("Error writing Chaincode package contents: {0}")]
    Metadata(String),
    #[error("Error writing Chaincode package contents: {path}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("Error writing Chaincode package contents: {0} is no regular file")]
    Special(PathBuf),
    #[error("Error writing Chaincode package contents: {0} leads out of the chaincode's folder")]
    Escapes(PathBuf),
    #[error("Error writing Chaincode package contents: more than {limit} bytes")]
    TooLarge { limit: u64 },
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
    #[error("npm.tokenFile {0} holds no token")]
    NoToken(PathBuf),
}

impl OptionsError {
    /// The whole chain in one line.
    pub(crate) fn text(&self) -> String {
        chain(self)
    }
}

/// An error and its causes, joined like Go's wrapped errors.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
