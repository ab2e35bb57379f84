//! What the service needs to know about a channel: the seam that ledger owners implement.

use std::error::Error;
use std::sync::Arc;

use protos::SignedData;
use protos::common::Block;
use tokio::sync::watch;

/// What a stream shows of each block; the peer has an ACL resource for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockForm {
    /// Whole blocks (`event/Block`).
    Full,
    /// Transaction ids, codes and events without payload (`event/FilteredBlock`).
    Filtered,
}

impl BlockForm {
    /// The ACL resource that guards this form on a peer.
    #[must_use]
    pub fn resource(self) -> &'static str {
        match self {
            Self::Full => "event/Block",
            Self::Filtered => "event/FilteredBlock",
        }
    }
}

/// The blocks of one channel and the right to read them.
pub trait BlockSource: Send + Sync {
    /// The number of blocks; changes when one is added. A closed watch ends streams with 503.
    fn height_watch(&self) -> watch::Receiver<u64>;

    /// The block with that number, or `None` beyond the height. Called where blocking is allowed.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn block(&self, number: u64) -> Result<Option<Block>, Box<dyn Error + Send + Sync>>;

    /// Whether the signer may read this channel. Asked once per request and again whenever
    /// [`config_sequence`](Self::config_sequence) has changed before a block.
    ///
    /// # Errors
    /// Why not; the text is logged, the client sees a status only.
    fn check_access(&self, form: BlockForm, signed: &SignedData) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// The sequence number of the channel's configuration.
    fn config_sequence(&self) -> u64;

    /// Turns false when no further blocks can be made; an orderer's streams then end with 503.
    fn serviceable(&self) -> Option<watch::Receiver<bool>> {
        None
    }
}

/// The channels of a node.
pub trait Sources: Send + Sync {
    /// The channel of that name.
    fn source(&self, channel: &str) -> Option<Arc<dyn BlockSource>>;
}
