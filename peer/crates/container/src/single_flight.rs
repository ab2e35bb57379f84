//! Work that is done once for all who want it at the same time, and that goes on when they give up.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::error::{Phase, VmError};

type Answer<T> = watch::Receiver<Option<Result<T, VmError>>>;

/// The work under way, by what it is for.
pub(crate) struct SingleFlight<K, T>(Arc<Mutex<Flights<K, T>>>);

struct Flights<K, T> {
    closed: bool,
    running: BTreeMap<K, Answer<T>>,
}

impl<K, T> Default for SingleFlight<K, T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Flights {
            closed: false,
            running: BTreeMap::new(),
        })))
    }
}

impl<K, T> SingleFlight<K, T>
where
    K: Ord + Clone + Send + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Waits for the work under way for `key`, or for that which `begin` starts. The work has a task of its own:
    /// it goes on when the caller gives up.
    pub(crate) async fn run<F>(&self, key: K, begin: impl FnOnce() -> F + Send) -> Result<T, VmError>
    where
        F: Future<Output = Result<T, VmError>> + Send + 'static,
    {
        let mut answer = self.join_or_begin(key, begin)?;
        let done = answer
            .wait_for(Option::is_some)
            .await
            .map(|answer| answer.clone());
        match done {
            Ok(Some(result)) => result,
            Ok(None) => Err(VmError::ShuttingDown),
            Err(lost) => Err(VmError::lost(Phase::Build, lost)),
        }
    }

    /// No new work from here on.
    pub(crate) fn close(&self) {
        self.0.lock().closed = true;
    }

    /// Waits until the work under way has ended.
    pub(crate) async fn wait_all(&self) {
        let running: Vec<_> = self.0.lock().running.values().cloned().collect();
        for mut answer in running {
            // An error means that the work's task is gone, which is what is waited for.
            drop(answer.wait_for(Option::is_some).await);
        }
    }

    fn join_or_begin<F>(&self, key: K, begin: impl FnOnce() -> F) -> Result<Answer<T>, VmError>
    where
        F: Future<Output = Result<T, VmError>> + Send + 'static,
    {
        let mut flights = self.0.lock();
        if flights.closed {
            return Err(VmError::ShuttingDown);
        }
        if let Some(running) = flights.running.get(&key) {
            return Ok(running.clone());
        }
        let (publish, answer) = watch::channel(None);
        flights.running.insert(key.clone(), answer.clone());
        let landing = Landing {
            flights: Arc::clone(&self.0),
            key,
        };
        let work = begin();
        tokio::spawn(async move {
            let result = work.await;
            // Off the list before the answer is out: whoever asks after it looks at the result's place again.
            drop(landing);
            publish.send_replace(Some(result));
        });
        Ok(answer)
    }
}

/// Takes work off the list, also when its task panics.
struct Landing<K: Ord, T> {
    flights: Arc<Mutex<Flights<K, T>>>,
    key: K,
}

impl<K: Ord, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        self.flights.lock().running.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn callers_share_one_run_which_outlives_them() {
        let flights = SingleFlight::<u8, usize>::default();
        let (runs, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
        let work = || {
            let (runs, go) = (Arc::clone(&runs), Arc::clone(&go));
            async move {
                let run = runs.fetch_add(1, Ordering::Relaxed);
                go.notified().await;
                Ok(run)
            }
        };
        // one caller gives up at once, the work it began goes on
        assert!(
            tokio::time::timeout(std::time::Duration::ZERO, flights.run(1, work))
                .await
                .is_err()
        );
        let (first, second, ()) = tokio::join!(flights.run(1, work), flights.run(1, work), async {
            tokio::task::yield_now().await;
            go.notify_one();
        });
        assert_eq!((first.unwrap(), second.unwrap()), (0, 0));
        go.notify_one();
        assert_eq!(flights.run(1, work).await.unwrap(), 1, "the next one runs again");
    }

    #[tokio::test]
    async fn lost_work_is_an_error_and_a_closed_list_takes_nothing() {
        let flights = SingleFlight::<u8, ()>::default();
        let lost = flights.run(1, || async { panic!("on purpose") }).await;
        assert!(matches!(lost, Err(VmError::Io { .. })), "{lost:?}");
        flights.close();
        flights.wait_all().await;
        let refused = flights.run(1, || async { Ok(()) }).await;
        assert!(matches!(refused, Err(VmError::ShuttingDown)));
    }
}
