//! Behaviours of a peer, seen over gRPC.

mod architecture;
mod endorse;
mod hostile_chaincode;
mod hostile_proposals;
mod limits;
mod mutual_tls;
mod operations;
