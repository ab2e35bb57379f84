//! One channel: its ledger and its configuration in force.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use channelconfig::{AclError, Bundle};
use committer::TxValidator;
use deliver::client::OrdererEndpoint;
use ledger::KvLedger;
use parking_lot::Mutex;
use protos::{ChannelId, SignedData};
use tokio::sync::watch;

use crate::metrics::CommitMetrics;
use crate::orderers::orderer_endpoints;

/// A channel that the peer has joined.
pub struct Channel {
    id: ChannelId,
    ledger: Arc<KvLedger>,
    bundle: ArcSwap<Bundle>,
    orderers: watch::Sender<Vec<OrdererEndpoint>>,
    pub(crate) validator: Arc<TxValidator>,
    metrics: CommitMetrics,
    this: Weak<Channel>,
    /// Held for the whole commit of a block, on a thread that may block: blocks follow one another.
    pub(crate) turn: Mutex<()>,
}

impl Channel {
    pub(crate) fn new(ledger: Arc<KvLedger>, bundle: Arc<Bundle>, validator: Arc<TxValidator>) -> Arc<Self> {
        let (orderers, _) = watch::channel(orderer_endpoints(&bundle));
        Arc::new_cyclic(|this| Self {
            id: bundle.channel().clone(),
            metrics: CommitMetrics::new(bundle.channel()),
            ledger,
            bundle: ArcSwap::new(bundle),
            orderers,
            validator,
            this: Weak::clone(this),
            turn: Mutex::new(()),
        })
    }

    /// The channel for work that outlives the borrow of it.
    pub(crate) fn shared(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }

    /// The channel's name.
    #[must_use]
    pub fn id(&self) -> &ChannelId {
        &self.id
    }

    /// The channel's ledger.
    #[must_use]
    pub fn ledger(&self) -> &Arc<KvLedger> {
        &self.ledger
    }

    /// What has been measured of its blocks.
    #[must_use]
    pub fn metrics(&self) -> &CommitMetrics {
        &self.metrics
    }

    /// The configuration in force.
    #[must_use]
    pub fn bundle(&self) -> Arc<Bundle> {
        self.bundle.load_full()
    }

    /// Follows the addresses of the channel's orderers.
    #[must_use]
    pub fn orderer_endpoints(&self) -> watch::Receiver<Vec<OrdererEndpoint>> {
        self.orderers.subscribe()
    }

    /// Checks that the signer may use a resource of this channel.
    ///
    /// # Errors
    /// When the resource is unknown or its policy is not satisfied.
    pub fn check_acl(&self, resource: &str, signed: &SignedData) -> Result<(), AclError> {
        self.bundle.load().check_acl(resource, signed)
    }

    /// Puts a configuration that was committed in force.
    pub(crate) fn apply(&self, bundle: Arc<Bundle>) {
        let endpoints = orderer_endpoints(&bundle);
        tracing::info!(channel = %self.id, sequence = bundle.sequence(), "channel configuration applied");
        self.bundle.store(bundle);
        self.orderers.send_if_modified(|current| {
            let changed = *current != endpoints;
            *current = endpoints;
            changed
        });
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
