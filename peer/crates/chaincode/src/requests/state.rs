//! Requests on single keys: get, put, delete and metadata.

use bytes::Bytes;
use ledger::TxSimulator;
use prost::Message;
use protos::peer::chaincode_message::Type;
use protos::peer::{
    DelState, GetState, GetStateMetadata, GetStateMultiple, GetStateMultipleResult, PutState,
    PutStateMetadata, StateMetadata, StateMetadataResult, WriteBatchState, WriteRecord,
};

use super::{Request, RequestError};
use crate::config::MAX_BATCH_RECORDS;
use crate::ledger_access;

pub(super) fn get(request: &Request, simulator: &TxSimulator) -> Result<Bytes, RequestError> {
    let get: GetState = request.decode()?;
    request.no_collection(&get.collection)?;
    let value = ledger_access::get_state(simulator, request.namespace(), &get.key)?;
    Ok(value.unwrap_or_default())
}

pub(super) fn get_multiple(request: &Request, simulator: &TxSimulator) -> Result<Bytes, RequestError> {
    let get: GetStateMultiple = request.decode()?;
    request.no_collection(&get.collection)?;
    check_count(get.keys.len())?;
    let mut values = Vec::with_capacity(get.keys.len());
    for key in &get.keys {
        let value = ledger_access::get_state(simulator, request.namespace(), key)?;
        values.push(value.unwrap_or_default());
    }
    Ok(GetStateMultipleResult { values }.encode_to_vec().into())
}

pub(super) fn put(request: &Request, simulator: &TxSimulator) -> Result<Bytes, RequestError> {
    let put: PutState = request.decode()?;
    request.no_collection(&put.collection)?;
    ledger_access::set_state(simulator, request.namespace(), &put.key, put.value)?;
    Ok(Bytes::new())
}

pub(super) fn delete(request: &Request, simulator: &TxSimulator) -> Result<Bytes, RequestError> {
    let delete: DelState = request.decode()?;
    request.no_collection(&delete.collection)?;
    ledger_access::delete_state(simulator, request.namespace(), &delete.key)?;
    Ok(Bytes::new())
}

pub(super) fn get_metadata(request: &Request, simulator: &TxSimulator) -> Result<Bytes, RequestError> {
    check_metadata_capability(request)?;
    let get: GetStateMetadata = request.decode()?;
    request.no_collection(&get.collection)?;
    let metadata = ledger_access::get_state_metadata(simulator, request.namespace(), &get.key)?;
    let entries = metadata
        .into_iter()
        .map(|(metakey, value)| StateMetadata { metakey, value })
        .collect();
    Ok(StateMetadataResult { entries }.encode_to_vec().into())
}

pub(super) fn put_metadata(request: &Request, simulator: &TxSimulator) -> Result<Bytes, RequestError> {
    check_metadata_capability(request)?;
    let put: PutStateMetadata = request.decode()?;
    request.no_collection(&put.collection)?;
    set_metadata(request, simulator, &put.key, put.metadata)?;
    Ok(Bytes::new())
}

pub(super) fn get_private_data_hash(request: &Request) -> Result<Bytes, RequestError> {
    let get: GetState = request.decode()?;
    if get.collection.is_empty() {
        return Err(RequestError::refused("only applicable for private data"));
    }
    request.no_collection(&get.collection)?;
    Ok(Bytes::new())
}

pub(super) fn purge_private_data(request: &Request) -> Result<Bytes, RequestError> {
    if !request.capabilities()?.purge_private_data {
        return Err(RequestError::refused(
            "purge private data is not enabled, channel application capability of V2_5 or later is required",
        ));
    }
    // PurgePrivateState has the fields of DelState
    let purge: DelState = request.decode()?;
    if purge.collection.is_empty() {
        return Err(RequestError::refused("only applicable for private data"));
    }
    request.no_collection(&purge.collection)?;
    Ok(Bytes::new())
}

/// Applies the records in order. Effects before a failing record stay, as with single requests.
pub(super) fn write_batch(request: &Request, simulator: &TxSimulator) -> Result<Bytes, RequestError> {
    let batch: WriteBatchState = request.decode()?;
    check_count(batch.rec.len())?;
    for record in batch.rec {
        write(request, simulator, record)?;
    }
    Ok(Bytes::new())
}

fn write(request: &Request, simulator: &TxSimulator, record: WriteRecord) -> Result<(), RequestError> {
    let namespace = request.namespace();
    match Type::try_from(record.r#type) {
        Ok(Type::PutState) => {
            request.no_collection(&record.collection)?;
            ledger_access::set_state(simulator, namespace, &record.key, record.value)?;
        }
        Ok(Type::DelState) => {
            request.no_collection(&record.collection)?;
            ledger_access::delete_state(simulator, namespace, &record.key)?;
        }
        Ok(Type::PutStateMetadata) => {
            check_metadata_capability(request)?;
            request.no_collection(&record.collection)?;
            set_metadata(request, simulator, &record.key, record.metadata)?;
        }
        Ok(Type::PurgePrivateData) if record.collection.is_empty() => {
            return Err(RequestError::refused("only applicable for private data"));
        }
        Ok(Type::PurgePrivateData) => request.no_collection(&record.collection)?,
        _ => return Err(RequestError::refused("unknown operation type")),
    }
    Ok(())
}

fn set_metadata(
    request: &Request,
    simulator: &TxSimulator,
    key: &str,
    metadata: Option<StateMetadata>,
) -> Result<(), RequestError> {
    let metadata = metadata.ok_or_else(|| RequestError::refused("unmarshal failed: metadata is missing"))?;
    ledger_access::set_state_metadata(simulator, request.namespace(), key, metadata)?;
    Ok(())
}

fn check_metadata_capability(request: &Request) -> Result<(), RequestError> {
    if request.capabilities()?.key_level_endorsement {
        return Ok(());
    }
    Err(RequestError::refused(
        "key level endorsement is not enabled, channel application capability of V1_3 or later is required",
    ))
}

fn check_count(count: usize) -> Result<(), RequestError> {
    if count > MAX_BATCH_RECORDS {
        return Err(RequestError::Refused(format!(
            "{count} records in one request, the limit is {MAX_BATCH_RECORDS}"
        )));
    }
    Ok(())
}
