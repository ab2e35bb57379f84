//! Install: a package comes onto the peer.

use std::sync::Arc;

use bytes::Bytes;
use chaincode::{Package, SccOutcome};
use committer::{is_reserved_name, is_valid_name, is_valid_version};
use protos::wire_message;

use super::error::LsccError;
use super::{Call, Core, PackageBuilder, PackageValidator, index_files};
use crate::answer::{SUCCESS, blocking, error, success};

/// What an installation needs beside the store.
pub(super) struct Installer {
    pub(super) validator: Arc<dyn PackageValidator>,
    /// None where the user builds.
    pub(super) builder: Option<Arc<dyn PackageBuilder>>,
    /// In bytes.
    pub(super) max_package_size: usize,
}

impl Installer {
    /// Checks a package, lets the platform of its language check it, keeps it and builds it. A package that does not
    /// build stays, as in Fabric: whatever was in the way may be gone at the first call.
    pub(super) async fn install(&self, core: Arc<Core>, call: Call) -> SccOutcome {
        let (checking, limit) = (Arc::clone(&core), self.max_package_size);
        let checked = tokio::task::spawn_blocking(move || checking.check_package(&call, limit)).await;
        let package = match checked {
            Ok(Ok(package)) => package,
            Ok(Err(refused)) => return error(wire_message(&refused)),
            Err(broken) => {
                tracing::error!(error = %broken, "install broke off");
                return error("internal error");
            }
        };
        let judged = self
            .validator
            .validate(&package.chaincode_type(), package.deployment_spec_bytes())
            .await;
        if let Err(reason) = judged {
            return error(wire_message(&*reason));
        }
        let kept = package.clone();
        let outcome = blocking(move || core.keep(kept)).await;
        match &self.builder {
            Some(builder) if outcome.response.status == SUCCESS => {
                built(builder.as_ref(), &package, outcome).await
            }
            _ => outcome,
        }
    }
}

/// The outcome of an installation, unless the build fails.
async fn built(builder: &dyn PackageBuilder, package: &Package, installed: SccOutcome) -> SccOutcome {
    match builder.build(package).await {
        Ok(()) => installed,
        Err(reason) => {
            let reason = wire_message(&*reason);
            tracing::warn!(chaincode = %package.id(), error = reason, "installed chaincode does not build");
            error(format!(
                "chaincode installed to peer but could not build chaincode: {reason}"
            ))
        }
    }
}

impl Core {
    fn check_package(&self, call: &Call, limit: usize) -> Result<Package, LsccError> {
        let [_, bytes, ..] = call.args.as_slice() else {
            return Err(LsccError::Arguments(call.args.len()));
        };
        self.check_local_acl(call, "lscc/Install")?;
        if bytes.len() > limit {
            return Err(LsccError::Refused(format!(
                "the package has {} bytes, more than the {limit} of chaincode.maxPackageSize",
                bytes.len()
            )));
        }
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
