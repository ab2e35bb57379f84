//! [`Instance`]: one constructed plugin, with what keeps the peer safe from it: a limit of calls at once, a
//! deadline, a breaker, threads of its own, counters.

use crate::breaker::{Breaker, Failure};
use crate::config::{Entry, Executor, Match, Mode, Quarantine, QuarantinePolicy};
use crate::current::{Inside, inside};
use crate::hook::Hook;
use crate::kind::Kind;
use crate::metrics::{Counters, Health, Outcome, PluginStats};
use crate::plugin_host::Contents;
use crate::threads::{MAX_REPLACEMENTS, Recovery, Running, Shape, Threads};
use crate::watchdog::watched;
use abi_stable::std_types::RResult;
use async_ffi::FfiFuture;
use futures::FutureExt;
use futures::executor::block_on;
use futures::poll;
use plugin_api::{Code, PluginError, Res};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::task::{JoinError, unconstrained};
use tracing::{Instrument as _, Span, debug_span, error, warn};

/// Calls of one instance at the same time.
const MAX_IN_FLIGHT: usize = 256;
/// Threads of a decorator. Its calls are short; what hangs is replaced.
const DECORATOR_THREADS: usize = 4;
/// Threads of a platform; packing and unpacking needs memory.
const PLATFORM_THREADS: usize = 4;
/// Threads of an isolated endorsement plugin: what waits for a key store elsewhere needs more than processors.
const ENDORSEMENT_THREADS: usize = 16;
/// Threads of an isolated validation plugin: as many transactions as a block's validation has at a time, at most.
const VALIDATION_THREADS: usize = 16;

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
    /// Whether its word counts.
    pub mode: Mode,
    /// For which proposals it is there, such as `channel=pay|trade-* mspid=Org1MSP`; empty for all.
    #[serde(rename = "match")]
    pub applies_to: String,
    /// When it is switched off after failures.
    pub quarantine: Quarantine,
    /// Which of the instances that this process has constructed it is.
    #[serde(skip)]
    pub(crate) number: u64,
}

/// Counts the instances of this process.
static CONSTRUCTED: AtomicU64 = AtomicU64::new(0);

/// What an instance was made of. With the same origin again it is kept over a reload, with its state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Origin {
    entry: Entry,
    sha256: String,
    facts: BTreeMap<String, String>,
    contents: Contents,
}

impl Origin {
    /// `facts` are those that the constructor was told, `contents` the files that it read.
    pub(crate) fn new(
        entry: &Entry,
        sha256: &str,
        facts: BTreeMap<String, String>,
        contents: Contents,
    ) -> Self {
        // these are the chain's business, not the instance's
        let entry = Entry {
            library: PathBuf::new(),
            sha256: None,
            on_error: None,
            applies_to: Match::default(),
            mode: Mode::default(),
            ..entry.clone()
        };
        Self {
            entry,
            sha256: sha256.to_owned(),
            facts,
            contents,
        }
    }
}

/// One constructed plugin.
pub(crate) struct Instance<T: Send + 'static> {
    pub(crate) name: &'static str,
    pub(crate) info: PluginInfo,
    pub(crate) timeout: Duration,
    pub(crate) number: u64,
    origin: Origin,
    /// `None` only while it is dropped.
    object: Option<T>,
    threads: Option<Threads>,
    breaker: Breaker,
    /// Given up until the next reload: its threads were replaced too often.
    failed: AtomicBool,
    in_flight: Arc<AtomicUsize>,
    counters: Arc<Counters>,
}

/// A place among the calls at once. Whoever occupies a thread with the call keeps it.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a call is waited for.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// The plugin's own deadline.
    pub(crate) own: Duration,
    /// What is left of the client's, if it has one.
    pub(crate) client: Option<Duration>,
    /// The code of the failure that the call was told of: to hand it on is no failure of its own.
    pub(crate) given: Option<Code>,
}

impl Patience {
    fn limit(self) -> Duration {
        self.client.map_or(self.own, |client| client.min(self.own))
    }

    /// Whose patience ended. A client can make its own as short as it likes: that is nobody's failure.
    fn over<R>(self) -> Ended<R> {
        match self.client {
            Some(client) if client < self.own => Ended::ClientLeft,
            _ => Ended::Late,
        }
    }
}

