//! The endorser: checks a proposal, simulates it, endorses the result and answers the client.
//!
//! Not here: gRPC and the auth filters before it (the peer), running chaincode (`chaincode`), signing (endorsement
//! plugins).

#![forbid(unsafe_code)]

mod endorse;
mod endorser;
mod executor;
mod interest;
mod legacy_init;
mod metrics;
mod pre_process;
mod reply;
mod simulate;
mod validate;

#[cfg(test)]
mod tests;

pub use endorse::EndorsingPeer;
pub use endorser::{Endorser, Parts};
pub use executor::{Decorators, EndorseFailure, Endorsed, Endorsers, Executor};
pub use interest::InterestError;
pub use pre_process::PreProcessError;
pub use reply::RejectedProposal;
pub use simulate::SimulateError;
pub use validate::ValidateError;
