//! The parts of Fabric's messages that a platform needs.

use crate::error::{Code, PluginError, Result};
use bytes::Bytes;
use prost::Message;

/// `protos.ChaincodeID`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ChaincodeId {
    /// Where the source is.
    #[prost(string, tag = "1")]
    pub path: String,
    /// The chaincode's name.
    #[prost(string, tag = "2")]
    pub name: String,
}

/// `protos.ChaincodeSpec`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ChaincodeSpec {
    /// Path and name.
    #[prost(message, optional, tag = "2")]
    pub chaincode_id: Option<ChaincodeId>,
}

/// `protos.ChaincodeDeploymentSpec`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ChaincodeDeploymentSpec {
    /// Which chaincode.
    #[prost(message, optional, tag = "1")]
    pub chaincode_spec: Option<ChaincodeSpec>,
    /// A tar.gz; may be absent.
    #[prost(bytes = "bytes", tag = "3")]
    pub code_package: Bytes,
}

impl ChaincodeSpec {
    /// The spec of a chaincode in `path`.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        Self {
            chaincode_id: Some(ChaincodeId {
                path: path.to_owned(),
                ..ChaincodeId::default()
            }),
        }
    }

    /// Its path, or nothing.
    #[must_use]
    pub fn path(&self) -> &str {
        self.chaincode_id.as_ref().map_or("", |id| &id.path)
    }
}

impl ChaincodeDeploymentSpec {
    /// The path that the package was made from, or nothing.
    #[must_use]
    pub fn path(&self) -> &str {
        self.chaincode_spec.as_ref().map_or("", ChaincodeSpec::path)
    }
}

/// Decodes a `ChaincodeSpec`.
///
/// # Errors
/// When the bytes are none.
pub fn chaincode_spec(bytes: &[u8]) -> Result<ChaincodeSpec> {
    decode("ChaincodeSpec", bytes)
}

/// Decodes a `ChaincodeDeploymentSpec`.
///
/// # Errors
/// When the bytes are none.
pub fn deployment_spec(bytes: &[u8]) -> Result<ChaincodeDeploymentSpec> {
    decode("ChaincodeDeploymentSpec", bytes)
}

fn decode<T: Message + Default>(what: &str, bytes: &[u8]) -> Result<T> {
    T::decode(bytes).map_err(|error| {
        PluginError::new(
            Code::INVALID_ARGUMENT,
            format!("error unmarshaling {what}: {error}"),
        )
    })
}
