//! Behaviours of a peer, seen over gRPC.

mod architecture;
mod chaincode_plugins;
mod claims;
mod endorse;
mod hostile_chaincode;
mod hostile_proposals;
mod limits;
mod mutual_tls;
mod operations;
mod plugin_admin;
mod shipped_filters;
mod validation;
