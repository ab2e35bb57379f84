//! [`Instance`]: one constructed plugin, with what keeps the peer safe from it: a limit of calls at once, a
//! deadline, a breaker, counters.

use crate::breaker::Breaker;
use crate::config::Executor;
use crate::current::{Inside, inside};
use crate::kind::Kind;
use crate::metrics::{Counters, Outcome, PluginStats};
use crate::threads::Threads;
use abi_stable::std_types::RResult;
use async_ffi::FfiFuture;
use futures::poll;
use plugin_api::{Code, PluginError, Res};
use serde::Serialize;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;
use tracing::{error, warn};

/// Calls of one instance at the same time.
const MAX_IN_FLIGHT: usize = 256;

/// What `peer plugin list` shows of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginInfo {
    /// The instance's name.
    pub instance: String,
    /// What it is.
    pub kind: Kind,
    /// The plugin's own name.
    pub plugin: String,
    /// The plugin's version.
    pub version: String,
    /// The plugin's description of itself.
    pub description: String,
    /// Version of the plugin API that it was built with.
    pub api: String,
    /// The compiler that built it.
    pub toolchain: String,
    /// The library.
    pub file: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Where its calls run.
    pub executor: Executor,
    /// Deadline of one call, in milliseconds.
    pub timeout_ms: u64,
    /// The entry of the configuration.
    pub config_path: String,
}

/// One constructed plugin.
pub(crate) struct Instance<T: Send + 'static> {
    pub(crate) name: &'static str,
    pub(crate) info: PluginInfo,
    pub(crate) timeout: Duration,
    /// `None` only while it is dropped.
    object: Option<T>,
    threads: Option<Threads>,
    breaker: Breaker,
    in_flight: AtomicUsize,
    counters: Counters,
}

/// A place among the calls at once.
pub(crate) struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T: Send + 'static> Instance<T> {
    pub(crate) fn new(name: &'static str, info: PluginInfo, object: T) -> Self {
        let isolated = info.kind == Kind::AuthFilter && info.executor == Executor::Isolated;
        Self {
            name,
            timeout: Duration::from_millis(info.timeout_ms),
            info,
            object: Some(object),
            threads: isolated.then(|| Threads::new(name)),
            breaker: Breaker::default(),
            in_flight: AtomicUsize::new(0),
            counters: Counters::default(),
        }
    }

    pub(crate) fn stats(&self) -> PluginStats {
        let stuck = self.threads.as_ref().map_or(0, Threads::stuck);
        self.counters.snapshot(self.name, self.breaker.is_open(), stuck)
    }

    /// A place for one call, unless the breaker is open or too many calls are under way.
    pub(crate) fn admit(&self) -> Result<Place<'_>, PluginError> {
        let place = Place(&self.in_flight);
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let reason = if before >= MAX_IN_FLIGHT {
            "has too many calls under way"
        } else if !self.breaker.admits() {
            "is switched off for a while after repeated failures"
        } else {
            return Ok(place);
        };
        self.counters.count(Outcome::Refused);
        Err(PluginError::new(
            Code::UNAVAILABLE,
            format!("{} {} {reason}", self.info.kind.name(), self.name),
        ))
    }

    /// Runs a call on this thread; its panics are the plugin's own business (they arrive as errors).
    pub(crate) fn call<R>(&self, call: impl FnOnce(&T) -> R) -> Result<R, PluginError> {
        let object = self.object.as_ref().ok_or_else(|| self.failure("is gone"))?;
        Ok(inside(self.name, || call(object)))
    }

    /// Runs an asynchronous call to its end or its deadline, where the instance is meant to run.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        limit: Duration,
        start: impl FnOnce(&T) -> FfiFuture<Res<R>>,
    ) -> Result<R, PluginError> {
        let _place = self.admit()?;
        let future = Inside::new(self.name, self.call(start)?);
        let ended = match &self.threads {
            None => self.run_here(limit, future).await,
            Some(threads) => self.run_there(threads, limit, future).await,
        };
        self.conclude(ended)
    }

    async fn run_here<R>(&self, limit: Duration, future: Inside<FfiFuture<Res<R>>>) -> Ended<R> {
        let mut future = pin!(future);
        // most hooks end at once; a timer costs more than they do
        if let Poll::Ready(ended) = poll!(&mut future) {
            return Ended::of(ended);
        }
        tokio::time::timeout(limit, future)
            .await
            .map_or(Ended::Late, Ended::of)
    }

    async fn run_there<R: Send + 'static>(
        &self,
        threads: &Threads,
        limit: Duration,
        future: Inside<FfiFuture<Res<R>>>,
    ) -> Ended<R> {
        let Some(mut running) = threads.spawn(future) else {
            return Ended::Answered(RResult::RErr(
                self.failure("has been given up, its threads are stuck"),
            ));
        };
        match tokio::time::timeout(limit, &mut running.task).await {
            Ok(Ok(ended)) => Ended::of(ended),
            Ok(Err(_cancelled_or_panicked)) => Ended::Panicked,
            Err(_elapsed) => {
                running.abandon();
                Ended::Late
            }
        }
    }

    /// Books a call's end and turns it into its result.
    pub(crate) fn conclude<R>(&self, ended: Ended<R>) -> Result<R, PluginError> {
        let (outcome, result) = match ended {
            Ended::Answered(RResult::ROk(value)) => (Outcome::Done, Ok(value)),
            Ended::Answered(RResult::RErr(error)) if error.code == Code::PANIC => {
                (Outcome::Panic, Err(self.failure("failed")))
            }
            Ended::Answered(RResult::RErr(error)) => (Outcome::Error, Err(error)),
            Ended::Panicked => (Outcome::Panic, Err(self.failure("failed"))),
            Ended::Late => (Outcome::Timeout, Err(self.late())),
        };
        self.counters.count(outcome);
        match outcome {
            Outcome::Panic | Outcome::Timeout => self.note_failure(outcome),
            Outcome::Done | Outcome::Error | Outcome::Refused => self.breaker.succeeded(),
        }
        result
    }

    fn note_failure(&self, outcome: Outcome) {
        warn!(
            plugin = self.name,
            kind = self.info.kind.name(),
            ?outcome,
            "plugin call failed"
        );
        // nobody asks a platform's breaker: its calls are rare, and each has its own sources
        if self.info.kind != Kind::Platform && self.breaker.failed() {
            error!(
                plugin = self.name,
                "plugin switched off for a while after repeated failures"
            );
        }
    }

    fn late(&self) -> PluginError {
        // gRPC DEADLINE_EXCEEDED
        let text = format!("{} {} did not answer in time", self.info.kind.name(), self.name);
        PluginError::new(Code(4), text)
    }

    pub(crate) fn failure(&self, what: &str) -> PluginError {
        PluginError::new(
            Code::INTERNAL,
            format!("{} {} {what}", self.info.kind.name(), self.name),
        )
    }
}

/// How a call ended.
pub(crate) enum Ended<R> {
    Answered(Res<R>),
    Panicked,
    Late,
}

impl<R> Ended<R> {
    fn of(answer: Option<Res<R>>) -> Self {
        answer.map_or(Self::Panicked, Self::Answered)
    }
}

impl<T: Send + 'static> Drop for Instance<T> {
    /// A plugin may own a runtime or block in its destructor, so it ends on a thread of its own.
    fn drop(&mut self) {
        let (name, object) = (self.name, self.object.take());
        let ending = std::thread::Builder::new()
            .name("plugin-drop".to_owned())
            .spawn(move || inside(name, || drop(object)));
        if let Err(error) = ending {
            warn!(plugin = name, %error, "plugin instance dropped in place");
        }
    }
}
