//! What the valid transactions of a block change, before it is written.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use redb::WriteTransaction;

use crate::error::StoreError;
use crate::state::VersionedValue;
use crate::tables::STATE;
use crate::version::Version;

/// The last change of a key; no value means that it is deleted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Update {
    pub version: Version,
    /// Value and serialized metadata.
    pub value: Option<(Bytes, Bytes)>,
}

/// Changes by key.
pub(crate) type KeyUpdates = BTreeMap<Bytes, Update>;

/// Changes by namespace, then by collection (`""`: the public keys; others hold key hashes), then by key.
#[derive(Debug, Default)]
pub(crate) struct UpdateBatch {
    namespaces: BTreeMap<String, BTreeMap<String, KeyUpdates>>,
}

impl UpdateBatch {
    pub fn get(&self, namespace: &str, collection: &str, key: &[u8]) -> Option<&Update> {
        self.keys(namespace, collection)?.get(key)
    }

    pub fn put(&mut self, namespace: &str, collection: &str, key: Bytes, update: Update) {
        let collections = self.namespaces.entry(namespace.to_owned()).or_default();
        let keys = collections.entry(collection.to_owned()).or_default();
        keys.insert(key, update);
    }

    /// Changes of public keys from `start` up to and without `end`; an empty end is the end of the
    /// namespace.
    pub fn range<'a>(
        &'a self,
        namespace: &str,
        start: &[u8],
        end: &[u8],
    ) -> impl Iterator<Item = (&'a Bytes, &'a Update)> + use<'a> {
        let upper = match end.is_empty() {
            true => Bound::Unbounded,
            false => Bound::Excluded(end.max(start)),
        };
        let keys = self.keys(namespace, "");
        let range = keys.map(|keys| keys.range::<[u8], _>((Bound::Included(start), upper)));
        range.into_iter().flatten()
    }

    /// All changes: namespaces, then collections, then keys in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &KeyUpdates)> {
        self.namespaces.iter().flat_map(|(namespace, collections)| {
            let collections = collections.iter();
            collections.map(move |(collection, keys)| (namespace.as_str(), collection.as_str(), keys))
        })
    }

    /// Writes the changes to the state.
    pub fn write(&self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        let mut state = transaction.open_table(STATE)?;
        for (namespace, collection, keys) in self.iter() {
            let namespace = state_namespace(namespace, collection);
            for (key, update) in keys {
                let place = (namespace.as_str(), key.as_ref());
                let Some((value, metadata)) = update.value.clone() else {
                    state.remove(place)?;
                    continue;
                };
                let stored = VersionedValue {
                    version: update.version,
                    metadata,
                    value,
                };
                state.insert(place, stored.encode().as_slice())?;
            }
        }
        Ok(())
    }

    fn keys(&self, namespace: &str, collection: &str) -> Option<&KeyUpdates> {
        self.namespaces.get(namespace)?.get(collection)
    }
}

/// The name that the hashes of a collection are kept under. Anyone may leave the name away; without one the hashes
/// would become public keys.
pub(crate) fn hashes_of(collection: &str) -> &str {
    match collection {
        "" => "\0",
        named => named,
    }
}

/// Where the state keeps the keys of a namespace, or the key hashes of a collection.
pub(crate) fn state_namespace(namespace: &str, collection: &str) -> String {
    match collection {
        "" => namespace.to_owned(),
        collection => format!("{namespace}$$h{collection}"),
    }
}
