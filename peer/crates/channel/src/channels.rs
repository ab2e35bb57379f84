//! All channels of a peer.

use std::collections::BTreeMap;
use std::sync::Arc;

use channelconfig::{AclError, Bundle, BundleError, check_acl};
use committer::TxValidator;
use ledger::{CreateError, LedgerError, LedgerProvider, ProviderError};
use msp::LocalMsp;
use parking_lot::Mutex;
use protos::common::Block;
use protos::{ChannelId, SignedData, wire_message};
use tokio::sync::watch;

use crate::channel::Channel;
use crate::genesis::{Genesis, GenesisError};

/// The joined channels by name.
pub type JoinedChannels = Arc<BTreeMap<ChannelId, Arc<Channel>>>;

/// Why the channels on disk do not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The list of ledgers.
    #[error("could not open the ledgers")]
    Ledgers(#[source] ProviderError),
}

/// Why one channel on disk does not open.
#[derive(Debug, thiserror::Error)]
enum OpenChannelError {
    #[error("could not open the ledger")]
    Ledger(#[from] ProviderError),
    #[error("could not read the last configuration block")]
    Block(#[from] LedgerError),
    #[error("could not read the configuration")]
    Config(#[from] Box<BundleError>),
}

fn open_channel(
    provider: &LedgerProvider,
    id: &ChannelId,
    validator: &Arc<TxValidator>,
) -> Result<Arc<Channel>, OpenChannelError> {
    let ledger = provider.open_ledger(id)?;
    let block = ledger.block_by_number(ledger.last_config_block_number())?;
    let bundle = Bundle::from_config_block(&block).map_err(Box::new)?;
    Ok(Channel::new(ledger, Arc::new(bundle), Arc::clone(validator)))
}

/// Why a channel is not joined. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The block is not the genesis block of an application channel.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The ledger is not created, for example since it exists.
    #[error(transparent)]
    Create(#[from] CreateError),
}

/// The channels that the peer has joined.
pub struct Channels {
    provider: LedgerProvider,
    local_msp: Arc<LocalMsp>,
    validator: Arc<TxValidator>,
    joined: watch::Sender<JoinedChannels>,
    /// Held while a channel is joined.
    joining: Mutex<()>,
}

impl Channels {
    /// Opens every channel on disk, each under the last configuration it has committed. One that does not open is
    /// logged and left out. Reads ledgers: call it where blocking is allowed.
    ///
    /// # Errors
    /// When the list of the ledgers cannot be read.
    pub fn open(
        provider: LedgerProvider,
        local_msp: Arc<LocalMsp>,
        validator: Arc<TxValidator>,
    ) -> Result<Self, OpenError> {
        let mut channels = BTreeMap::new();
        for id in provider.list().map_err(OpenError::Ledgers)? {
            match open_channel(&provider, &id, &validator) {
                Ok(channel) => {
                    channels.insert(id, channel);
                }
                // the other channels can work, and an operator needs a running peer to look at this one
                Err(error) => {
                    let error = wire_message(&error);
                    tracing::error!(channel = %id, error, "channel cannot be opened, the peer goes on without it");
                }
            }
        }
        let (joined, _) = watch::channel(Arc::new(channels));
        Ok(Self {
            provider,
            local_msp,
            validator,
            joined,
            joining: Mutex::new(()),
        })
    }

    /// A channel by name.
    #[must_use]
    pub fn get(&self, channel: &ChannelId) -> Option<Arc<Channel>> {
        self.joined.borrow().get(channel).cloned()
    }

    /// The names of the joined channels, sorted.
    #[must_use]
    pub fn list(&self) -> Vec<ChannelId> {
        self.joined.borrow().keys().cloned().collect()
    }

    /// Follows the joined channels: each change shows all of them.
    #[must_use]
    pub fn subscribe_joined(&self) -> watch::Receiver<JoinedChannels> {
        self.joined.subscribe()
    }

    /// The peer's own MSP.
    #[must_use]
    pub fn local_msp(&self) -> &Arc<LocalMsp> {
        &self.local_msp
    }

    /// Joins the channel that a genesis block starts. Writes a ledger: call it where blocking is allowed.
    ///
    /// # Errors
    /// When the block is no genesis block of an application channel, or the ledger exists.
    pub fn join(&self, genesis: Block) -> Result<Arc<Channel>, JoinError> {
        self.join_genesis(Genesis::try_from(genesis)?)
    }

    /// The same with a block that was checked before.
    ///
    /// # Errors
    /// When the ledger exists or cannot be written.
    pub fn join_genesis(&self, genesis: Genesis) -> Result<Arc<Channel>, JoinError> {
        let _joining = self.joining.lock();
        let Genesis { block, bundle } = genesis;
        let id = bundle.channel().clone();
        let ledger = self.provider.create(&id, &block)?;
        let channel = Channel::new(ledger, bundle, Arc::clone(&self.validator));
        self.joined.send_modify(|joined| {
            Arc::make_mut(joined).insert(id, Arc::clone(&channel));
        });
        tracing::info!(channel = %channel.id(), "joined channel");
        Ok(channel)
    }

    /// Checks that the signer may use a resource, of a channel or of the peer itself.
    ///
    /// # Errors
    /// When resource or channel is unknown, or the policy is not satisfied.
    pub fn check_acl(
        &self,
        resource: &str,
        channel: Option<&ChannelId>,
        signed: &SignedData,
    ) -> Result<(), AclError> {
        let name = channel.map_or("", ChannelId::as_str);
        let bundle = channel
            .and_then(|channel| self.get(channel))
            .map(|channel| channel.bundle());
        check_acl(resource, (name, bundle.as_deref()), &self.local_msp, signed)
    }
}
