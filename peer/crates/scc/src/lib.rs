//! System chaincodes: LSCC (the 1.x lifecycle), CSCC (channels) and QSCC (ledger queries).
//!
//! They take the same messages as user chaincode and run in the peer, without container or stream.

#![forbid(unsafe_code)]

mod answer;
mod cscc;
mod lscc;
mod qscc;

#[cfg(test)]
mod tests;

pub use cscc::Cscc;
pub use lscc::{DeployablePlugins, Lscc, PackageBuilder, PackageValidator};
pub use qscc::Qscc;
