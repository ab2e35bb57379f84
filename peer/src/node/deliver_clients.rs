//! Follows the ordering service of every joined channel, those joined later included.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use channel::{Channel, Channels};
use core_config::CoreConfig;
use deliver::client::{AddressOverride, BlocksProvider, ClientIdentity, FollowSettings, Keepalive};
use protos::wire_message;
use tokio_util::sync::CancellationToken;

use super::running::Tasks;

/// How long a channel that could not commit a block pauses before it is followed again.
const AFTER_FATAL: Duration = Duration::from_secs(10);

/// Starts to follow.
pub(super) fn follow_all(config: &CoreConfig, channels: &Arc<Channels>, tasks: &Tasks) -> Result<()> {
    let settings = follow_settings(config)?;
    let channels = Arc::clone(channels);
    let token = tasks.token();
    tasks.spawn("deliver clients", async move {
        let mut joined = channels.subscribe_joined();
        let mut followed = BTreeSet::new();
        loop {
            let now = joined.borrow_and_update().clone();
            for (id, channel) in now.iter() {
                if followed.insert(id.clone()) {
                    tokio::spawn(follow(
                        Arc::clone(&channels),
                        Arc::clone(channel),
                        settings.clone(),
                        token.clone(),
                    ));
                }
            }
            tokio::select! {
                () = token.cancelled() => return,
                changed = joined.changed() => if changed.is_err() { return },
            }
        }
    });
    Ok(())
}

/// Follows one channel until the peer stops. A fault of the peer's own, such as a full disk, is tried again.
async fn follow(
    channels: Arc<Channels>,
    channel: Arc<Channel>,
    settings: FollowSettings,
    token: CancellationToken,
) {
    while !token.is_cancelled() {
        let height = Arc::clone(&channel);
        let provider = BlocksProvider {
            channel: channel.id().clone(),
            height: Box::new(move || *height.ledger().height_watch().borrow()),
            endpoints: channel.orderer_endpoints(),
            signer: Arc::clone(channels.local_msp().signer()),
            sink: Arc::<Channel>::clone(&channel),
            settings: settings.clone(),
        };
        if let Err(error) = provider.run(token.clone()).await {
            tracing::error!(channel = %channel.id(), error = wire_message(&error), "following the orderer broke off");
            tokio::select! {
                () = token.cancelled() => {}
                () = tokio::time::sleep(AFTER_FATAL) => {}
            }
        }
    }
}

fn follow_settings(config: &CoreConfig) -> Result<FollowSettings> {
    let client = &config.peer.deliveryclient;
    let identity = match config.peer.tls.client_pair() {
        Some((certificate, key)) if config.peer.tls.enabled => Some(ClientIdentity {
            certificate_pem: crate::cli::context::read(certificate)?,
            key_pem: crate::cli::context::read(key)?,
        }),
        _ => None,
    };
    let mut address_overrides = Vec::new();
    for replaced in &client.address_overrides {
        let roots = replaced
            .ca_certs_file
            .as_deref()
            .map(crate::cli::context::read)
            .transpose()?;
        address_overrides.push(AddressOverride {
            from: replaced.from.clone(),
            to: replaced.to.clone(),
            tls_roots: roots.into_iter().collect(),
        });
    }
    let ping = config.peer.keepalive.delivery_client;
    Ok(FollowSettings {
        connect_timeout: client.conn_timeout,
        max_delay: client.reconnect_backoff_threshold,
        total_threshold: client.reconnect_total_time_threshold,
        keepalive: Some(Keepalive {
            interval: ping.interval,
            timeout: ping.timeout,
        }),
        tls: config.peer.tls.enabled,
        identity,
        address_overrides,
    })
}
