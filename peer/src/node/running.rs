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

use super::incoming::{Incoming, Security};
use super::servers::Bound;

/// How long open streams may take to end after the peer was told to stop.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Tasks with one common end.
#[derive(Debug)]
pub struct Tasks {
    token: CancellationToken,
    running: Arc<Mutex<Vec<Part>>>,
    failed: watch::Sender<Option<String>>,
}

/// A task and its name.
type Part = (String, JoinHandle<()>);

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
        let label = name.clone();
        let task = tokio::spawn(async move {
            part.await;
            if !token.is_cancelled() {
                failed.send_replace(Some(name));
            }
        });
        self.running.lock().push((label, task));
    }

    /// Serves gRPC on a bound socket.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub(super) fn serve(
        &self,
        name: &str,
        (mut server, security): (Server, Security),
        routes: Routes,
        bound: Bound,
    ) -> Result<()> {
        let incoming = bound.incoming(security)?;
        let token = self.token();
        let label = name.to_owned();
        self.spawn(name, async move {
            let router = server.add_routes(routes);
            let served = match incoming {
                Incoming::Plain(plain) => {
                    router
                        .serve_with_incoming_shutdown(plain, token.cancelled())
                        .await
                }
                Incoming::Tls(tls) => router.serve_with_incoming_shutdown(tls, token.cancelled()).await,
            };
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

    /// Tells all parts to end, and waits for one of them; it is cut off if it does not end in time.
    pub async fn stop_first(&self, name: &str) {
        self.token.cancel();
        let part = self.take(name);
        end(part).await;
    }

    fn take(&self, name: &str) -> Option<Part> {
        let mut running = self.running.lock();
        let place = running.iter().position(|(part, _)| part == name)?;
        Some(running.swap_remove(place))
    }

    /// Ends all parts; those that do not end in time are cut off.
    pub async fn stop(&self) {
        self.token.cancel();
        let running = std::mem::take(&mut *self.running.lock());
        end(running).await;
    }
}

async fn end(parts: impl IntoIterator<Item = Part>) {
    let each = parts.into_iter().map(|(name, mut task)| async move {
        if tokio::time::timeout(STOP_GRACE, &mut task).await.is_err() {
            tracing::debug!(part = name, "cut off");
            task.abort();
        }
    });
    futures::future::join_all(each).await;
}
