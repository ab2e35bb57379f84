//! Clients of the ordering service and of the peer's event service.
//!
//! - [`BlocksProvider`]: follows an orderer for one channel, for as long as the peer lives;
//! - [`OrdererClient`]: broadcasts envelopes and fetches blocks, for the command line;
//! - [`PeerDeliverClient`], [`CommitListener`]: fetches blocks from a peer and waits for a commit there.

mod blocks_provider;
mod commit_listener;
mod connection;
mod fetch;
mod orderer_client;
mod peer_client;
mod seek;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use seek::test_positions;

pub use blocks_provider::{
    AddressOverride, BlockSink, BlocksProvider, FollowSettings, OrdererEndpoint, SinkError,
};
pub use commit_listener::{CommitListener, Committed, WaitError};
pub use connection::{ClientIdentity, ClientTls, ConnectError, GrpcTarget, Keepalive};
pub use fetch::{FetchError, Position};
pub use orderer_client::{BroadcastError, OrdererClient};
pub use peer_client::PeerDeliverClient;