impl<T: Send + 'static> Instance<T> {
    pub(crate) fn new(
        name: &'static str,
        info: PluginInfo,
        origin: Origin,
        counters: Arc<Counters>,
        object: T,
    ) -> Self {
        let shape = match (info.kind, info.executor) {
            (Kind::AuthFilter, Executor::Isolated) => Some(Shape::Futures),
            (Kind::Decorator, Executor::Isolated) => Some(Shape::Blocking(DECORATOR_THREADS)),
            (Kind::Platform, _) => Some(Shape::Blocking(PLATFORM_THREADS)),
            (Kind::Endorsement, Executor::Isolated) => Some(Shape::Blocking(ENDORSEMENT_THREADS)),
            (Kind::Validation, Executor::Isolated) => Some(Shape::Blocking(VALIDATION_THREADS)),
            (_, Executor::Inline) => None,
        };
        let number = CONSTRUCTED.fetch_add(1, Ordering::Relaxed);
        let info = PluginInfo { number, ..info };
        Self {
            name,
            timeout: Duration::from_millis(info.timeout_ms),
            breaker: Breaker::new(info.quarantine.into()),
            info,
            number,
            origin,
            object: Some(object),
            threads: shape.map(|shape| Threads::new(name, shape)),
            failed: AtomicBool::new(false),
            in_flight: Arc::default(),
            counters,
        }
    }

    /// Whether it may go on for an entry of this origin. A reload is the way back for one that has been given up, or that
    /// has no thread left.
    pub(crate) fn goes_on_as(&self, origin: &Origin) -> bool {
        let switched_off = self.failed.load(Ordering::Relaxed) || self.breaker.is_open();
        self.origin == *origin && !switched_off && !self.is_out_of_threads()
    }

    /// Whether requests that it is refused for go on without it: it is in quarantine, and the entry wants that.
    pub(crate) fn is_bypassed(&self) -> bool {
        self.info.quarantine.policy == QuarantinePolicy::Bypass
            && (self.failed.load(Ordering::Relaxed) || self.breaker.is_open())
    }

    pub(crate) fn stats(&self) -> PluginStats {
        let health = Health {
            breaker_open: self.breaker.is_open(),
            stuck: self.stuck(),
            failed: self.failed.load(Ordering::Relaxed),
        };
        self.counters.snapshot(self.info.kind, health)
    }

    fn stuck(&self) -> usize {
        self.threads.as_ref().map_or(0, Threads::stuck)
    }

    /// How many threads there are for those kinds whose breaker nobody asks. A platform's calls are rare, and each has its
    /// own sources. What a validation plugin fails on stops its channel anyhow, and other channels need it.
    fn without_breaker(&self) -> Option<usize> {
        match self.info.kind {
            Kind::Platform => Some(PLATFORM_THREADS),
            Kind::Validation => Some(VALIDATION_THREADS),
            Kind::AuthFilter | Kind::Decorator | Kind::Endorsement => None,
        }
    }

    /// Whether calls that were given up occupy every thread that it has; with a breaker it gets others.
    fn is_out_of_threads(&self) -> bool {
        self.without_breaker()
            .is_some_and(|threads| self.stuck() >= threads)
    }

    /// The span of a call: for whoever follows a request, at level debug.
    pub(crate) fn span(&self, hook: Hook) -> Span {
        debug_span!(
            "plugin",
            instance = self.name,
            kind = self.info.kind.key(),
            hook = hook.name()
        )
    }

    /// A place for one call, unless the instance cannot be called now.
    pub(crate) fn admit(&self, hook: Hook) -> Result<Place, PluginError> {
        let place = Place(Arc::clone(&self.in_flight));
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let reason = if self.failed.load(Ordering::Relaxed) {
            "has been given up until the next reload"
        } else if before >= MAX_IN_FLIGHT {
            "has too many calls under way"
        } else if self.is_out_of_threads() {
            "has no thread left: calls that were given up still occupy them"
        } else if !self.breaker.admits() {
            "is in quarantine after repeated failures"
        } else {
            return Ok(place);
        };
        self.counters.refused(hook);
        Err(PluginError::new(
            Code::UNAVAILABLE,
            format!("{} {} {reason}", self.info.kind.name(), self.name),
        ))
    }

    /// Runs a call on this thread; its panics are the plugin's own business (they arrive as errors).
    pub(crate) fn call<R>(&self, call: impl FnOnce(&T) -> R) -> Result<R, PluginError> {
        let object = self.object.as_ref().ok_or_else(|| self.failure("is gone"))?;
        let called = || inside(self.name, || call(object));
        Ok(if self.threads.is_none() {
            watched(self.name, called)
        } else {
            called()
        })
    }

    /// Runs an asynchronous call to its end or its deadline, where the instance is meant to run. `accept` checks what it
    /// answers, in there as well: what it refuses counts as the plugin's error, and what it does not keep has the
    /// destructor of the plugin.
    pub(crate) async fn run<R: Send + 'static, V: Send + 'static>(
        &self,
        hook: Hook,
        patience: Patience,
        start: impl FnOnce(&T) -> FfiFuture<Res<R>>,
        accept: impl FnOnce(R) -> Result<V, PluginError> + Send + Unpin + 'static,
    ) -> Result<V, PluginError> {
        let _place = self.admit(hook)?;
        let span = self.span(hook);
        let future = span.in_scope(|| self.call(start))?;
        let future = future.map(|answer| Res::from(answer.into_result().and_then(accept)));
        let inline = self.threads.is_none();
        let mut future = Inside::new(Arc::clone(&self.counters), inline, future).instrument(span);
        if let Some(threads) = &self.threads {
            let started = Instant::now();
            let ended = self.wait(patience, threads.spawn(future)).await;
            return self.conclude(hook, started.elapsed(), ended.handed_on(patience));
        }
        // most hooks end at once; a timer costs more than they do, and so does a second look at the clock
        if let Poll::Ready(answer) = poll!(&mut future) {
            let ended = Ended::of(answer).handed_on(patience);
            return self.conclude(hook, future.inner().last_poll(), ended);
        }
        let started = Instant::now();
        let ended = tokio::time::timeout(patience.limit(), future)
            .await
            .map_or_else(|_elapsed| patience.over(), Ended::of);
        self.conclude(hook, started.elapsed(), ended.handed_on(patience))
    }

    /// Runs a call that blocks on the instance's own threads.
    pub(crate) async fn run_blocking<R: Send + 'static>(
        self: &Arc<Self>,
        hook: Hook,
        own: Duration,
        call: impl FnOnce(&Self) -> Res<R> + Send + 'static,
    ) -> Result<R, PluginError>
    where
        T: Sync,
    {
        let place = self.admit(hook)?;
        self.run_admitted(hook, place, own, call).await
    }

    /// The same for whoever has a place already.
    pub(crate) async fn run_admitted<R: Send + 'static>(
        self: &Arc<Self>,
        hook: Hook,
        place: Place,
        own: Duration,
        call: impl FnOnce(&Self) -> Res<R> + Send + 'static,
    ) -> Result<R, PluginError>
    where
        T: Sync,
    {
        let started = Instant::now();
        let (instance, span) = (Arc::clone(self), self.span(hook));
        let running = self.threads.as_ref().and_then(|threads| {
            threads.spawn_blocking(move || {
                // freed when the call has really ended, not when somebody stopped waiting for it
                let _place = place;
                Some(span.in_scope(|| call(&instance)))
            })
        });
        let patience = Patience {
            own,
            client: None,
            given: None,
        };
        let ended = self.wait(patience, running).await;
        self.conclude(hook, started.elapsed(), ended)
    }

    /// Runs a call that blocks where the instance is meant to run, and blocks until its end or its deadline. On the
    /// caller's own thread nothing ends a call that hangs.
    pub(crate) fn run_here<R: Send + 'static>(
        self: &Arc<Self>,
        hook: Hook,
        call: impl FnOnce(&T) -> Res<R> + Send + 'static,
    ) -> Result<R, PluginError>
    where
        T: Sync,
    {
        let place = self.admit(hook)?;
        let started = Instant::now();
        let Some(threads) = &self.threads else {
            let answer = self
                .span(hook)
                .in_scope(|| self.call(call).and_then(RResult::into_result));
            drop(place);
            return self.conclude(hook, started.elapsed(), Ended::Answered(answer.into()));
        };
        let (answer, answered) = channel();
        let (instance, span) = (Arc::clone(self), self.span(hook));
        let running = threads.spawn_blocking(move || {
            let _place = place;
            let said = span.in_scope(|| instance.call(call).and_then(RResult::into_result));
            // nobody is there to hear it after the deadline
            answer.send(said).ok()
        });
        let ended = match running {
            None => Ended::Answered(RResult::RErr(self.failure("has no threads"))),
            // given up when it is dropped
            Some(mut running) => match answered.recv_timeout(self.timeout) {
                Ok(said) => {
                    // it leaves its thread right now, and must not count as one that hangs there; unconstrained, since a
                    // caller inside of a task would wait for ever once that task's budget is spent
                    let left: Result<_, JoinError> = block_on(unconstrained(&mut running.task));
                    drop(left);
                    Ended::Answered(said.into())
                }
                Err(RecvTimeoutError::Timeout) => Ended::Late,
                Err(RecvTimeoutError::Disconnected) => Ended::Panicked,
            },
        };
        self.conclude(hook, started.elapsed(), ended)
    }

    async fn wait<R>(
        &self,
        patience: Patience,
        running: Option<Running<Option<Option<Res<R>>>>>,
    ) -> Ended<R> {
        let Some(mut running) = running else {
            return Ended::Answered(RResult::RErr(self.failure("has no threads")));
        };
        match tokio::time::timeout(patience.limit(), &mut running.task).await {
            Ok(Ok(Some(answer))) => Ended::of(answer),
            Ok(Err(broken)) if broken.is_panic() => Ended::Panicked,
            // its threads went away under it, which is not the plugin's doing
            Ok(_) => Ended::Stopped,
            Err(_elapsed) => patience.over(),
        }
    }

    /// Books a call's end and turns it into its result.
    pub(crate) fn conclude<R>(&self, hook: Hook, took: Duration, ended: Ended<R>) -> Result<R, PluginError> {
        let (outcome, result) = match ended {
            Ended::Answered(RResult::ROk(value)) => (Outcome::Done, Ok(value)),
            Ended::Answered(RResult::RErr(error)) if error.code == Code::PANIC => {
                (Outcome::Panic, Err(self.failure("failed")))
            }
            Ended::Answered(RResult::RErr(error)) => (answered_with(self.info.kind, error.code), Err(error)),
            Ended::HandedOn(error) => (Outcome::Done, Err(error)),
            Ended::Panicked => (Outcome::Panic, Err(self.failure("failed"))),
            Ended::Late => (Outcome::Timeout, Err(self.late())),
            Ended::ClientLeft => (Outcome::Undecided, Err(client_left())),
            Ended::Stopped => (Outcome::Undecided, Err(self.failure("was stopped"))),
        };
        self.counters.ended(hook, outcome, took);
        match outcome {
            Outcome::Panic | Outcome::Timeout => self.note_failure(outcome),
            Outcome::Done | Outcome::Denied | Outcome::Error => self.breaker.succeeded(),
            Outcome::Undecided | Outcome::Refused => self.breaker.undecided(),
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
        if self.without_breaker().is_some() {
            return;
        }
        match self.breaker.failed() {
            Failure::Counted => return,
            Failure::Opens => error!(
                plugin = self.name,
                policy = ?self.info.quarantine.policy,
                milliseconds = self.info.quarantine.open_ms,
                "plugin is in quarantine after repeated failures"
            ),
            Failure::StaysOpen => {}
        }
        let recovery = self.threads.as_ref().map(Threads::recover);
        if recovery == Some(Recovery::GivenUp) && !self.failed.swap(true, Ordering::Relaxed) {
            error!(
                plugin = self.name,
                stuck = self.stuck(),
                replacements = MAX_REPLACEMENTS,
                "plugin given up until the next reload"
            );
        }
    }

    fn late(&self) -> PluginError {
        let text = format!("{} {} did not answer in time", self.info.kind.name(), self.name);
        PluginError::new(DEADLINE_EXCEEDED, text)
    }

    pub(crate) fn failure(&self, what: &str) -> PluginError {
        self.culprit().failure(what)
    }

    /// Who is to blame, for checks that outlive this borrow.
    pub(crate) fn culprit(&self) -> Culprit {
        Culprit {
            kind: self.info.kind,
            name: self.name,
        }
    }
}

