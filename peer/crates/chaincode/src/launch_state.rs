//! The outcome of one launch, which everybody who needs that chaincode waits for.

use std::sync::Arc;
use std::time::Duration;

use container::{ExitInfo, ExitWatch, Phase, VmError};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::packages::PackageError;
use crate::tls::TlsError;

/// Why a chaincode is not running. Every caller that waited for the launch gets the same one.
#[derive(Debug, thiserror::Error)]
pub enum LaunchFailure {
    /// The package is not installed, or cannot be read.
    #[error("could not get chaincode code")]
    Package(#[source] PackageError),
    /// No TLS identity could be made for it.
    #[error("failed to generate TLS certificates for {chaincode}")]
    Tls {
        /// The chaincode.
        chaincode: String,
        /// What failed.
        #[source]
        source: TlsError,
    },
    /// The runtime could not build or start it.
    #[error("error starting container")]
    Start(#[source] VmError),
    /// It ended before it had registered.
    #[error("chaincode registration failed: {}", exit.within(Phase::Start, chaincode))]
    Exited {
        /// The chaincode.
        chaincode: String,
        /// How it ended.
        exit: ExitInfo,
    },
    /// REGISTERED or READY could not be sent.
    #[error("chaincode registration failed: {0} (phase {phase})", phase = Phase::Register)]
    Registration(String),
    /// It did not register in time.
    #[error(
        "timeout expired while starting chaincode {chaincode} for transaction (phase {phase}: not over within {}s, \
         chaincode.startuptimeout; what it printed: peer chaincode logs {chaincode})",
        limit.as_secs()
    )]
    TimedOut {
        /// The chaincode.
        chaincode: String,
        /// How far it got.
        phase: Phase,
        /// From the start of the container to the registration.
        limit: Duration,
    },
    /// Dev mode: starting it is the user's part.
    #[error(
        "chaincode {chaincode} is not registered and the peer is in dev mode: start it yourself with \
         CORE_CHAINCODE_ID_NAME={chaincode} and peer address {address}"
    )]
    NotStartedByUser {
        /// The id it must register with.
        chaincode: String,
        /// Where it must connect to.
        address: String,
    },
    /// It has failed so often that it is left alone for a while.
    #[error("chaincode {chaincode} failed {failures} times in a row, next attempt in {} s", .wait.as_millis().div_ceil(1000))]
    BackingOff {
        /// The chaincode.
        chaincode: String,
        /// Failures since it last ran.
        failures: u32,
        /// Time left until a call tries again.
        wait: Duration,
        /// How it failed last.
        #[source]
        last: Arc<LaunchFailure>,
    },
    /// The launch ended without an answer; a bug.
    #[error("the launch ended without an answer")]
    Lost,
}

type Outcome = Option<Result<(), Arc<LaunchFailure>>>;

/// One launch: pending, then ready or failed for good.
pub struct LaunchState {
    outcome: watch::Sender<Outcome>,
    exit: Mutex<Option<ExitWatch>>,
}

impl Default for LaunchState {
    fn default() -> Self {
        Self {
            outcome: watch::Sender::new(None),
            exit: Mutex::new(None),
        }
    }
}

impl LaunchState {
    /// Says how the launch went. Only the first word counts.
    pub fn notify(&self, result: Result<(), Arc<LaunchFailure>>) {
        self.outcome.send_if_modified(|outcome| {
            let first = outcome.is_none();
            if first {
                *outcome = Some(result);
            }
            first
        });
    }

    /// Waits for the outcome. The launch has a deadline, so this has one.
    ///
    /// # Errors
    /// The reason of a failed launch.
    pub async fn wait(&self) -> Result<(), Arc<LaunchFailure>> {
        let mut outcome = self.outcome.subscribe();
        match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
            Err(_closed) => Err(Arc::new(LaunchFailure::Lost)),
        }
    }

    /// Whether the chaincode got as far as READY.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(&*self.outcome.borrow(), Some(Ok(())))
    }

    /// Remembers how to learn of the end of the process.
    pub fn set_exit(&self, exit: ExitWatch) {
        *self.exit.lock() = Some(exit);
    }

    /// How to learn of the end of the process, if the peer started one.
    pub fn exit(&self) -> Option<ExitWatch> {
        self.exit.lock().clone()
    }
}
