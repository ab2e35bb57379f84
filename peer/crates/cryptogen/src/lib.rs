//! Makes CAs, identities and TLS material in cryptogen's folder layout.
//!
//! [`generate`] writes one organisation: its CAs, its nodes, its admin and users, as folders that Fabric's
//! tools, clients and peers read. [`CertificateAuthority`] is what it is made of, for networks in memory and for
//! tests that need intermediate CAs, revoked or expired certificates. Everything is ECDSA, with signatures of
//! low S as Fabric makes them.
#![forbid(unsafe_code)]

mod authority;
mod error;
mod key;
mod layout;
mod organization;
mod subject;

pub use authority::{CertificateAuthority, CertificateSpec, IssuedCertificate, Usage};
pub use error::CryptogenError;
pub use key::{Curve, SigningKey};
pub use organization::{GeneratedIdentity, GeneratedOrg, NodeSpec, OrgSpec, generate};
pub use subject::{Subject, Validity};
