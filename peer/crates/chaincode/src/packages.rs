//! Installed chaincode packages of the 1.x lifecycle: their formats, their fingerprints, their files.

mod package;
mod store;

pub use package::{Package, PackageError, SecurityError, check_name, check_version};
pub use store::{InstalledPackage, PackageInfo, PackageStore};
