//! Code packages as Fabric has them: a tar.gz with sources below `src/` and index definitions below `META-INF/`.
//! What every language shares; which files belong in is the platform's own business.

pub mod metadata;

mod messages;
mod reader;
mod writer;

pub use messages::{ChaincodeDeploymentSpec, ChaincodeId, ChaincodeSpec, chaincode_spec, deployment_spec};
pub use reader::{ReadError, is_below, read_file, visit};
pub use writer::{PackError, PackageWriter, pack_folder};

/// Type and permission bits of a file in a package: a regular file that nobody can execute.
pub const FILE_MODE: u32 = 0o100_666;

/// An error and its causes in one line, joined like Go's wrapped errors.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
