//! The process runtime: chaincode as child processes of the peer, built on the host, as confined as the machine allows.

mod builds;
mod config;
mod folders;
mod garbage;
mod instances;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

pub use config::{Limits, OwnLimits, ProcessConfig};
pub use garbage::process_garbage;

use crate::error::{Phase, VmError};
use crate::job::JobRunner;
use crate::naming::Naming;
use crate::process::builds::{Build, Builds, Place};
use crate::process::folders::Folders;
use crate::process::instances::Instances;
use crate::sandbox::{Level, Sandbox, SandboxError};
use crate::stage::Stages;
use crate::vm::{ChaincodeSource, PlatformBuilder, StartRequest, Started, Vm};

/// Why the process runtime cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder for builds cannot be made or read.
    #[error("folder {0} for chaincode processes")]
    Folder(String, #[source] io::Error),
    /// Another peer works in it.
    #[error("folder {0} for chaincode processes is in use by another peer")]
    Locked(String),
    /// The sandbox that configuration demands is not to be had.
    #[error("chaincode sandbox")]
    Sandbox(#[from] SandboxError),
    /// The runtime was opened outside of tokio.
    #[error("no tokio runtime")]
    Runtime(#[source] tokio::runtime::TryCurrentError),
}

/// Time at shutdown for what follows the end of the processes: folders and groups are removed.
const CLEAN_UP: Duration = Duration::from_secs(10);

/// Runs chaincode as child processes. Dropping it ends them all at once.
pub struct ProcessVm {
    naming: Naming,
    level: Level,
    grace: Duration,
    folders: Arc<Folders>,
    runner: Arc<JobRunner>,
    builds: Builds,
    instances: Instances,
    stages: Arc<Stages>,
}

impl ProcessVm {
    /// Prepares the folder, removes what an earlier peer left behind, and finds out what sandbox the machine allows.
    /// Blocks for some ten milliseconds. Must be called inside a tokio runtime.
    pub fn new(
        config: ProcessConfig,
        naming: Naming,
        platforms: Arc<dyn PlatformBuilder>,
    ) -> Result<Self, OpenError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(OpenError::Runtime)?;
        let folders = Folders::open(&config.root)?;
        let config = Arc::new(ProcessConfig {
            root: folders.root().to_owned(),
            ..config
        });
        let sandbox = Sandbox::detect(&config)?;
        sandbox.report();
        let level = sandbox.level();
        let folders = Arc::new(folders.owned_by(sandbox.user()));
        let runner = Arc::new(
            JobRunner::new(sandbox, Arc::clone(&config), runtime)
                .map_err(|error| OpenError::Folder("thread that starts processes".to_owned(), error))?,
        );
        let stages = Arc::<Stages>::default();
        Ok(Self {
            naming,
            level,
            grace: config.stop_grace,
            builds: Builds::new(
                platforms,
                Arc::clone(&config),
                Arc::clone(&folders),
                Arc::clone(&runner),
                Arc::clone(&stages),
            ),
            stages,
            instances: Instances::new(config, Arc::clone(&folders), Arc::clone(&runner)),
            folders,
            runner,
        })
    }

    /// How far chaincode is confined on this machine.
    pub fn level(&self) -> Level {
        self.level
    }

    async fn ensure(&self, source: &ChaincodeSource) -> Result<Build, VmError> {
        let place = Place {
            name: self.naming.folder_name(&source.id),
            cache: self.naming.folder_name(&source.name),
        };
        self.builds.ensure(place, source).await
    }

    /// Ends all chaincode and running builds, and refuses new ones.
    pub async fn shutdown(&self) {
        self.runner.close();
        self.builds.close();
        let ended = async {
            self.instances.stop_all().await;
            self.builds.wait_all().await;
            self.runner.idle().await;
        };
        if timeout(self.grace.saturating_add(CLEAN_UP), ended).await.is_err() {
            tracing::warn!("chaincode processes are not cleaned up yet, the next start will do it");
        }
    }
}

#[async_trait]
impl Vm for ProcessVm {
    async fn deploy(&self, source: &ChaincodeSource) -> Result<(), VmError> {
        self.ensure(source).await.map(|_| ())
    }

    async fn start(&self, request: &StartRequest) -> Result<Started, VmError> {
        self.stop(&request.chaincode_id).await?;
        let folder = self.naming.folder_name(&request.chaincode_id);
        let build = self.ensure(&request.source).await?;
        let _stage = self.stages.begin(&request.chaincode_id, Phase::Start);
        self.instances.start(folder, build, request.clone()).await
    }

    async fn stop(&self, chaincode_id: &str) -> Result<(), VmError> {
        self.instances.stop(chaincode_id).await;
        Ok(())
    }

    async fn destroy(&self, chaincode_id: &str) -> Result<(), VmError> {
        self.instances.stop(chaincode_id).await;
        let folder = self.naming.folder_name(chaincode_id);
        self.folders
            .remove(folder)
            .await
            .map_err(VmError::io(Phase::Stop, "remove the build"))
    }

    fn phase(&self, chaincode_id: &str) -> Option<Phase> {
        self.stages.phase(chaincode_id)
    }

    fn name(&self, chaincode_id: &str) -> String {
        self.naming.container_name(chaincode_id)
    }
}
