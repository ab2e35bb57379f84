//! Questions about the read-write set of a transaction.

use std::collections::HashSet;

use bytes::Bytes;
use ledger::{NsRwSet, TxRwSet};
use protos::kvrwset::HashedRwSet;
use protos::peer::TxValidationCode as Code;

use crate::failure::Invalid;
use crate::rules::ValidationCapabilities;

/// Reads the results of a transaction.
pub(crate) fn parse(results: Bytes) -> Result<TxRwSet, Invalid> {
    TxRwSet::decode(results).map_err(|error| Invalid::new(Code::BadRwset, error.to_string()))
}

/// The namespace of that name, if the transaction touches it.
pub(crate) fn namespace<'a>(set: &'a TxRwSet, name: &str) -> Option<&'a NsRwSet> {
    set.namespaces
        .iter()
        .find(|namespace| namespace.namespace == name)
}

/// Refuses a set that has a namespace twice.
pub(crate) fn check_distinct(set: &TxRwSet) -> Result<(), Invalid> {
    let mut seen = HashSet::new();
    for namespace in &set.namespaces {
        if !seen.insert(namespace.namespace.as_str()) {
            let reason = format!("duplicate namespace '{}' in txRWSet", namespace.namespace);
            return Err(Invalid::new(Code::IllegalWriteset, reason));
        }
    }
    Ok(())
}

/// Whether a value of a private collection is written.
pub(crate) fn writes_private_data(namespace: &NsRwSet) -> bool {
    let writes = |set: &HashedRwSet| !set.hashed_writes.is_empty() || !set.metadata_writes.is_empty();
    namespace
        .collections
        .iter()
        .any(|collection| writes(&collection.hashed))
}

/// Whether policies of keys of a private collection are set.
pub(crate) fn sets_private_policies(namespace: &NsRwSet) -> bool {
    namespace
        .collections
        .iter()
        .any(|collection| !collection.hashed.metadata_writes.is_empty())
}

/// Whether the transaction writes in a namespace, as the channel's capabilities count writes.
pub(crate) fn is_written(namespace: &NsRwSet, capabilities: ValidationCapabilities) -> bool {
    let metadata = capabilities.key_level_endorsement;
    let hashed =
        |set: &HashedRwSet| !set.hashed_writes.is_empty() || (metadata && !set.metadata_writes.is_empty());
    let private = capabilities.private_channel_data
        && namespace
            .collections
            .iter()
            .any(|collection| hashed(&collection.hashed));
    !namespace.kv.writes.is_empty() || private || (metadata && !namespace.kv.metadata_writes.is_empty())
}
