//! Chaincode support: packages, launch, registration and the chaincode stream.
//!
//! The entry point is [`ChaincodeSupport`]. Not here: how chaincode is built and run (`container`), what a
//! channel is (`channel`), and who may propose what (`endorser`).

#![forbid(unsafe_code)]

#[cfg(test)]
mod bench;
mod channel_access;
mod config;
mod definition;
mod handler;
mod launch_state;
mod launcher;
mod ledger_access;
mod metrics;
mod packages;
mod query_response;
mod registry;
mod requests;
mod service;
mod stream;
mod stream_state;
mod support;
mod system;
mod target;
#[cfg(any(test, feature = "test-support"))]
pub mod test_support;
mod tls;
mod transaction;
mod transaction_context;

pub use channel_access::{CHAINCODE_TO_CHAINCODE, ChannelAccess, ChannelCapabilities};
pub use config::{
    Config, MAX_BATCH_RECORDS, MAX_OPEN_QUERIES, MAX_REGISTERED_NAME, OUTBOUND_QUEUE, REGISTER_TIMEOUT,
    SEND_TIMEOUT,
};
pub use definition::{DefinitionError, LIFECYCLE, LSCC, SequenceError};
pub use handler::{ChaincodeHandler, Outbound, SendError, SendingError};
pub use launch_state::{LaunchFailure, LaunchState};
pub use launcher::RuntimeLauncher;
pub use ledger_access::LedgerAccessError;
pub use metrics::Metrics;
pub use packages::{
    InstalledPackage, Package, PackageError, PackageInfo, PackageStore, SecurityError, check_name,
    check_version,
};
pub use query_response::BATCH_SIZE;
pub use registry::{HandlerNotFound, HandlerRegistry, RegisterError};
pub use service::ChaincodeStreamService;
pub use stream::{CertificateHash, StreamError};
pub use stream_state::{OutOfTurn, StreamState};
pub use support::{ChaincodeSupport, ExecuteError, InvalidInvocation, InvokeError, Parts};
pub use system::{SccOutcome, SystemChaincode};
pub use tls::{AccessError, TlsAuthority, TlsError};
pub use transaction::{ExecuteOutcome, Invocation, InvocationKind, TransactionParams};
pub use transaction_context::{ContextExists, TooManyQueries};

/// The gRPC service, ready to be added to a server.
pub type ChaincodeStreamServer =
    protos::peer::chaincode_support_server::ChaincodeSupportServer<ChaincodeStreamService>;

impl ChaincodeSupport {
    /// The gRPC service that chaincode connects to, with Fabric's message limits.
    #[must_use]
    pub fn service(self: &std::sync::Arc<Self>) -> ChaincodeStreamServer {
        ChaincodeStreamService::server(self.clone())
    }
}
