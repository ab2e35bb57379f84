//! What a channel says about a chaincode (1.x lifecycle: namespace `lscc`, key = the chaincode's name). On channels
//! that may have definitions of the 2.x lifecycle, Fabric looks for one of those first, and so is done here: both
//! reads are part of the transaction.

use prost::Message;
use protos::clamped;
use protos::lifecycle::{StateData, state_data};
use protos::peer::ChaincodeData;

use crate::channel_access::ChannelAccess;
use crate::ledger_access::{self, LedgerAccessError};
use crate::packages::SecurityError;
use crate::transaction::TransactionParams;

/// The namespace that holds the definitions.
pub const LSCC: &str = "lscc";

/// The namespace that holds the definitions of the 2.x lifecycle.
pub const LIFECYCLE: &str = "_lifecycle";

/// Why there is no usable definition.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// The transaction has no simulator to read with.
    #[error("no ledger context")]
    NoLedger,
    /// The peer knows no application configuration of the channel.
    #[error("could not get channel config for channel '{}'", clamped(.0))]
    NoChannelConfig(String),
    /// Whether the 2.x lifecycle defines the chaincode cannot be told.
    #[error("could not get current sequence for chaincode '{}' on channel '{channel}'", clamped(.name))]
    Sequence {
        /// The chaincode.
        name: String,
        /// The channel.
        channel: String,
        /// Why.
        #[source]
        source: SequenceError,
    },
    /// The 2.x lifecycle defines the chaincode. Falling back to an older definition would run other code than
    /// the channel agreed on.
    #[error(
        "chaincode definition for '{name}' at sequence {sequence} is one of the 2.x lifecycle, which this peer does not support"
    )]
    NewLifecycle {
        /// The chaincode.
        name: String,
        /// The sequence of its definition.
        sequence: i64,
    },
    /// The ledger fails.
    #[error("could not retrieve state for chaincode {}", clamped(.name))]
    Ledger {
        /// The chaincode.
        name: String,
        /// Why.
        #[source]
        source: LedgerAccessError,
    },
    /// The channel does not know the chaincode.
    #[error("chaincode {} not found", clamped(.0))]
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

/// Why the sequence of a definition cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SequenceError {
    /// The ledger fails.
    #[error("could not get state for key {}", clamped(.key))]
    Ledger {
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: LedgerAccessError,
    },
    /// What is stored is not a field.
    #[error("could not unmarshal state for key {key}")]
    Undecodable {
        /// The key.
        key: String,
        /// What the decoder said.
        #[source]
        source: prost::DecodeError,
    },
    /// The field is not a number.
    #[error("expected key {0} to encode a value of type Int64")]
    OtherType(String),
}

/// Reads a definition.
pub(crate) fn read(
    channels: &dyn ChannelAccess,
    params: &TransactionParams,
    name: &str,
) -> Result<ChaincodeData, DefinitionError> {
    let capabilities = channels
        .capabilities(&params.channel)
        .ok_or_else(|| DefinitionError::NoChannelConfig(params.channel.to_string()))?;
    if capabilities.new_lifecycle {
        refuse_new_lifecycle(params, name)?;
    }
    legacy(params, name)
}

fn refuse_new_lifecycle(params: &TransactionParams, name: &str) -> Result<(), DefinitionError> {
    match sequence(params, name)? {
        0 => Ok(()),
        sequence => Err(DefinitionError::NewLifecycle {
            name: name.into(),
            sequence,
        }),
    }
}

/// The sequence of the chaincode's definition in the 2.x lifecycle; 0 is none.
fn sequence(params: &TransactionParams, name: &str) -> Result<i64, DefinitionError> {
    let simulator = params.simulator.as_deref().ok_or(DefinitionError::NoLedger)?;
    let key = format!("namespaces/fields/{name}/Sequence");
    let failed = |source| DefinitionError::Sequence {
        name: name.into(),
        channel: params.channel.to_string(),
        source,
    };
    let stored = match ledger_access::get_state(simulator, LIFECYCLE, &key) {
        Ok(stored) => stored.unwrap_or_default(),
        Err(source) => return Err(failed(SequenceError::Ledger { key, source })),
    };
    match StateData::decode(stored) {
        Err(source) => Err(failed(SequenceError::Undecodable { key, source })),
        Ok(StateData { r#type: None }) => Ok(0),
        Ok(StateData {
            r#type: Some(state_data::Type::Int64(sequence)),
        }) => Ok(sequence),
        Ok(_other) => Err(failed(SequenceError::OtherType(key))),
    }
}

fn legacy(params: &TransactionParams, name: &str) -> Result<ChaincodeData, DefinitionError> {
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

#[cfg(test)]
mod tests;
