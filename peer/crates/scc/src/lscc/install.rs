//! Install: a package comes onto the peer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chaincode::{Package, SccOutcome};
use committer::{is_reserved_name, is_valid_name, is_valid_version};
use protos::wire_message;
use tokio::time::{Instant, timeout_at};

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
    /// For all of it; the build goes on afterwards.
    pub(super) limit: Duration,
}

impl Installer {
    /// Checks a package, lets the platform of its language check it, keeps it and builds it. A package that does not
    /// build stays, as in Fabric: whatever was in the way may be gone at the first call.
    pub(super) async fn install(&self, core: Arc<Core>, call: Call) -> SccOutcome {
        let deadline = Instant::now().checked_add(self.limit);
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
        let outcome = blocking(move || match index_files::check(kept.code_package()) {
            Ok(()) => core.keep(kept),
            Err(reason) => error(format!(
                "invalid state database artifact: {}",
                wire_message(&reason)
            )),
        })
        .await;
        match &self.builder {
            Some(builder) if outcome.response.status == SUCCESS => {
                self.built(builder.as_ref(), &package, (outcome, deadline)).await
            }
            _ => outcome,
        }
    }

    /// The outcome of an installation, unless the build fails or is not done in time. It is not ended for that: whoever
    /// needs the chaincode waits for it.
    async fn built(
        &self,
        builder: &dyn PackageBuilder,
        package: &Package,
        (installed, deadline): (SccOutcome, Option<Instant>),
    ) -> SccOutcome {
        let build = builder.build(package);
        let built = match deadline {
            Some(deadline) => timeout_at(deadline, build).await.ok(),
            None => Some(build.await),
        };
        let reason = match built {
            Some(Ok(())) => return installed,
            Some(Err(reason)) => wire_message(&*reason),
            None => {
                let phase = builder.phase(package).unwrap_or("build");
                format!(
                    "phase {phase} of {id}: not built within {}s (chaincode.installTimeout); the build goes on, and the \
                     first call waits for it (all output: peer chaincode logs {id})",
                    self.limit.as_secs(),
                    id = package.id(),
                )
            }
        };
        tracing::warn!(chaincode = %package.id(), error = reason, "installed chaincode does not build");
        error(format!(
            "chaincode installed to peer but could not build chaincode: {reason}"
        ))
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