/// An instance as errors name it.
#[derive(Clone, Copy)]
pub(crate) struct Culprit {
    kind: Kind,
    name: &'static str,
}

impl Culprit {
    pub(crate) fn failure(self, what: &str) -> PluginError {
        let text = format!("{} {} {what}", self.kind.name(), self.name);
        PluginError::new(Code::INTERNAL, text)
    }
}

/// Whether an error is about the request or about the plugin itself. Fabric's filters refuse with UNKNOWN, whatever
/// the reason; in other kinds it is an error that nobody has thought about.
fn answered_with(kind: Kind, code: Code) -> Outcome {
    match code {
        Code::UNKNOWN if kind != Kind::AuthFilter => Outcome::Error,
        Code::INTERNAL | Code::UNAVAILABLE | CANCELLED | DEADLINE_EXCEEDED | UNIMPLEMENTED | DATA_LOSS => {
            Outcome::Error
        }
        Code(1..=16) => Outcome::Denied,
        _ => Outcome::Error,
    }
}

/// gRPC's codes.
const CANCELLED: Code = Code(1);
const UNIMPLEMENTED: Code = Code(12);
const DATA_LOSS: Code = Code(15);
const DEADLINE_EXCEEDED: Code = Code(4);

/// What a client gets (if it still listens) whose own deadline has passed.
pub(crate) fn client_left() -> PluginError {
    PluginError::new(DEADLINE_EXCEEDED, "the client's deadline has passed")
}

/// How a call ended.
pub(crate) enum Ended<R> {
    Answered(Res<R>),
    /// It was told of this failure, and had nothing to say to it.
    HandedOn(PluginError),
    Panicked,
    /// The plugin's own deadline has passed.
    Late,
    /// The client's deadline has passed.
    ClientLeft,
    /// The peer has stopped it.
    Stopped,
}

impl<R> Ended<R> {
    fn of(answer: Option<Res<R>>) -> Self {
        answer.map_or(Self::Panicked, Self::Answered)
    }

    fn handed_on(self, patience: Patience) -> Self {
        match self {
            Self::Answered(RResult::RErr(error)) if Some(error.code) == patience.given => {
                Self::HandedOn(error)
            }
            other => other,
        }
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
