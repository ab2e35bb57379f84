//! The tasks of a running peer: they stop together, and the end of one is noticed.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;

use super::servers::Bound;

/// How long open streams may take to end after the peer was told to stop.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Tasks with one common end.
#[derive(Debug)]
pub struct Tasks {
    token: CancellationToken,
    running: Arc<Mutex<Vec<JoinHandle<()>>>>,
    failed: watch::Sender<Option<String>>,
}

impl Default for Tasks {
    fn default() -> Self {
        let (failed, _) = watch::channel(None);
        Self {
            token: CancellationToken::new(),
            running: Arc::default(),
            failed,
        }
    }
}

impl Tasks {
    /// Cancelled when the peer stops.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Runs a part until the token is cancelled. If it ends before, the peer has failed.
    pub fn spawn(&self, name: &str, part: impl Future<Output = ()> + Send + 'static) {
        let (name, token, failed) = (name.to_owned(), self.token(), self.failed.clone());
        let task = tokio::spawn(async move {
            part.await;
            if !token.is_cancelled() {
                failed.send_replace(Some(name));
            }
        });
        self.running.lock().push(task);
    }

    /// Serves gRPC on a bound socket.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn serve(&self, name: &str, mut server: Server, routes: Routes, bound: Bound) -> Result<()> {
        let incoming = bound.incoming()?;
        let token = self.token();
        let label = name.to_owned();
        self.spawn(name, async move {
            let served = server
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, token.cancelled())
                .await;
            if let Err(error) = served {
                tracing::error!(
                    listener = label,
                    error = protos::wire_message(&error),
                    "listener failed"
                );
            }
        });
        Ok(())
    }

    /// Resolves with the name of a part that ended by itself.
    pub async fn failed(&self) -> String {
        let mut failed = self.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(name) => name.clone().unwrap_or_default(),
            Err(_closed) => std::future::pending().await,
        }
    }

    /// Ends all parts; those that do not end in time are cut off.
    pub async fn stop(&self) {
        self.token.cancel();
        let running = std::mem::take(&mut *self.running.lock());
        for mut task in running {
            if tokio::time::timeout(STOP_GRACE, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}
