//! Errors, with the texts that Fabric's Java platform has.

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
    #[error("no pom.xml, build.gradle or build.gradle.kts found at the root of the chaincode package")]
    NoBuildFile,
}

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub(crate) enum OptionsError {
    #[error("config is not as the schema says")]
    Json(#[from] serde_json::Error),
    #[error("{key} is no URL: {value:?}")]
    Url {
        key: &'static str,
        value: String,
        #[source]
        source: url::ParseError,
    },
    #[error("{key} must be an http or https URL, found scheme {scheme:?}")]
    Scheme { key: &'static str, scheme: String },
    #[error("{0} must not contain a user or password; use maven.user and maven.passwordFile")]
    Credentials(&'static str),
    #[error("maven.user and maven.passwordFile belong together")]
    HalfCredentials,
    #[error("cannot read maven.passwordFile {path}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("maven.passwordFile {0} holds no password: visible characters in one line")]
    NoPassword(PathBuf),
}

impl OptionsError {
    /// The whole chain in one line.
    pub(crate) fn text(&self) -> String {
        chain(self)
    }
}
