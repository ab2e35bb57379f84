//! Where each chaincode runs: as a process, or in a container.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use container::{
    ChaincodeSource, DockerVm, Naming, Phase, PlatformBuilder, ProcessVm, StartRequest, Started, Vm, VmError,
};
use core_config::{CoreConfig, VmRuntime};

use super::settings;

/// The runtimes of a peer, as one.
pub struct Runtimes {
    usual: VmRuntime,
    /// Chaincodes, by name, for which the configuration says something else.
    others: BTreeMap<String, VmRuntime>,
    process: Option<ProcessVm>,
    docker: Option<DockerVm>,
}

impl Runtimes {
    /// Opens the runtimes that the configuration uses.
    ///
    /// # Errors
    /// When one of them cannot be used. A Docker engine that does not answer is no such reason.
    pub fn open(config: &CoreConfig, platforms: &Arc<dyn PlatformBuilder>) -> Result<Self> {
        let naming = Naming {
            network_id: config.peer.network_id.clone(),
            peer_id: config.peer.id.clone(),
        };
        let usual = config.vm.runtime;
        let others: BTreeMap<String, VmRuntime> = config
            .chaincode
            .overrides
            .iter()
            .filter_map(|(name, own)| Some((name.clone(), own.runtime?)))
            .collect();
        let process = if settings::uses(config, VmRuntime::Process) {
            let settings = settings::process(config);
            Some(ProcessVm::new(settings, naming.clone(), Arc::clone(platforms))?)
        } else {
            None
        };
        let docker = if settings::uses(config, VmRuntime::Docker) {
            let settings = settings::docker(config)?.context(settings::NO_ENDPOINT)?;
            Some(DockerVm::new(settings, naming, Arc::clone(platforms))?)
        } else {
            None
        };
        Ok(Self {
            usual,
            others,
            process,
            docker,
        })
    }

    /// Whether any chaincode runs in containers.
    #[must_use]
    pub fn uses_docker(&self) -> bool {
        self.docker.is_some()
    }

    /// Asks the Docker engine for a sign of life, if it is used at all.
    ///
    /// # Errors
    /// When it gives none.
    pub async fn docker_answers(&self) -> Result<(), container::DockerError> {
        match &self.docker {
            Some(vm) => vm.ping().await,
            None => Ok(()),
        }
    }

    /// Ends all chaincode.
    pub async fn shutdown(&self) {
        let process = async {
            if let Some(vm) = &self.process {
                vm.shutdown().await;
            }
        };
        let docker = async {
            if let Some(vm) = &self.docker {
                vm.shutdown().await;
            }
        };
        tokio::join!(process, docker);
    }

    /// By the name in `name:version`.
    fn of(&self, chaincode_id: &str) -> Result<&dyn Vm, VmError> {
        let name = chaincode_id
            .split_once(':')
            .map_or(chaincode_id, |(name, _)| name);
        let runtime = self.others.get(name).copied().unwrap_or(self.usual);
        let vm = match runtime {
            VmRuntime::Process => self.process.as_ref().map(|vm| vm as &dyn Vm),
            VmRuntime::Docker => self.docker.as_ref().map(|vm| vm as &dyn Vm),
        };
        // `open` has opened every runtime that is named anywhere
        vm.ok_or(VmError::ShuttingDown)
    }
}

#[async_trait]
impl Vm for Runtimes {
    async fn deploy(&self, source: &ChaincodeSource) -> Result<(), VmError> {
        self.of(&source.id)?.deploy(source).await
    }

    async fn start(&self, request: &StartRequest) -> Result<Started, VmError> {
        self.of(&request.chaincode_id)?.start(request).await
    }

    async fn stop(&self, chaincode_id: &str) -> Result<(), VmError> {
        self.of(chaincode_id)?.stop(chaincode_id).await
    }

    async fn destroy(&self, chaincode_id: &str) -> Result<(), VmError> {
        self.of(chaincode_id)?.destroy(chaincode_id).await
    }

    fn phase(&self, chaincode_id: &str) -> Option<Phase> {
        self.of(chaincode_id).ok()?.phase(chaincode_id)
    }

    fn name(&self, chaincode_id: &str) -> String {
        self.of(chaincode_id)
            .map_or_else(|_| chaincode_id.to_owned(), |vm| vm.name(chaincode_id))
    }
}
