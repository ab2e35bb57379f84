//! Collects what a transaction reads and writes, in the order that makes the bytes deterministic.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use protos::kvrwset::{
    HashedRwSet, KvMetadataEntry, KvMetadataWrite, KvMetadataWriteHash, KvRead, KvReadHash, KvWrite,
    KvWriteHash, KvrwSet, RangeQueryInfo,
};
use protos::rwset::{CollectionPvtReadWriteSet, NsPvtReadWriteSet, TxPvtReadWriteSet};
use protos::sha256;

use super::{CollHashedRwSet, NsRwSet, TxRwSet};
use crate::version::Version;

/// The read-write set of a transaction in the making.
#[derive(Debug, Default)]
pub struct RwSetBuilder {
    namespaces: BTreeMap<String, Namespace>,
}

#[derive(Debug, Default)]
struct Namespace {
    reads: BTreeMap<String, Option<Version>>,
    writes: BTreeMap<String, Bytes>,
    metadata_writes: BTreeMap<String, BTreeMap<String, Bytes>>,
    range_queries: Vec<RangeQueryInfo>,
    collections: BTreeMap<String, Collection>,
}

/// Keys are plain here: hashed entries are sorted by them.
#[derive(Debug, Default)]
struct Collection {
    reads: BTreeMap<String, Option<Version>>,
    writes: BTreeMap<String, Bytes>,
    metadata_writes: BTreeMap<String, BTreeMap<String, Bytes>>,
}

impl RwSetBuilder {
    /// Nothing read, nothing written.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A key was read; no version means that it did not exist.
    pub fn add_read(&mut self, namespace: &str, key: &str, version: Option<Version>) {
        self.namespace(namespace).reads.insert(key.to_owned(), version);
    }

    /// A key was written; an empty value deletes it.
    pub fn add_write(&mut self, namespace: &str, key: &str, value: Bytes) {
        self.namespace(namespace).writes.insert(key.to_owned(), value);
    }

    /// The metadata of a key was replaced; no entries remove it.
    pub fn add_metadata_write(&mut self, namespace: &str, key: &str, entries: BTreeMap<String, Bytes>) {
        let namespace = self.namespace(namespace);
        namespace.metadata_writes.insert(key.to_owned(), entries);
    }

    /// A range was queried. Of identical ranges the first one is kept.
    pub fn add_range_query(&mut self, namespace: &str, query: RangeQueryInfo) {
        let known = &mut self.namespace(namespace).range_queries;
        let same = |other: &RangeQueryInfo| {
            other.start_key == query.start_key
                && other.end_key == query.end_key
                && other.itr_exhausted == query.itr_exhausted
        };
        if !known.iter().any(same) {
            known.push(query);
        }
    }

    /// A private key, or its hash, was read.
    pub fn add_hashed_read(
        &mut self,
        namespace: &str,
        collection: &str,
        key: &str,
        version: Option<Version>,
    ) {
        let collection = self.collection(namespace, collection);
        collection.reads.insert(key.to_owned(), version);
    }

    /// A private key was written; an empty value deletes it.
    pub fn add_private_write(&mut self, namespace: &str, collection: &str, key: &str, value: Bytes) {
        let collection = self.collection(namespace, collection);
        collection.writes.insert(key.to_owned(), value);
    }

    /// The metadata of a private key was replaced.
    pub fn add_private_metadata_write(
        &mut self,
        namespace: &str,
        collection: &str,
        key: &str,
        entries: BTreeMap<String, Bytes>,
    ) {
        let collection = self.collection(namespace, collection);
        collection.metadata_writes.insert(key.to_owned(), entries);
    }

