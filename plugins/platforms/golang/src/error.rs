//! Errors, with the texts that Fabric's Go platform has.

use plugin_api::packages::{PackError, ReadError, chain};
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a package is refused.
#[derive(Debug, Error)]
pub(crate) enum PackageError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("illegal file name in payload: {0}")]
    IllegalName(String),
    #[error("illegal file mode in payload: {0}")]
    IllegalMode(String),
}

/// Why a path leads to no chaincode, or to one that cannot be packed.
#[derive(Debug, Error)]
pub(crate) enum PathError {
    #[error("ChaincodeSpec's path cannot be empty")]
    Empty,
    #[error("path to chaincode does not exist: {0}")]
    Missing(String),
    #[error("no Go files in {0}")]
    NoSource(PathBuf),
    #[error("{0} is no go.mod: it names no module")]
    NoModule(PathBuf),
    #[error("{0:?} is no import path")]
    ImportPath(String),
    #[error(
        "{path} is in no module (no go.mod in it or above it; `go mod init` and `go mod tidy` write one), and in GOPATH mode 'go list' says: {said}"
    )]
    GoList { path: String, said: String },
    #[error(
        "{path} is in no module (no go.mod in it or above it), and for GOPATH mode the go command is needed"
    )]
    NoGo {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("cannot read {path}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Pack(#[from] PackError),
}

impl PathError {
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// Why the configuration cannot be used, or a build cannot be planned.
#[derive(Debug, Error)]
pub(crate) enum OptionsError {
    #[error("config is not as the schema says")]
    Json(#[from] serde_json::Error),
    #[error("goProxy must be URLs, direct or off, separated by , or |: {0}")]
    Proxy(String),
    #[error("goProxy must not contain a user or password; use netrcFile")]
    Credentials,
    #[error("cannot read {key} {path}")]
    File {
        key: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the package's path {0:?} is no import path")]
    ImportPath(String),
}

impl OptionsError {
    /// The whole chain in one line.
    pub(crate) fn text(&self) -> String {
        chain(self)
    }
}
