//! The parts of Fabric's messages that a platform needs.

use bytes::Bytes;
use prost::Message;

/// `protos.ChaincodeID`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeId {
    #[prost(string, tag = "1")]
    pub(crate) path: String,
}

/// `protos.ChaincodeSpec`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeSpec {
    #[prost(message, optional, tag = "2")]
    pub(crate) chaincode_id: Option<ChaincodeId>,
}

/// `protos.ChaincodeDeploymentSpec`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ChaincodeDeploymentSpec {
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) code_package: Bytes,
}
