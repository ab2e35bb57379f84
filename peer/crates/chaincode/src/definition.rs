//! What a channel says about a chaincode (1.x lifecycle: namespace `lscc`, key = the chaincode's name).

use prost::Message;
use protos::peer::ChaincodeData;

use crate::ledger_access::{self, LedgerAccessError};
use crate::packages::SecurityError;
use crate::transaction::TransactionParams;

/// The namespace that holds the definitions.
pub const LSCC: &str = "lscc";

/// Why there is no usable definition.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// The transaction has no simulator to read with.
    #[error("no ledger context")]
    NoLedger,
    /// The ledger fails.
    #[error("could not retrieve state for chaincode {name}")]
    Ledger {
        /// The chaincode.
        name: String,
        /// Why.
        #[source]
        source: LedgerAccessError,
    },
    /// The channel does not know the chaincode.
    #[error("chaincode {0} not found")]
    NotFound(String),
    /// What is stored is not a definition.
    #[error("chaincode {name} has bad definition")]
    Undecodable {
        /// The chaincode.
        name: String,
        /// What the decoder said.
        #[source]
        source: prost::DecodeError,
    },
    /// The definition is that of another chaincode.
    #[error("chaincode name mismatch: {asked}!={found}")]
    OtherName {
        /// The chaincode asked for.
        asked: String,
        /// The name in the definition.
        found: String,
    },
    /// The installed package does not fit the definition.
    #[error("failed security checks")]
    Security(#[source] SecurityError),
    /// The read ended without an answer; a bug.
    #[error("the read ended without an answer")]
    Lost(#[source] tokio::task::JoinError),
}

/// Reads a definition.
pub(crate) fn read(params: &TransactionParams, name: &str) -> Result<ChaincodeData, DefinitionError> {
    let simulator = params.simulator.as_deref().ok_or(DefinitionError::NoLedger)?;
    let stored =
        ledger_access::get_state(simulator, LSCC, name).map_err(|source| DefinitionError::Ledger {
            name: name.into(),
            source,
        })?;
    let stored = stored
        .filter(|stored| !stored.is_empty())
        .ok_or_else(|| DefinitionError::NotFound(name.into()))?;
    let data = ChaincodeData::decode(stored).map_err(|source| DefinitionError::Undecodable {
        name: name.into(),
        source,
    })?;
    if data.name != name {
        return Err(DefinitionError::OtherName {
            asked: name.into(),
            found: data.name,
        });
    }
    Ok(data)
}
