//! The channels a peer has joined: ledger, configuration, access control and the commit of blocks.
//!
//! [`Channels`] is the list, [`Channel`] one of them. Not here: where blocks come from (`deliver`), how a
//! transaction is judged (`committer`) and how it is stored (`ledger`).

#![forbid(unsafe_code)]

mod access;
#[allow(
    clippy::module_inception,
    reason = "Fabric's name: one channel among the channels"
)]
mod channel;
mod channels;
mod commit;
mod genesis;
mod metrics;
mod orderers;

#[cfg(test)]
mod tests;

pub use access::proposal_signature;
pub use channel::Channel;
pub use channelconfig::AclError;
pub use channels::{Channels, JoinError, JoinedChannels, OpenError};
pub use commit::CommitError;
pub use genesis::{Genesis, GenesisError};
pub use orderers::orderer_endpoints;
