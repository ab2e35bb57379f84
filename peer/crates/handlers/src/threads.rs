//! [`Threads`]: the small runtime of an isolated auth filter. What blocks in there blocks nobody else.

use parking_lot::Mutex;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tracing::error;

/// Worker threads of one instance.
const WORKERS: usize = 2;
/// How often stuck workers are replaced before the instance is given up until the next reload.
const MAX_REPLACEMENTS: usize = 3;

/// A replaceable runtime.
pub(crate) struct Threads {
    instance: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    runtime: Option<Runtime>,
    abandoned: Arc<AtomicUsize>,
    replacements: usize,
}

/// Life of one call: running, abandoned while running, or ended.
const RUNNING: usize = 0;
const ABANDONED: usize = 1;
const ENDED: usize = 2;

/// Marks the end of a call, wherever it ends; one that had been given up no longer counts as stuck.
struct Ending {
    life: Arc<AtomicUsize>,
    abandoned: Arc<AtomicUsize>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if self.life.swap(ENDED, Ordering::AcqRel) == ABANDONED {
            self.abandoned.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A call on these threads.
pub(crate) struct Running<T> {
    pub(crate) task: JoinHandle<T>,
    abandoned: Arc<AtomicUsize>,
    life: Arc<AtomicUsize>,
}

impl<T> Running<T> {
    /// Gives the call up: it is dropped at its next await, and counts as stuck until then.
    pub(crate) fn abandon(&self) {
        self.abandoned.fetch_add(1, Ordering::Relaxed);
        let was = self
            .life
            .compare_exchange(RUNNING, ABANDONED, Ordering::AcqRel, Ordering::Relaxed);
        if was.is_err() {
            self.abandoned.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Threads {
    pub(crate) fn new(instance: &'static str) -> Self {
        Self {
            instance,
            state: Mutex::default(),
        }
    }

    /// Starts a call; `None` when the instance is given up or no thread can be started.
    pub(crate) fn spawn<F>(&self, future: F) -> Option<Running<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let mut state = self.state.lock();
        if state.abandoned.load(Ordering::Relaxed) >= WORKERS {
            self.replace(&mut state);
        }
        if state.replacements > MAX_REPLACEMENTS {
            return None;
        }
        if state.runtime.is_none() {
            state.runtime = self.start();
        }
        let abandoned = Arc::clone(&state.abandoned);
        let life = Arc::new(AtomicUsize::new(RUNNING));
        let ending = Ending {
            life: Arc::clone(&life),
            abandoned: Arc::clone(&abandoned),
        };
        let task = state.runtime.as_ref()?.spawn(async move {
            let _ending = ending;
            future.await
        });
        Some(Running {
            task,
            abandoned,
            life,
        })
    }

    /// How many calls hang in a worker.
    pub(crate) fn stuck(&self) -> usize {
        self.state.lock().abandoned.load(Ordering::Relaxed)
    }

    fn replace(&self, state: &mut State) {
        state.replacements = state.replacements.saturating_add(1);
        error!(
            plugin = self.instance,
            replacements = state.replacements,
            limit = MAX_REPLACEMENTS,
            "all threads of a plugin are stuck"
        );
        state.abandoned = Arc::default();
        if let Some(runtime) = state.runtime.take() {
            runtime.shutdown_background();
        }
    }

    fn start(&self) -> Option<Runtime> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name(format!("plugin-{}", self.instance))
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => Some(runtime),
            Err(error) => {
                error!(plugin = self.instance, %error, "cannot start the threads of a plugin");
                None
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.state.get_mut().runtime.take() {
            runtime.shutdown_background();
        }
    }
}
