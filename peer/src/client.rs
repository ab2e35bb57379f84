//! The client's half of the protocol: proposals, transactions, connections. The command line, the
//! development network, the load generator and the tests use it.

pub mod collections;
pub mod connection;
pub mod ctor;
pub mod package;
pub mod plugin_admin;
pub mod proposal;

use std::error::Error;

/// Why a client's call failed before, or instead of, an answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The signing key refused.
    #[error("could not sign")]
    Sign(#[source] Box<dyn Error + Send + Sync>),
    /// No endorsement to make a transaction of.
    #[error("at least one proposal response is required, each with an endorsement")]
    NoEndorsement,
    /// Endorsers disagree.
    #[error("ProposalResponsePayloads do not match")]
    PayloadsDiffer,
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] deliver::client::ConnectError),
    /// The peer answered with a gRPC status.
    #[error("{} answered {:?}: {}", address, status.code(), status.message())]
    Status {
        /// Who answered.
        address: String,
        /// What it said.
        status: Box<tonic::Status>,
    },
    /// The peer answered, and refused.
    #[error("{address} answered status {status}: {message}")]
    Refused {
        /// Who answered.
        address: String,
        /// The response's status.
        status: i32,
        /// The response's message.
        message: String,
    },
    /// The answer is not the message it should be.
    #[error("{address} sent a malformed answer")]
    Malformed {
        /// Who answered.
        address: String,
        /// What the decoder said.
        #[source]
        source: prost::DecodeError,
    },
}
