//! Launches chaincode: one launch at a time for each, shared by everybody who needs it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use container::{ExitWatch, Phase, StartRequest, Vm};
use parking_lot::Mutex;
use protos::{ChaincodeId, wire_message};
use tokio::time::Instant;

use crate::config::Config;
use crate::launch_state::{LaunchFailure, LaunchState};
use crate::metrics::Metrics;
use crate::packages::PackageStore;
use crate::registry::HandlerRegistry;
use crate::tls::TlsAuthority;

/// How long ending a failed chaincode may take before its failure is reported all the same.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// A first failure is not held against a chaincode: the next call launches again at once. From the second
/// failure in a row on, calls fail at once for this long, doubled with each further failure …
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
/// … up to this, so that a repaired chaincode is tried again soon.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(10);

/// Failures in a row of one chaincode.
struct Failures {
    count: u32,
    last: Arc<LaunchFailure>,
    at: Instant,
}

impl Failures {
    fn back_off(&self) -> Duration {
        match self.count.checked_sub(2) {
            None => Duration::ZERO,
            Some(doublings) => FIRST_BACK_OFF
                .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX))
                .min(LONGEST_BACK_OFF),
        }
    }

    fn wait(&self) -> Option<Duration> {
        let left = self.back_off().saturating_sub(self.at.elapsed());
        (!left.is_zero()).then_some(left)
    }
}

/// Launches chaincode through the runtime.
pub struct RuntimeLauncher {
    config: Config,
    vm: Option<Arc<dyn Vm>>,
    registry: Arc<HandlerRegistry>,
    packages: Arc<PackageStore>,
    tls: Option<Arc<TlsAuthority>>,
    metrics: Arc<Metrics>,
    failures: Mutex<HashMap<ChaincodeId, Failures>>,
}

