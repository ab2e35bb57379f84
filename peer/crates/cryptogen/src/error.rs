//! What can go wrong.

use std::{io, path::PathBuf};

/// Why no material was made.
#[derive(Debug, thiserror::Error)]
pub enum CryptogenError {
    /// The certificate library refused.
    #[error("cannot make {what}")]
    Certificate {
        /// What it was to be.
        what: &'static str,
        /// Why.
        source: rcgen::Error,
    },
    /// The system has no random numbers.
    #[error("no random numbers")]
    Random(#[source] aws_lc_rs::error::Unspecified),
    /// A file or folder cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name that would leave its folder or break a certificate.
    #[error("{0:?} is not a host or user name")]
    Name(String),
}

impl CryptogenError {
    pub(crate) fn certificate(what: &'static str) -> impl FnOnce(rcgen::Error) -> Self {
        move |source| Self::Certificate { what, source }
    }
}
