//! Threads for the short steps of a transaction that compute or read the ledger: verify, sign, look up, read.
//!
//! Tokio's blocking pool is made for work that waits, and has a thread for every piece of it. Steps of some 100 µs
//! made that pool's lock and the change between its threads cost more than the steps themselves. Here are as many
//! threads as the machine can use; what comes meanwhile queues. Work that waits for long belongs in Tokio's pool.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::thread::available_parallelism;

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

/// A read that misses the cache waits for the disk: more threads than processors, so that others go on meanwhile.
const THREADS_PER_PROCESSOR: usize = 2;

/// The work panicked, or the threads could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a worker broke off")]
pub struct BrokenOff;

/// Runs `work` on a worker and waits for what it returns. Work that was begun runs to its end when the caller
/// gives up.
///
/// # Errors
/// When the work panics.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BrokenOff> {
    let (answer, answered) = oneshot::channel();
    spawn(move || {
        // nobody may be waiting any more
        drop(answer.send(work()));
    })?;
    answered
        .await
        .map_err(|_dropped: oneshot::error::RecvError| BrokenOff)
}

/// Runs `work` on a worker; nobody waits for it. A panic in it ends there.
///
/// # Errors
/// When there are no workers.
pub fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), BrokenOff> {
    let runtime = tokio::runtime::Handle::try_current().ok();
    let span = tracing::Span::current();
    pool()?.spawn(move || {
        let _runtime = runtime.as_ref().map(tokio::runtime::Handle::enter);
        if catch_unwind(AssertUnwindSafe(|| span.in_scope(work))).is_err() {
            tracing::error!("panic on a worker");
        }
    });
    Ok(())
}

fn pool() -> Result<&'static ThreadPool, BrokenOff> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let build = || {
        let processors = available_parallelism().map_or(1, std::num::NonZero::get);
        ThreadPoolBuilder::new()
            .num_threads(processors.saturating_mul(THREADS_PER_PROCESSOR))
            .thread_name(|index| format!("worker-{index}"))
            .build()
            .inspect_err(|error| tracing::error!(%error, "could not start the worker threads"))
            .ok()
    };
    POOL.get_or_init(build).as_ref().ok_or(BrokenOff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_comes_back_from_another_thread() {
        let here = std::thread::current().id();
        let there = run(|| std::thread::current().id()).await.unwrap();
        assert_ne!(here, there);
    }

    #[tokio::test]
    async fn a_panic_costs_its_own_work_only() {
        let broken = run(|| assert!(std::hint::black_box(false), "on purpose")).await;
        assert_eq!(broken, Err(BrokenOff));
        assert_eq!(run(|| 1 + 1).await, Ok(2));
    }

    #[tokio::test]
    async fn work_may_spawn_tasks_of_the_callers_runtime() {
        let task = run(|| tokio::spawn(async { 7 })).await.unwrap();
        assert_eq!(task.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn more_work_than_threads_gets_done() {
        let running: Vec<_> = (0..1000_u32).map(|n| tokio::spawn(run(move || n))).collect();
        let mut sum = 0;
        for piece in running {
            sum += piece.await.unwrap().unwrap();
        }
        assert_eq!(sum, 499_500);
    }
}
