//! Membership: identities, MSP folders, signature checks, signing and signature policies.
//!
//! Not here: channels. Their policy trees and access control lists are `channelconfig`'s.

#![forbid(unsafe_code)]

mod certificate;
mod chain;
mod ecdsa_signature;
mod folder;
mod identity;
mod local;
#[allow(clippy::module_inception, reason = "Fabric's name: one MSP among the MSPs")]
mod msp;
mod msp_manager;
mod organizational_units;
pub mod policy;
mod principal;
mod public_key;
mod revocation;
mod setup;
mod signer;
mod validate;

#[cfg(test)]
mod tests;

pub use certificate::{Certificate, CertificateError};
pub use chain::{ChainError, X509Error};
pub use ecdsa_signature::SignatureFormatError;
pub use folder::{FolderError, folder_config};
pub use identity::{DeserializeError, Identity, VerifyError};
pub use local::{LocalMsp, LocalMspError, LocalPolicy, LocalPolicyError};
pub use msp::{Admins, Msp, RoleError};
pub use msp_manager::MspManager;
pub use organizational_units::{UnitError, Units};
pub use principal::{PrincipalError, role_principal};
pub use revocation::RevocationListError;
pub use setup::SetupError;
pub use signer::{LocalSigner, SignError, SignerError};
pub use validate::{RevocationError, ValidateError};