    /// Namespaces and keys of the public writes, metadata writes included.
    pub fn written_keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.namespaces.iter().flat_map(|(name, namespace)| {
            let writes = namespace.writes.keys();
            let metadata = namespace.metadata_writes.keys();
            let metadata = metadata.filter(|key| !namespace.writes.contains_key(*key));
            writes
                .chain(metadata)
                .map(move |key| (name.as_str(), key.as_str()))
        })
    }

    /// The public read-write set and, where private keys were written, the private one.
    #[must_use]
    pub fn build(self) -> (TxRwSet, Option<TxPvtReadWriteSet>) {
        let mut public = TxRwSet::default();
        let mut private = TxPvtReadWriteSet::default();
        for (name, namespace) in self.namespaces {
            let mut collections = Vec::new();
            let mut private_sets = Vec::new();
            for (name, collection) in namespace.collections {
                let (hashed, private_set) = collection.build(name);
                collections.push(hashed);
                private_sets.extend(private_set);
            }
            if !private_sets.is_empty() {
                private.ns_pvt_rwset.push(NsPvtReadWriteSet {
                    namespace: name.clone(),
                    collection_pvt_rwset: private_sets,
                });
            }
            public.namespaces.push(NsRwSet {
                namespace: name,
                kv: KvrwSet {
                    reads: namespace.reads.into_iter().map(read).collect(),
                    range_queries_info: namespace.range_queries,
                    writes: namespace.writes.into_iter().map(write).collect(),
                    metadata_writes: namespace.metadata_writes.into_iter().map(metadata).collect(),
                },
                collections,
            });
        }
        let private = (!private.ns_pvt_rwset.is_empty()).then_some(private);
        (public, private)
    }

    fn namespace(&mut self, name: &str) -> &mut Namespace {
        self.namespaces.entry(name.to_owned()).or_default()
    }

    fn collection(&mut self, namespace: &str, name: &str) -> &mut Collection {
        let collections = &mut self.namespace(namespace).collections;
        collections.entry(name.to_owned()).or_default()
    }
}

impl Collection {
    fn build(self, name: String) -> (CollHashedRwSet, Option<CollectionPvtReadWriteSet>) {
        let key_hash = |key: &str| Bytes::copy_from_slice(&sha256(&[key.as_bytes()]));
        let hashed_reads = self.reads.iter().map(|(key, version)| KvReadHash {
            key_hash: key_hash(key),
            version: version.map(Into::into),
        });
        let hashed_writes = self.writes.iter().map(|(key, value)| KvWriteHash {
            key_hash: key_hash(key),
            is_delete: value.is_empty(),
            value_hash: match value.is_empty() {
                true => Bytes::new(),
                false => Bytes::copy_from_slice(&sha256(&[value])),
            },
            is_purge: false,
        });
        let metadata_hashes = self
            .metadata_writes
            .iter()
            .map(|(key, entries)| KvMetadataWriteHash {
                key_hash: key_hash(key),
                entries: metadata_entries(entries.clone()),
            });
        let hashed = HashedRwSet {
            hashed_reads: hashed_reads.collect(),
            hashed_writes: hashed_writes.collect(),
            metadata_writes: metadata_hashes.collect(),
        };
        let private = self.private_set();
        let hash = private
            .as_ref()
            .map(|bytes| Bytes::copy_from_slice(&sha256(&[bytes])));
        let public = CollHashedRwSet {
            name: name.clone(),
            hashed,
            pvt_rwset_hash: hash.unwrap_or_default(),
        };
        let private = private.map(|rwset| CollectionPvtReadWriteSet {
            collection_name: name,
            rwset,
        });
        (public, private)
    }

    /// The plain writes; of metadata writes only the keys, their entries live with the hashes.
    fn private_set(self) -> Option<Bytes> {
        if self.writes.is_empty() && self.metadata_writes.is_empty() {
            return None;
        }
        let metadata_writes = self.metadata_writes.into_keys().map(|key| KvMetadataWrite {
            key,
            entries: Vec::new(),
        });
        let set = KvrwSet {
            writes: self.writes.into_iter().map(write).collect(),
            metadata_writes: metadata_writes.collect(),
            ..Default::default()
        };
        Some(set.encode_to_vec().into())
    }
}

fn read((key, version): (String, Option<Version>)) -> KvRead {
    KvRead {
        key,
        version: version.map(Into::into),
    }
}

fn write((key, value): (String, Bytes)) -> KvWrite {
    KvWrite {
        key,
        is_delete: value.is_empty(),
        value,
    }
}

fn metadata((key, entries): (String, BTreeMap<String, Bytes>)) -> KvMetadataWrite {
    KvMetadataWrite {
        key,
        entries: metadata_entries(entries),
    }
}

fn metadata_entries(entries: BTreeMap<String, Bytes>) -> Vec<KvMetadataEntry> {
    let entries = entries.into_iter();
    entries
        .map(|(name, value)| KvMetadataEntry { name, value })
        .collect()
}