impl RuntimeLauncher {
    pub(crate) fn new(
        config: Config,
        vm: Option<Arc<dyn Vm>>,
        registry: Arc<HandlerRegistry>,
        packages: Arc<PackageStore>,
        tls: Option<Arc<TlsAuthority>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            config,
            vm,
            registry,
            packages,
            tls,
            metrics,
            failures: Mutex::default(),
        }
    }

    /// Waits until a chaincode is ready, launching it if nobody else has begun to.
    pub async fn launch(self: &Arc<Self>, chaincode: &ChaincodeId) -> Result<(), Arc<LaunchFailure>> {
        let id = chaincode.to_string();
        let vm = self.vm.clone().filter(|_| !self.config.dev_mode);
        let Some(vm) = vm else {
            return self.wait_for_user(id).await;
        };
        if self.registry.launch(&id).is_none() {
            self.check_back_off(chaincode)?;
        }
        let (state, begun) = self.registry.launching(&id);
        if !begun {
            // in its own task: a caller that gives up does not take the launch with it
            let (this, chaincode, state) = (self.clone(), chaincode.clone(), state.clone());
            tokio::spawn(async move { this.run(vm, chaincode, state).await });
        }
        state.wait().await
    }

    /// In dev mode a chaincode that has connected may still be registering; more is not waited for.
    async fn wait_for_user(&self, chaincode: String) -> Result<(), Arc<LaunchFailure>> {
        match self.registry.launch(&chaincode) {
            Some(state) => state.wait().await,
            None => Err(Arc::new(LaunchFailure::NotStartedByUser {
                chaincode,
                address: self.config.chaincode_address.clone(),
            })),
        }
    }

    fn check_back_off(&self, chaincode: &ChaincodeId) -> Result<(), Arc<LaunchFailure>> {
        let failures = self.failures.lock();
        let Some(failed) = failures.get(chaincode) else {
            return Ok(());
        };
        match failed.wait() {
            None => Ok(()),
            Some(wait) => Err(Arc::new(LaunchFailure::BackingOff {
                chaincode: chaincode.to_string(),
                failures: failed.count,
                wait,
                last: failed.last.clone(),
            })),
        }
    }

    async fn run(&self, vm: Arc<dyn Vm>, chaincode: ChaincodeId, state: Arc<LaunchState>) {
        let id = chaincode.to_string();
        let begun = Instant::now();
        tracing::info!(chaincode = id, "launching chaincode");
        let failure = match self.build(vm.as_ref(), &chaincode).await {
            Ok(request) => self.start(vm.as_ref(), &request, &state).await.err(),
            Err(failure) => Some(Arc::new(failure)),
        };
        self.metrics.launched(&id, failure.as_deref(), begun.elapsed());
        match failure {
            None => self.launched(chaincode, &state),
            Some(failure) => {
                tracing::warn!(chaincode = id, error = wire_message(&failure), "launch failed");
                self.note_failure(chaincode, &failure);
                // ended before the next launch can begin, so that it does not end the next one
                self.stop(vm.as_ref(), &id).await;
                self.registry.deregister_launch(&id, &state);
                state.notify(Err(failure));
            }
        }
    }

    /// Sees to it that the chaincode is built. How long that may take, the runtime's own limits say: pulling images and
    /// building have theirs.
    async fn build(&self, vm: &dyn Vm, chaincode: &ChaincodeId) -> Result<StartRequest, LaunchFailure> {
        let request = self.start_request(chaincode).await?;
        // an old instance must not register in the new one's place meanwhile
        self.stop(vm, &request.chaincode_id).await;
        vm.deploy(&request.source).await.map_err(LaunchFailure::Start)?;
        Ok(request)
    }

    /// Starts the chaincode and waits until it is ready or has ended, for as long as the startup timeout says.
    async fn start(
        &self,
        vm: &dyn Vm,
        request: &StartRequest,
        state: &LaunchState,
    ) -> Result<(), Arc<LaunchFailure>> {
        let limit = self.config.startup_timeout;
        let registration = async {
            // never given up because the chaincode is ready already: the runtime may still have things to do
            let started = vm.start(request).await.map_err(LaunchFailure::Start)?;
            state.set_exit(started.exit.clone());
            tokio::select! {
                biased;
                outcome = state.wait() => outcome,
                exit = started.exit.wait() => Err(Arc::new(LaunchFailure::Exited {
                    chaincode: request.chaincode_id.clone(),
                    exit,
                })),
            }
        };
        match tokio::time::timeout(limit, registration).await {
            Ok(outcome) => outcome,
            Err(_elapsed) if state.is_ready() => Ok(()),
            Err(_elapsed) => Err(Arc::new(LaunchFailure::TimedOut {
                chaincode: request.chaincode_id.clone(),
                phase: match state.exit() {
                    Some(_started) => Phase::Register,
                    None => Phase::Start,
                },
                limit,
            })),
        }
    }

    async fn start_request(&self, chaincode: &ChaincodeId) -> Result<StartRequest, LaunchFailure> {
        let (packages, wanted) = (self.packages.clone(), chaincode.clone());
        let loaded = tokio::task::spawn_blocking(move || packages.load(&wanted)).await;
        let package = match loaded {
            Ok(package) => package.map_err(LaunchFailure::Package)?,
            Err(_lost) => return Err(LaunchFailure::Lost),
        };
        let id = chaincode.to_string();
        let tls = self.tls.as_ref().map(|tls| tls.issue(&id)).transpose();
        let tls = tls.map_err(|source| LaunchFailure::Tls {
            chaincode: id.clone(),
            source,
        })?;
        Ok(StartRequest {
            chaincode_id: id.clone(),
            peer_address: self.config.chaincode_address.clone(),
            local_msp_id: self.config.local_msp_id.clone(),
            tls,
            logging: self.config.logging.clone(),
            source: package.source(),
        })
    }

    fn launched(&self, chaincode: ChaincodeId, state: &LaunchState) {
        self.failures.lock().remove(&chaincode);
        tracing::info!(chaincode = chaincode.to_string(), "chaincode is ready");
        if let Some(exit) = state.exit() {
            tokio::spawn(log_exit(chaincode.to_string(), exit));
        }
    }

    /// A package that is not installed says nothing about the chaincode: no back-off for that.
    fn note_failure(&self, chaincode: ChaincodeId, failure: &Arc<LaunchFailure>) {
        if matches!(**failure, LaunchFailure::Package(_)) {
            return;
        }
        let mut all = self.failures.lock();
        let count = all.get(&chaincode).map_or(0, |failed| failed.count);
        let failed = Failures {
            count: count.saturating_add(1),
            last: failure.clone(),
            at: Instant::now(),
        };
        all.insert(chaincode, failed);
    }

    async fn stop(&self, vm: &dyn Vm, id: &str) {
        match tokio::time::timeout(STOP_TIMEOUT, vm.stop(id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(chaincode = id, error = wire_message(&error), "stopping failed");
            }
            Err(_elapsed) => tracing::warn!(chaincode = id, "stopping takes too long"),
        }
    }
}

async fn log_exit(chaincode: String, exit: ExitWatch) {
    let exit = exit.wait().await;
    tracing::info!(chaincode, exit = exit.to_string(), "chaincode has ended");
}

#[cfg(test)]
mod tests;
