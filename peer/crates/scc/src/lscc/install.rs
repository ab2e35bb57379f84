//! Install: a package comes onto the peer.

use std::sync::Arc;

use bytes::Bytes;
use chaincode::{Package, SccOutcome};
use committer::{is_reserved_name, is_valid_name, is_valid_version};
use protos::wire_message;

use super::error::LsccError;
use super::{Call, Core, PackageValidator, index_files};
use crate::answer::{blocking, error, success};

/// Checks a package, lets the platform of its language check it, and keeps it.
pub(super) async fn install(core: Arc<Core>, call: Call, validator: Arc<dyn PackageValidator>) -> SccOutcome {
    let checking = Arc::clone(&core);
    let checked = tokio::task::spawn_blocking(move || checking.check_package(&call)).await;
    let package = match checked {
        Ok(Ok(package)) => package,
        Ok(Err(refused)) => return error(wire_message(&refused)),
        Err(broken) => {
            tracing::error!(error = %broken, "install broke off");
            return error("internal error");
        }
    };
    let judged = validator
        .validate(package.chaincode_type(), package.deployment_spec_bytes())
        .await;
    if let Err(reason) = judged {
        return error(wire_message(&*reason));
    }
    blocking(move || core.keep(package)).await
}

impl Core {
    fn check_package(&self, call: &Call) -> Result<Package, LsccError> {
        let [_, bytes, ..] = call.args.as_slice() else {
            return Err(LsccError::Arguments(call.args.len()));
        };
        self.check_local_acl(call, "lscc/Install")?;
        let package =
            Package::parse(bytes.clone()).map_err(|error| LsccError::Refused(wire_message(&error)))?;
        let id = package.id();
        if !is_valid_name(&id.name) {
            return Err(LsccError::name(&id.name));
        }
        if !is_valid_version(&id.version) {
            return Err(LsccError::version(&id.version));
        }
        if is_reserved_name(&id.name) {
            return Err(LsccError::Refused(format!(
                "cannot install: {} is the name of a system chaincode",
                id.name
            )));
        }
        index_files::check(package.code_package()).map_err(|reason| {
            LsccError::Refused(format!(
                "invalid state database artifact: {}",
                wire_message(&reason)
            ))
        })?;
        Ok(package)
    }

    fn keep(&self, package: Package) -> SccOutcome {
        let id = package.id().clone();
        match self.packages.install_package(package) {
            Ok(_) => {
                tracing::info!(chaincode = %id, "installed chaincode");
                success(Bytes::from_static(b"OK"))
            }
            Err(reason) => error(format!(
                "Error installing chaincode code {id}({})",
                wire_message(&reason)
            )),
        }
    }
}
