//! [`Threads`]: the threads of one instance. What blocks in there blocks nobody else, and what hangs in there is
//! counted until it ends.

use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tracing::error;

/// Worker threads of an auth filter.
const WORKERS: usize = 2;
/// How often a filter's stuck workers are replaced before it is given up until the next reload.
pub(crate) const MAX_REPLACEMENTS: usize = 3;

/// What kind of work the threads are for.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// Futures, on a few workers.
    Futures,
    /// Calls that block, on at most so many threads, which end when they are idle.
    Blocking(usize),
}

/// The threads of an instance, started with its first call.
pub(crate) struct Threads {
    instance: &'static str,
    shape: Shape,
    state: Mutex<State>,
    stuck: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Generation>>,
    replacements: usize,
}

/// One set of threads. It ends when it has been replaced and its last call has ended.
struct Generation {
    runtime: Option<Runtime>,
    stuck: Arc<Stuck>,
}

impl Drop for Generation {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Calls that nobody waits for and that still occupy a thread.
struct Stuck {
    here: AtomicUsize,
    of_instance: Arc<AtomicUsize>,
}

impl Stuck {
    fn add(&self) {
        self.here.fetch_add(1, Ordering::Relaxed);
        self.of_instance.fetch_add(1, Ordering::Relaxed);
    }

    fn remove(&self) {
        self.here.fetch_sub(1, Ordering::Relaxed);
        self.of_instance.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the threads did about calls that hang.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recovery {
    /// Nothing hangs.
    Unneeded,
    /// The next call gets new threads.
    Replaced,
    /// They have been replaced too often.
    GivenUp,
}

impl Threads {
    pub(crate) fn new(instance: &'static str, shape: Shape) -> Self {
        Self {
            instance,
            shape,
            state: Mutex::default(),
            stuck: Arc::default(),
        }
    }

    /// Starts a future; `None` when no thread can be started.
    pub(crate) fn spawn<F>(&self, future: F) -> Option<Running<Option<F::Output>>>
    where
        F: Future + Unpin + Send + 'static,
        F::Output: Send + 'static,
    {
        let generation = self.current()?;
        let life = Arc::new(Life::new(&generation));
        let watched = Watched {
            future: Some(future),
            life: Arc::clone(&life),
        };
        let task = generation.runtime.as_ref()?.spawn(watched);
        Some(Running {
            task,
            life,
            _generation: generation,
        })
    }

    /// Starts a call that blocks; `None` when no thread can be started. The call is not made when nobody
    /// waits for it any more once a thread is free.
    pub(crate) fn spawn_blocking<R: Send + 'static>(
        &self,
        call: impl FnOnce() -> R + Send + 'static,
    ) -> Option<Running<Option<R>>> {
        let generation = self.current()?;
        let life = Arc::new(Life::new(&generation));
        let watched = Arc::clone(&life);
        let task = generation.runtime.as_ref()?.spawn_blocking(move || {
            let occupied = Occupied::enter(&watched)?;
            let answer = call();
            drop(occupied);
            Some(answer)
        });
        Some(Running {
            task,
            life,
            _generation: generation,
        })
    }

    /// How many calls hang in a thread, in those that have been replaced as well.
    pub(crate) fn stuck(&self) -> usize {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Lets go of threads in which something hangs. Calls that are under way there go on.
    pub(crate) fn recover(&self) -> Recovery {
        let mut state = self.state.lock();
        let hangs = state
            .current
            .as_ref()
            .is_some_and(|current| current.stuck.here.load(Ordering::Relaxed) > 0);
        if !hangs {
            return Recovery::Unneeded;
        }
        if state.replacements >= MAX_REPLACEMENTS {
            return Recovery::GivenUp;
        }
        state.replacements = state.replacements.saturating_add(1);
        let replaced = state.current.take();
        let replacements = state.replacements;
        drop(state);
        drop(replaced);
        error!(
            plugin = self.instance,
            replacements,
            limit = MAX_REPLACEMENTS,
            "stuck threads of a plugin are replaced"
        );
        Recovery::Replaced
    }

    fn current(&self) -> Option<Arc<Generation>> {
        let mut state = self.state.lock();
        if state.current.is_none() {
            state.current = self.start().map(Arc::new);
        }
        state.current.clone()
    }

    fn start(&self) -> Option<Generation> {
        // no drivers: hooks sleep with the peer's timer, and threads that wait for nothing else wake faster
        let mut builder = match self.shape {
            Shape::Futures => Builder::new_multi_thread(),
            Shape::Blocking(_) => Builder::new_current_thread(),
        };
        match self.shape {
            Shape::Futures => builder.worker_threads(WORKERS),
            Shape::Blocking(threads) => builder.max_blocking_threads(threads),
        };
        match builder.thread_name(format!("plugin-{}", self.instance)).build() {
            Ok(runtime) => Some(Generation {
                runtime: Some(runtime),
                stuck: Arc::new(Stuck {
                    here: AtomicUsize::new(0),
                    of_instance: Arc::clone(&self.stuck),
                }),
            }),
            Err(error) => {
                error!(plugin = self.instance, %error, "cannot start the threads of a plugin");
                None
            }
        }
    }
}

/// A call on these threads; dropping it gives the call up.
pub(crate) struct Running<T> {
    pub(crate) task: JoinHandle<T>,
    life: Arc<Life>,
    /// Threads that have been replaced stay as long as somebody waits for a call on them.
    _generation: Arc<Generation>,
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.life.give_up();
        self.task.abort();
    }
}

/// Not on a thread right now.
const WAITING: usize = 0;
/// On a thread.
const RUNNING: usize = 1;
/// Given up; it will not get onto a thread again.
const ABANDONED: usize = 2;
/// Given up while it was on a thread: it counts as stuck until it gets off.
const STUCK: usize = 3;
/// Over.
const ENDED: usize = 4;

/// Where a call is, for those that wait for it and for the thread that it occupies.
struct Life {
    state: AtomicUsize,
    stuck: Arc<Stuck>,
}

impl Life {
    fn new(generation: &Generation) -> Self {
        Self {
            state: AtomicUsize::new(WAITING),
            stuck: Arc::clone(&generation.stuck),
        }
    }

