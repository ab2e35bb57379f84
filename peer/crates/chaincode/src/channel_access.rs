//! The seam to the peer's channels: what a chaincode that calls another channel needs of them.

use std::error::Error;
use std::sync::Arc;

use ledger::KvLedger;
use protos::{ChannelId, UnpackedProposal};

/// Resource that guards calls from one chaincode to another.
pub const CHAINCODE_TO_CHAINCODE: &str = "peer/ChaincodeToChaincode";

/// Application capabilities of a channel that decide which requests chaincode may make,
/// and where its definition is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelCapabilities {
    /// V1_3 and later: metadata of keys.
    pub key_level_endorsement: bool,
    /// V2_5 and later: purging of private data.
    pub purge_private_data: bool,
    /// V2_0 and later: definitions of chaincode in `_lifecycle`.
    pub new_lifecycle: bool,
}

/// The peer's channels.
pub trait ChannelAccess: Send + Sync {
    /// The ledger of a channel that the peer has joined.
    fn ledger(&self, channel: &ChannelId) -> Option<Arc<KvLedger>>;

    /// Whether the proposal's creator may use a resource on a channel.
    ///
    /// # Errors
    /// When it may not.
    fn check_acl(
        &self,
        resource: &str,
        channel: &ChannelId,
        proposal: &UnpackedProposal,
    ) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// The application capabilities of a channel; none where it has no application configuration.
    fn capabilities(&self, channel: &ChannelId) -> Option<ChannelCapabilities>;
}
