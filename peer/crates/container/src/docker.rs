//! The Docker runtime: chaincode in containers of an engine, built into images by the platforms' plans.

mod archive;
mod builder_container;
mod config;
mod contact;
mod container;
mod endpoint;
mod engine;
mod error;
mod garbage;
mod host_config;
mod images;
mod instances;
mod labels;
mod login;
mod pull;
mod upload;

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::RemoveImageOptionsBuilder;
use tokio::time::timeout;

pub use config::DockerConfig;
pub use endpoint::{Endpoint, EndpointError, EngineHints, EngineTls};
pub use error::DockerError;
pub use garbage::DockerGarbage;
pub use host_config::HostConfigError;
pub use login::{LoginError, RegistryLogin, RegistryLogins};
pub use pull::{PullError, PullPolicy};

use crate::error::{Phase, VmError};
use crate::naming::Naming;
use crate::stage::Stages;
use crate::vm::{ChaincodeSource, PlatformBuilder, StartRequest, Started, Vm};
use contact::Contact;
use engine::Engine;
use images::Images;
use instances::{Instances, StartError};
use labels::Labels;

/// Time at shutdown beyond the grace for the containers: they are removed.
const CLEAN_UP: Duration = Duration::from_secs(20);

/// Why the Docker runtime cannot be used at all. A missing engine is no such reason: it may come.
#[derive(Debug, thiserror::Error)]
pub enum DockerOpenError {
    /// The folder for results of builds.
    #[error("folder {0} for results of builds")]
    Folder(String, #[source] io::Error),
    /// A value that no container could be made with.
    #[error("vm.docker")]
    HostConfig(#[from] HostConfigError),
}

/// Runs chaincode in containers.
pub struct DockerVm {
    naming: Naming,
    grace: Duration,
    contact: Arc<Contact>,
    images: Images,
    instances: Arc<Instances>,
    stages: Arc<Stages>,
}

impl DockerVm {
    /// Prepares the folder, checks the settings, and looks for the engine in the background: whatever an earlier run
    /// of this peer left there is removed, and a missing engine is a warning. Must be called inside a tokio runtime.
    pub fn new(
        config: DockerConfig,
        naming: Naming,
        platforms: Arc<dyn PlatformBuilder>,
    ) -> Result<Self, DockerOpenError> {
        config.check()?;
        fresh_folder(&config.folder)
            .map_err(|error| DockerOpenError::Folder(config.folder.display().to_string(), error))?;
        let config = Arc::new(config);
        let engine = Engine::new(config.endpoint.clone(), config.tls.clone(), config.hints.clone());
        let contact = Contact::new(engine, Labels::new(naming.clone()));
        let first = Arc::clone(&contact);
        tokio::spawn(async move { first.introduce().await });
        let stages = Arc::<Stages>::default();
        Ok(Self {
            grace: config.stop_grace,
            images: Images::new(
                platforms,
                naming.clone(),
                Arc::clone(&config),
                Arc::clone(&contact),
                Arc::clone(&stages),
            ),
            stages,
            instances: Instances::new(config, naming.clone()),
            naming,
            contact,
        })
    }

    /// Asks the engine for a sign of life.
    ///
    /// # Errors
    /// When it gives none.
    pub async fn ping(&self) -> Result<(), DockerError> {
        self.contact.ping().await
    }

    /// Ends all chaincode and running builds, and refuses new ones.
    pub async fn shutdown(&self) {
        let ended = async {
            self.images.close().await;
            self.instances.stop_all().await;
            if let Some(session) = self.contact.if_connected() {
                session.finished().await;
            }
        };
        if timeout(self.grace.saturating_add(CLEAN_UP), ended).await.is_err() {
            tracing::warn!("chaincode containers are not removed yet, the next start will do it");
        }
    }
}

#[async_trait]
impl Vm for DockerVm {
    async fn deploy(&self, source: &ChaincodeSource) -> Result<(), VmError> {
        self.images.ensure(source).await.map(|_image| ())
    }

    async fn start(&self, request: &StartRequest) -> Result<Started, VmError> {
        let id = request.chaincode_id.as_str();
        let session = self.contact.session(Phase::Start, id).await?;
        // before a build that may fail or take long: the old instance does not answer in the new one's place
        if self.instances.is_running(id) {
            self.instances.stop(Some(session.clone()), id).await?;
        }
        let image = self.images.ensure(&request.source).await?;
        let stage = self.stages.begin(id, Phase::Start);
        let started = self
            .instances
            .start(session.clone(), image, request.clone())
            .await;
        drop(stage);
        match started {
            // somebody removed the image in the meantime
            Err(StartError::NoSuchImage(_)) => {
                let image = self.images.ensure(&request.source).await?;
                Ok(self.instances.start(session, image, request.clone()).await?)
            }
            started => Ok(started?),
        }
    }

    async fn stop(&self, chaincode_id: &str) -> Result<(), VmError> {
        self.instances
            .stop(self.contact.if_connected(), chaincode_id)
            .await
    }

    async fn destroy(&self, chaincode_id: &str) -> Result<(), VmError> {
        let session = self.contact.session(Phase::Stop, chaincode_id).await?;
        self.instances.stop(Some(session.clone()), chaincode_id).await?;
        let image = self.naming.image_name(chaincode_id).map_err(VmError::Name)?;
        let options = RemoveImageOptionsBuilder::new()
            .force(true)
            .noprune(false)
            .build();
        let removed = session
            .ask(
                "remove image",
                session.docker().remove_image(&image, Some(options), None),
            )
            .await;
        match removed {
            Err(error) if !error.is_not_found() => Err(VmError::docker(Phase::Stop, chaincode_id)(error)),
            _ => Ok(()),
        }
    }

    fn phase(&self, chaincode_id: &str) -> Option<Phase> {
        self.stages.phase(chaincode_id)
    }

    fn name(&self, chaincode_id: &str) -> String {
        self.naming.container_name(chaincode_id)
    }
}

/// An empty folder of the peer's own.
fn fresh_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
