//! Questions about the read-write set of a transaction.

use std::collections::HashSet;
use std::fmt;

use bytes::Bytes;
use ledger::{CollHashedRwSet, NsRwSet, TxRwSet};
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

/// A key that a transaction writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WrittenKey {
    /// Of the public state.
    Public(String),
    /// Of a private collection, known by its hash.
    Hashed {
        /// The collection.
        collection: String,
        /// The hash.
        hash: Bytes,
    },
}

impl fmt::Display for WrittenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public(key) => f.write_str(key),
            Self::Hashed { collection, hash } => write!(f, "{collection}:{hash:x}"),
        }
    }
}

/// The keys with new metadata, public ones first.
pub(crate) fn written_metadata(namespace: &NsRwSet) -> impl Iterator<Item = WrittenKey> {
    let public = namespace.kv.metadata_writes.iter();
    let hashed = namespace.collections.iter().flat_map(|collection| {
        let writes = collection.hashed.metadata_writes.iter();
        writes.map(|write| hashed_key(collection, &write.key_hash))
    });
    public
        .map(|write| WrittenKey::Public(write.key.clone()))
        .chain(hashed)
}

fn hashed_key(collection: &CollHashedRwSet, hash: &Bytes) -> WrittenKey {
    WrittenKey::Hashed {
        collection: collection.name.clone(),
        hash: hash.clone(),
    }
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
