//! `/healthz`: what an orchestrator asks to know whether the peer can do its work.

use std::sync::Arc;
use std::time::Duration;

use handlers::Registry;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::node::runtimes::Runtimes;

/// How long a component may take to say that it is well.
const PATIENCE: Duration = Duration::from_secs(5);

/// The checks of a peer.
#[derive(Clone)]
pub struct Health {
    peer: Handle,
    registry: Registry,
    /// Only if chaincode runs in containers.
    runtimes: Option<Arc<Runtimes>>,
}

/// Fabric's answer.
#[derive(Debug, Serialize)]
pub struct Report {
    status: &'static str,
    time: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed_checks: Vec<FailedCheck>,
}

/// What is wrong with a component.
#[derive(Debug, Serialize)]
struct FailedCheck {
    component: String,
    reason: String,
}

impl FailedCheck {
    fn new(component: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            component: component.into(),
            reason: reason.into(),
        }
    }
}

impl Report {
    fn of(failed_checks: Vec<FailedCheck>) -> Self {
        let well = failed_checks.is_empty();
        Self {
            status: if well { "OK" } else { "Service Unavailable" },
            time: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
            failed_checks,
        }
    }

    /// Whether no check failed.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.failed_checks.is_empty()
    }
}

impl Health {
    /// The checks of a peer whose work is done on `peer`.
    #[must_use]
    pub fn new(registry: Registry, runtimes: Option<Arc<Runtimes>>, peer: Handle) -> Self {
        Self {
            peer,
            registry,
            runtimes: runtimes.filter(|runtimes| runtimes.uses_docker()),
        }
    }

    /// Asks every component.
    pub async fn report(&self) -> Report {
        let (threads, docker) = tokio::join!(self.threads(), self.docker());
        let failed = threads.into_iter().chain(docker).chain(self.plugins());
        Report::of(failed.collect())
    }

    /// Whether the peer's threads do any work: a plugin or a chaincode that blocks all of them stops the peer.
    async fn threads(&self) -> Option<FailedCheck> {
        let work = self.peer.spawn(std::future::ready(()));
        match timeout(PATIENCE, work).await {
            Ok(Ok(())) => None,
            Ok(Err(stopped)) => Some(FailedCheck::new("threads", stopped.to_string())),
            Err(_elapsed) => Some(FailedCheck::new(
                "threads",
                format!("none of the peer's threads was free for {PATIENCE:?}"),
            )),
        }
    }

    /// Asked on the peer's threads, where the engine's connection lives.
    async fn docker(&self) -> Option<FailedCheck> {
        let runtimes = Arc::clone(self.runtimes.as_ref()?);
        let asked = self
            .peer
            .spawn(async move { timeout(PATIENCE, runtimes.docker_answers()).await });
        let reason = match timeout(PATIENCE.saturating_mul(2), asked).await {
            Ok(Ok(Ok(Ok(())))) => return None,
            Ok(Ok(Ok(Err(error)))) => protos::wire_message(&error),
            Ok(Err(broken)) => broken.to_string(),
            Ok(Ok(Err(_))) | Err(_) => format!("the engine did not answer within {PATIENCE:?}"),
        };
        Some(FailedCheck::new("docker", reason))
    }

    /// Plugins that nobody calls any more. A breaker that is open for a moment is no such case: it heals itself, and
    /// what it protects may be the very thing that a restart would not mend.
    fn plugins(&self) -> Vec<FailedCheck> {
        let stats = self.registry.stats();
        let failed = stats.iter().filter(|stats| stats.failed);
        let check = |stats: &handlers::PluginStats| {
            let reason = format!(
                "{} {} has been given up until the next reload: {} of its calls hang",
                stats.kind.name(),
                stats.instance,
                stats.stuck
            );
            FailedCheck::new(format!("plugin/{}", stats.instance), reason)
        };
        failed.map(check).collect()
    }
}
