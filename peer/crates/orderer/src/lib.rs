//! A small ordering service for one machine: one node that orders as it receives, Fabric's `solo`.
//!
//! [`EmbeddedOrderer`] serves `orderer.AtomicBroadcast` with blocks, statuses and texts as a Fabric orderer's,
//! so that a real one can take its place. Configuration updates and channel creations are checked against the
//! policies; blocks are kept per channel and survive a kill at any moment, messages that are not yet in a block
//! do not.
//!
//! Not here: consensus among several nodes, listening sockets, TLS.

#![forbid(unsafe_code)]

mod block_cutter;
mod block_writer;
mod broadcast;
mod chain;
mod chain_task;
mod embedded;
mod filters;
mod maintenance;
mod processor;
mod registrar;
mod rejection;
mod resources;
mod service;

#[cfg(test)]
mod tests;

pub use embedded::{EmbeddedOrderer, JoinError, OpenError};
pub use registrar::{CreateError, OpenChainError, OrdererSettings};
pub use service::OrdererService;
