//! Channels without configuration: ledgers, a list of channels that may not be written to, capabilities.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::Arc;

use ledger::KvLedger;
use parking_lot::Mutex;
use protos::{ChannelId, UnpackedProposal};

use crate::channel_access::{ChannelAccess, ChannelCapabilities};

/// Channels for tests.
#[derive(Default)]
pub struct FakeChannels {
    ledgers: Mutex<HashMap<ChannelId, Arc<KvLedger>>>,
    denied: Mutex<HashSet<ChannelId>>,
    capabilities: Mutex<Option<ChannelCapabilities>>,
    special: Mutex<HashMap<ChannelId, ChannelCapabilities>>,
    checks: Mutex<Vec<(String, ChannelId)>>,
}

impl FakeChannels {
    /// No channels.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds a channel.
    pub fn join(&self, channel: &str, ledger: Arc<KvLedger>) {
        self.ledgers.lock().insert(channel.into(), ledger);
    }

    /// Lets nobody in on a channel.
    pub fn deny(&self, channel: &str) {
        self.denied.lock().insert(channel.into());
    }

    /// What all channels are capable of.
    pub fn set_capabilities(&self, capabilities: ChannelCapabilities) {
        *self.capabilities.lock() = Some(capabilities);
    }

    /// What one channel is capable of, the others notwithstanding.
    pub fn set_capabilities_of(&self, channel: &str, capabilities: ChannelCapabilities) {
        self.special.lock().insert(channel.into(), capabilities);
    }

    /// The checks so far: resource and channel.
    #[must_use]
    pub fn checks(&self) -> Vec<(String, ChannelId)> {
        self.checks.lock().clone()
    }
}

impl ChannelAccess for FakeChannels {
    fn ledger(&self, channel: &ChannelId) -> Option<Arc<KvLedger>> {
        self.ledgers.lock().get(channel).cloned()
    }

    fn check_acl(
        &self,
        resource: &str,
        channel: &ChannelId,
        _proposal: &UnpackedProposal,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.checks.lock().push((resource.into(), channel.clone()));
        if self.denied.lock().contains(channel) {
            return Err(format!("access denied for [{resource}][{channel}]").into());
        }
        Ok(())
    }

    fn capabilities(&self, channel: &ChannelId) -> Option<ChannelCapabilities> {
        if let Some(special) = self.special.lock().get(channel) {
            return Some(*special);
        }
        *self.capabilities.lock()
    }
}
