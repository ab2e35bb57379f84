//! The first contact with the engine, and what an earlier run of this peer left on it.

use std::sync::Arc;

use bollard::query_parameters::ListContainersOptionsBuilder;
use tokio::sync::OnceCell;

use super::container::{Chain, remove};
use super::engine::{Engine, Session};
use super::error::DockerError;
use super::labels::Labels;
use crate::error::{Phase, VmError};

/// Connects when first needed; as long as that fails, every call tries again.
pub(super) struct Contact {
    engine: Engine,
    labels: Labels,
    session: OnceCell<Session>,
}

impl Contact {
    pub(super) fn new(engine: Engine, labels: Labels) -> Arc<Self> {
        Arc::new(Self {
            engine,
            labels,
            session: OnceCell::new(),
        })
    }

    /// The connection, for something to be done for a chaincode.
    pub(super) async fn session(&self, phase: Phase, chaincode: &str) -> Result<Session, VmError> {
        let session = self.connected().await;
        let session = session.cloned().map_err(VmError::docker(phase, chaincode))?;
        let left = session.take_left();
        if !left.is_empty() {
            let session = session.clone();
            tokio::spawn(async move {
                for container in left {
                    remove(&session, &container).await;
                }
            });
        }
        Ok(session)
    }

    /// The connection, if there has been one.
    pub(super) fn if_connected(&self) -> Option<Session> {
        self.session.get().cloned()
    }

    /// Connects at the start of the peer, so that an operator hears of a missing engine before a user does.
    pub(super) async fn introduce(&self) {
        if let Err(error) = self.connected().await {
            tracing::warn!(
                error = %Chain(&error),
                "Docker is configured and cannot be used; chaincode that needs it fails until it can"
            );
        }
    }

    /// Whether the engine answers now. One that has been there and is away is an error.
    pub(super) async fn ping(&self) -> Result<(), DockerError> {
        let session = self.connected().await?;
        session
            .ask("ping", session.docker().ping())
            .await
            .map(|_answer| ())
    }

    async fn connected(&self) -> Result<&Session, DockerError> {
        let connect = || async {
            let session = self.engine.connect().await?;
            sweep(&session, &self.labels).await;
            Ok(session)
        };
        self.session.get_or_try_init(connect).await
    }
}

/// Removes the containers of an earlier run: builds that nobody waits for, and chaincode whose certificates were
/// issued by a peer that is no more.
async fn sweep(session: &Session, labels: &Labels) {
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&labels.filter())
        .build();
    let listed = session
        .ask("list containers", session.docker().list_containers(Some(options)))
        .await;
    let containers = match listed {
        Ok(containers) => containers,
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "containers of an earlier run are not looked for");
            return;
        }
    };
    let ours = containers.into_iter().filter(|container| {
        container
            .labels
            .as_ref()
            .is_some_and(|found| labels.are_ours(found))
    });
    for id in ours.filter_map(|container| container.id) {
        tracing::info!(container = id, "removing a container of an earlier run");
        remove(session, &id).await;
    }
}
