//! LSCC: installing, deploying, upgrading and listing chaincode (Fabric core/scc/lscc).

mod collections;
mod deploy;
mod error;
mod index_files;
mod install;
mod query;
mod state;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use chaincode::{Package, PackageStore, SccOutcome, SystemChaincode, TransactionParams};
use channel::Channels;
use protos::peer::ChaincodeInput;

use crate::answer::{Asker, blocking, error, text};

use self::error::LsccError;

/// The namespace and name.
pub(crate) const LSCC: &str = "lscc";

/// Judges a code package: the language platforms, as LSCC sees them.
#[async_trait]
pub trait PackageValidator: Send + Sync {
    /// Whether the platform of this type (the name of `ChaincodeSpec.Type`) takes the package, an encoded
    /// `ChaincodeDeploymentSpec`.
    ///
    /// # Errors
    /// Why it does not.
    async fn validate(
        &self,
        chaincode_type: &str,
        deployment_spec: &Bytes,
    ) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// Builds a package that has just been installed: the runtime of chaincode, as LSCC sees it.
#[async_trait]
pub trait PackageBuilder: Send + Sync {
    /// Builds it, so that the first call finds it built.
    ///
    /// # Errors
    /// Why it could not be built.
    async fn build(&self, package: &Package) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// The phase that a build is in; none if there is none, or it is not known.
    fn phase(&self, _package: &Package) -> Option<&'static str> {
        None
    }
}

/// The endorsement and validation plugins of the peer, as LSCC sees them.
pub trait DeployablePlugins: Send + Sync {
    /// Whether there is an endorsement plugin of this name.
    fn endorses(&self, name: &str) -> bool;
    /// Whether there is a validation plugin of this name.
    fn validates(&self, name: &str) -> bool;
}

/// Those that every peer has.
struct OnlyDefaults;

impl DeployablePlugins for OnlyDefaults {
    fn endorses(&self, name: &str) -> bool {
        name == deploy::ENDORSEMENT_PLUGIN
    }

    fn validates(&self, name: &str) -> bool {
        name == deploy::VALIDATION_PLUGIN
    }
}

/// The lifecycle system chaincode.
pub struct Lscc {
    core: Arc<Core>,
    installer: install::Installer,
}

struct Core {
    channels: Arc<Channels>,
    packages: Arc<PackageStore>,
    plugins: Arc<dyn DeployablePlugins>,
}

/// One call, ready to be answered where blocking is allowed.
struct Call {
    asker: Asker,
    function: String,
    args: Vec<Bytes>,
    params: TransactionParams,
}

impl Lscc {
    /// Answers for these channels and installed packages.
    #[must_use]
    pub fn new(
        channels: Arc<Channels>,
        packages: Arc<PackageStore>,
        validator: Arc<dyn PackageValidator>,
    ) -> Self {
        Self {
            core: Arc::new(Core {
                channels,
                packages,
                plugins: Arc::new(OnlyDefaults),
            }),
            installer: install::Installer {
                validator,
                builder: None,
                max_package_size: usize::MAX,
                limit: Duration::MAX,
            },
        }
    }

    /// Refuses to install packages of more bytes (`chaincode.maxPackageSize`).
    #[must_use]
    pub fn max_package_size(mut self, bytes: usize) -> Self {
        self.installer.max_package_size = bytes;
        self
    }

    /// Lets definitions name these plugins, not the defaults alone.
    #[must_use]
    pub fn plugins(mut self, plugins: Arc<dyn DeployablePlugins>) -> Self {
        let Core {
            channels, packages, ..
        } = &*self.core;
        self.core = Arc::new(Core {
            channels: Arc::clone(channels),
            packages: Arc::clone(packages),
            plugins,
        });
        self
    }

    /// How long an installer waits (`chaincode.installTimeout`). Less than the limit of the call, so that the answer
    /// says what is still going on.
    #[must_use]
    pub fn install_limit(mut self, limit: Duration) -> Self {
        self.installer.limit = limit;
        self
    }

    /// Builds what is installed. Without a builder the user does, as in dev mode.
    #[must_use]
    pub fn builder(mut self, builder: Arc<dyn PackageBuilder>) -> Self {
        self.installer.builder = Some(builder);
        self
    }
}

#[async_trait]
impl SystemChaincode for Lscc {
    fn name(&self) -> &'static str {
        LSCC
    }

    fn invokable_external(&self) -> bool {
        true
    }

    fn invokable_cc2cc(&self) -> bool {
        true
    }

    async fn invoke(&self, params: &TransactionParams, input: &ChaincodeInput) -> SccOutcome {
        let args = input.args.clone();
        let Some(function) = args.first().map(text) else {
            return error(LsccError::Arguments(0).to_string());
        };
        let Some(asker) = Asker::of(params) else {
            return error(format!(
                "Failed retrieving signed proposal on executing {function} with error no signed proposal"
            ));
        };
        let call = Call {
            asker,
            function,
            args,
            params: params.clone(),
        };
        let core = Arc::clone(&self.core);
        if call.function == "install" {
            return self.installer.install(core, call).await;
        }
        blocking(move || core.answer(&call)).await
    }
}

impl Core {
    fn answer(&self, call: &Call) -> SccOutcome {
        let answered = match call.function.as_str() {
            "deploy" => self.deploy(call, false),
            "upgrade" => self.deploy(call, true),
            "getid" | "ChaincodeExists" => self.chaincode_exists(call),
            "getdepspec" | "GetDeploymentSpec" => self.deployment_spec(call),
            "getccdata" | "GetChaincodeData" => self.chaincode_data(call),
            "getchaincodes" | "GetChaincodes" => self.chaincodes(call),
            "getinstalledchaincodes" | "GetInstalledChaincodes" => self.installed_chaincodes(call),
            "GetCollectionsConfig" | "getcollectionsconfig" => self.collections_config(call),
            other => Err(LsccError::Function(other.to_owned())),
        };
        answered.unwrap_or_else(|refused| error(protos::wire_message(&refused)))
    }
}
