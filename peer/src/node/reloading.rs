//! Reloading the plugins of a running peer.

use std::sync::Arc;

use anyhow::{Context, Result};
use core_config::CoreConfig;
use handlers::{Registry, Reload};
use protos::wire_message;
use tokio::signal::unix::Signal;
use tokio::sync::Semaphore;

use super::plugins;

/// Reads the configuration again and exchanges the plugins. Clones share the registry.
#[derive(Clone, Debug)]
pub struct Reloader {
    config: Arc<CoreConfig>,
    registry: Registry,
    /// One reload at a time, in the order in which they were asked for; those that wait occupy no thread.
    turn: Arc<Semaphore>,
}

impl Reloader {
    /// For a peer that was started with this configuration.
    #[must_use]
    pub fn new(config: Arc<CoreConfig>, registry: Registry) -> Self {
        Self {
            config,
            registry,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// The plugins.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Reads `peer.handlers` again, from wherever the peer read it at its start, and puts its plugins in the place of
    /// those that run. Of the rest of the configuration only what platforms are told about languages
    /// (`chaincode.golang`, `java`, `node`, `builder`) comes into force. A caller that goes away stops nothing. Of several
    /// at once each reads the configuration when its turn has come, so that the last one brings what is written then.
    ///
    /// # Errors
    /// When the configuration cannot be read or an entry cannot be loaded, with all that is wrong; then nothing has
    /// changed.
    pub async fn reload(&self) -> Result<Reload> {
        let this = self.clone();
        let reload = tokio::spawn(async move {
            let turn = this
                .turn
                .acquire_owned()
                .await
                .context("nothing is reloaded any more")?;
            let (config, registry) = (this.config, this.registry);
            let reload = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                let config = config
                    .load_again()
                    .context("the configuration cannot be read again")?;
                plugins::reload(&registry, &config)
            });
            reload.await.context("the reload broke down")?
        });
        let reloaded = reload.await.context("the reload broke down")?;
        if let Err(error) = &reloaded {
            tracing::error!(
                error = wire_message(error.as_ref()),
                "plugins stay as they are: they could not be reloaded"
            );
        }
        reloaded
    }

    /// Reloads at every SIGHUP.
    pub async fn follow(self, mut hangup: Signal) {
        while hangup.recv().await.is_some() {
            tracing::info!("SIGHUP: reloading the plugins");
            // what went wrong is in the log
            drop(self.reload().await);
        }
    }
}
