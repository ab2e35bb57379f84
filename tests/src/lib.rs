//! The harness of the integration tests: a network in the test's process, a scripted chaincode, forged proposals.

pub mod binaries;
pub mod exposition;
pub mod forge;
pub mod http;
pub mod network;
pub mod packages;
pub mod ports;
pub mod shim;
