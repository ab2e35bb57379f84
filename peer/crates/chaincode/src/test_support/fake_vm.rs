//! A runtime that starts scripted chaincode, or fails as told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use container::{ChaincodeSource, ExitInfo, ExitWatch, StartRequest, Started, Vm, VmError};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::fake_shim::{FakeShim, ShimHandle};
use crate::support::ChaincodeSupport;

/// What becomes of a start.
#[derive(Clone)]
pub enum FakeStart {
    /// This chaincode connects, under the id of the start request.
    Run(FakeShim),
    /// This chaincode connects under its own id, whatever the request says.
    RunAs(FakeShim),
    /// The process ends before it registers.
    Exit(ExitInfo),
    /// It cannot be started.
    Fail(VmError),
    /// It never registers.
    Hang,
}

/// An instance: where its exit is told, and its chaincode if it has connected.
type Running = (watch::Sender<Option<ExitInfo>>, Option<ShimHandle>);

/// A runtime without processes.
#[derive(Default)]
pub struct FakeVm {
    support: Mutex<Weak<ChaincodeSupport>>,
    plans: Mutex<HashMap<String, FakeStart>>,
    requests: Mutex<Vec<StartRequest>>,
    running: Mutex<HashMap<String, Running>>,
    stops: AtomicUsize,
    build_takes: Mutex<Duration>,
    start_takes: Mutex<Duration>,
}

impl FakeVm {
    /// A runtime that knows no chaincode yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Where its chaincode connects to.
    pub fn connect(&self, support: &Arc<ChaincodeSupport>) {
        *self.support.lock() = Arc::downgrade(support);
    }

    /// What becomes of starts of `chaincode` (`name:version`) from now on.
    pub fn plan(&self, chaincode: &str, start: FakeStart) {
        self.plans.lock().insert(chaincode.into(), start);
    }

    /// How long builds take from now on.
    pub fn build_takes(&self, time: Duration) {
        *self.build_takes.lock() = time;
    }

    /// How long starts take from now on.
    pub fn start_takes(&self, time: Duration) {
        *self.start_takes.lock() = time;
    }

    /// The starts so far.
    #[must_use]
    pub fn requests(&self) -> Vec<StartRequest> {
        self.requests.lock().clone()
    }

    /// How often something was stopped.
    #[must_use]
    pub fn stops(&self) -> usize {
        self.stops.load(Ordering::SeqCst)
    }

    /// The scripted chaincode that runs under this id.
    #[must_use]
    pub fn shim(&self, chaincode: &str) -> Option<ShimHandle> {
        self.running
            .lock()
            .get(chaincode)
            .and_then(|(_, shim)| shim.clone())
    }

    /// Ends a running chaincode as a crash does: the stream closes and the exit is known.
    pub fn crash(&self, chaincode: &str, exit: ExitInfo) {
        if let Some((sender, shim)) = self.running.lock().remove(chaincode) {
            sender.send_replace(Some(exit));
            if let Some(shim) = shim {
                shim.hang_up();
            }
        }
    }
}

#[async_trait]
impl Vm for FakeVm {
    async fn deploy(&self, _source: &ChaincodeSource) -> Result<(), VmError> {
        let time = *self.build_takes.lock();
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        Ok(())
    }

    async fn start(&self, request: &StartRequest) -> Result<Started, VmError> {
        self.requests.lock().push(request.clone());
        let time = *self.start_takes.lock();
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
        let id = request.chaincode_id.clone();
        let plan = self.plans.lock().get(&id).cloned().unwrap_or(FakeStart::Hang);
        let (exited, exit) = ExitWatch::new();
        let support = self.support.lock().upgrade();
        let attach = |shim: FakeShim| support.map(|support| shim.attach(&support));
        let shim = match plan {
            FakeStart::Run(shim) => attach(shim.with_id(&id)),
            FakeStart::RunAs(shim) => attach(shim),
            FakeStart::Exit(exit) => {
                exited.send_replace(Some(exit));
                None
            }
            FakeStart::Fail(error) => return Err(error),
            FakeStart::Hang => None,
        };
        self.running.lock().insert(id, (exited, shim));
        Ok(Started { exit })
    }

    async fn stop(&self, chaincode_id: &str) -> Result<(), VmError> {
        self.stops.fetch_add(1, Ordering::SeqCst);
        let killed = ExitInfo {
            code: Some(137),
            signal: Some(9),
            ..ExitInfo::default()
        };
        self.crash(chaincode_id, killed);
        Ok(())
    }

    async fn destroy(&self, chaincode_id: &str) -> Result<(), VmError> {
        self.stop(chaincode_id).await
    }

    fn name(&self, chaincode_id: &str) -> String {
        chaincode_id.replace(':', "-")
    }
}
