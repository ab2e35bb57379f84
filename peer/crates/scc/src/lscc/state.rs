//! LSCC's namespace, read and written through the transaction's simulator.

use bytes::Bytes;
use chaincode::TransactionParams;
use ledger::{SimulationError, TxSimulator};
use prost::Message;
use protos::peer::ChaincodeData;

use super::LSCC;
use super::error::LsccError;

/// Why the state is not to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("no ledger context")]
    NoLedger,
    #[error("transaction not found")]
    Read(#[source] SimulationError),
    #[error("could not write state")]
    Write(#[source] SimulationError),
}

fn simulator(params: &TransactionParams) -> Result<&TxSimulator, StateError> {
    params.simulator.as_deref().ok_or(StateError::NoLedger)
}

pub(super) fn get(params: &TransactionParams, key: &str) -> Result<Option<Bytes>, StateError> {
    simulator(params)?.get_state(LSCC, key).map_err(StateError::Read)
}

pub(super) fn put(params: &TransactionParams, key: &str, value: Bytes) -> Result<(), StateError> {
    simulator(params)?
        .set_state(LSCC, key, value)
        .map_err(StateError::Write)
}

/// The bytes of a definition.
pub(super) fn definition_bytes(params: &TransactionParams, name: &str) -> Result<Bytes, LsccError> {
    get(params, name)?.ok_or_else(|| LsccError::not_found(name))
}

/// A definition, which must be that of the chaincode asked for.
pub(super) fn definition(params: &TransactionParams, name: &str) -> Result<ChaincodeData, LsccError> {
    let data =
        ChaincodeData::decode(definition_bytes(params, name)?).or(Err(LsccError::Stored(name.to_owned())))?;
    if data.name != name {
        return Err(LsccError::Refused(format!(
            "chaincode name mismatch: {name}!={}",
            data.name
        )));
    }
    Ok(data)
}

/// What Go's shim asks for in place of an empty start; the start is part of the transaction's results.
const FIRST_KEY: &str = "\u{1}";

/// All keys of the namespace.
pub(super) fn scan(params: &TransactionParams) -> Result<Vec<(String, Bytes)>, StateError> {
    let mut found = simulator(params)?
        .get_state_range_scan(LSCC, FIRST_KEY, "")
        .map_err(StateError::Read)?;
    let mut pairs = Vec::new();
    while let Some(kv) = found.next().map_err(StateError::Read)? {
        pairs.push((kv.key, kv.value));
    }
    Ok(pairs)
}