    fn change(&self, from: usize, to: usize) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn give_up(&self) {
        // it may get on and off its thread in between
        loop {
            let done = match self.state.load(Ordering::Acquire) {
                WAITING => self.change(WAITING, ABANDONED),
                RUNNING => self.hangs_from(RUNNING),
                _ => true,
            };
            if done {
                return;
            }
        }
    }

    /// Counts it first: the thread may see the change, and take it off the count, at once.
    fn hangs_from(&self, from: usize) -> bool {
        self.stuck.add();
        let hangs = self.change(from, STUCK);
        if !hangs {
            self.stuck.remove();
        }
        hangs
    }
}

/// A call on a thread.
struct Occupied<'a>(&'a Life);

impl<'a> Occupied<'a> {
    /// `None` when the call has been given up.
    fn enter(life: &'a Life) -> Option<Self> {
        life.change(WAITING, RUNNING).then_some(Self(life))
    }

    /// The call will come back.
    fn pause(self) {
        if !self.0.change(RUNNING, WAITING) && self.0.change(STUCK, ABANDONED) {
            self.0.stuck.remove();
        }
        std::mem::forget(self);
    }
}

impl Drop for Occupied<'_> {
    fn drop(&mut self) {
        if self.0.state.swap(ENDED, Ordering::AcqRel) == STUCK {
            self.0.stuck.remove();
        }
    }
}

/// A future whose polls, and whose destructor once it is given up, are watched. `None` when it was given up.
struct Watched<F> {
    future: Option<F>,
    life: Arc<Life>,
}

impl<F: Future + Unpin> Future for Watched<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let (Some(future), Some(occupied)) = (&mut this.future, Occupied::enter(&this.life)) else {
            return Poll::Ready(None);
        };
        match Pin::new(future).poll(context) {
            Poll::Ready(answer) => {
                // the plugin's destructor is part of the call
                this.future = None;
                drop(occupied);
                Poll::Ready(Some(answer))
            }
            Poll::Pending => {
                occupied.pause();
                Poll::Pending
            }
        }
    }
}

impl<F> Drop for Watched<F> {
    fn drop(&mut self) {
        if let Some(future) = self.future.take() {
            let _occupied = self.life.hangs_from(ABANDONED).then(|| Occupied(&self.life));
            drop(future);
        }
    }
}

#[cfg(test)]
mod tests;
