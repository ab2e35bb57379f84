//! Judges transactions against what was committed since they were simulated, in block order.

mod combined_iterator;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;
use protos::kvrwset::range_query_info::ReadsInfo;
use protos::kvrwset::{
    KvMetadataEntry, KvRead, QueryReadsMerkleSummary, RangeQueryInfo, Version as WireVersion,
};
use protos::peer::TxValidationCode;

use crate::error::StoreError;
use crate::mvcc::combined_iterator::CombinedIterator;
use crate::rwset::{NsRwSet, QueryResults, RangeQueryReads, TxRwSet, deletes, deletes_hashed};
use crate::snapshot::Snapshot;
use crate::state::serialize_metadata;
use crate::update_batch::{Update, UpdateBatch, hashes_of, state_namespace};
use crate::version::Version;

/// Judges one block and collects its changes.
pub(crate) struct Validator<'a> {
    snapshot: &'a Snapshot,
    updates: UpdateBatch,
}

/// What one transaction does to one key.
#[derive(Default)]
struct KeyOps {
    /// The value written, empty for a deletion; none where only metadata is written.
    value: Option<Bytes>,
    /// Serialized metadata, empty for its removal; none where it is not written.
    metadata: Option<Bytes>,
}

impl<'a> Validator<'a> {
    pub fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            updates: UpdateBatch::default(),
        }
    }

    /// The changes of the transactions found valid.
    pub fn into_updates(self) -> UpdateBatch {
        self.updates
    }

    /// Judges a transaction; if it is valid its writes count for those that follow.
    pub fn validate(&mut self, rwset: &TxRwSet, version: Version) -> Result<TxValidationCode, StoreError> {
        for namespace in &rwset.namespaces {
            let code = self.validate_namespace(namespace)?;
            if code != TxValidationCode::Valid {
                return Ok(code);
            }
        }
        self.apply(rwset, version)?;
        Ok(TxValidationCode::Valid)
    }

    fn validate_namespace(&self, set: &NsRwSet) -> Result<TxValidationCode, StoreError> {
        for read in &set.kv.reads {
            if !self.is_current(&set.namespace, "", read.key.as_bytes(), read.version.as_ref())? {
                return Ok(TxValidationCode::MvccReadConflict);
            }
        }
        for query in &set.kv.range_queries_info {
            let code = self.validate_range(&set.namespace, query)?;
            if code != TxValidationCode::Valid {
                return Ok(code);
            }
        }
        for collection in &set.collections {
            for read in &collection.hashed.hashed_reads {
                let (collection, version) = (hashes_of(&collection.name), read.version.as_ref());
                if !self.is_current(&set.namespace, collection, &read.key_hash, version)? {
                    return Ok(TxValidationCode::MvccReadConflict);
                }
            }
        }
        Ok(TxValidationCode::Valid)
    }

    fn is_current(
        &self,
        namespace: &str,
        collection: &str,
        key: &[u8],
        read: Option<&WireVersion>,
    ) -> Result<bool, StoreError> {
        if self.updates.get(namespace, collection, key).is_some() {
            return Ok(false);
        }
        let committed = self
            .snapshot
            .version(&state_namespace(namespace, collection), key)?;
        Ok(committed == read.map(Version::from))
    }

    fn validate_range(
        &self,
        namespace: &str,
        query: &RangeQueryInfo,
    ) -> Result<TxValidationCode, StoreError> {
        let current = CombinedIterator::open(self.snapshot, &self.updates, namespace, query)?;
        let same = match &query.reads_info {
            Some(ReadsInfo::ReadsMerkleHashes(summary)) => {
                // no simulator makes a tree of this degree
                let Some(results) = QueryResults::new(summary.max_degree) else {
                    return Ok(TxValidationCode::InvalidOtherReason);
                };
                same_summary(current, summary, results)?
            }
            Some(ReadsInfo::RawReads(reads)) => same_reads(current, &reads.kv_reads)?,
            None => same_reads(current, &[])?,
        };
        Ok(match same {
            true => TxValidationCode::Valid,
            false => TxValidationCode::PhantomReadConflict,
        })
    }

    fn apply(&mut self, rwset: &TxRwSet, version: Version) -> Result<(), StoreError> {
        for set in &rwset.namespaces {
            let mut keys: BTreeMap<Bytes, KeyOps> = BTreeMap::new();
            for write in &set.kv.writes {
                let value = if deletes(write) {
                    Bytes::new()
                } else {
                    write.value.clone()
                };
                let key = Bytes::copy_from_slice(write.key.as_bytes());
                keys.entry(key).or_default().value = Some(value);
            }
            for write in &set.kv.metadata_writes {
                let key = Bytes::copy_from_slice(write.key.as_bytes());
                keys.entry(key).or_default().metadata = Some(metadata(&write.entries));
            }
            self.apply_keys(&set.namespace, "", keys, version)?;
            for collection in &set.collections {
                let mut keys: BTreeMap<Bytes, KeyOps> = BTreeMap::new();
                for write in &collection.hashed.hashed_writes {
                    let value = if deletes_hashed(write) {
                        Bytes::new()
                    } else {
                        write.value_hash.clone()
                    };
                    keys.entry(write.key_hash.clone()).or_default().value = Some(value);
                }
                for write in &collection.hashed.metadata_writes {
                    let ops = keys.entry(write.key_hash.clone()).or_default();
                    ops.metadata = Some(metadata(&write.entries));
                }
                self.apply_keys(&set.namespace, hashes_of(&collection.name), keys, version)?;
            }
        }
        Ok(())
    }

    fn apply_keys(
        &mut self,
        namespace: &str,
        collection: &str,
        keys: BTreeMap<Bytes, KeyOps>,
        version: Version,
    ) -> Result<(), StoreError> {
        for (key, ops) in keys {
            let value = match (ops.value, ops.metadata) {
                (Some(value), _) if value.is_empty() => None,
                (Some(value), Some(metadata)) => Some((value, metadata)),
                (Some(value), None) => {
                    let latest = self.latest(namespace, collection, &key)?;
                    Some((value, latest.map(|(_, metadata)| metadata).unwrap_or_default()))
                }
                (None, metadata) => match self.latest(namespace, collection, &key)? {
                    Some((value, _)) => Some((value, metadata.unwrap_or_default())),
                    // metadata of a key that does not exist
                    None => continue,
                },
            };
            self.updates
                .put(namespace, collection, key, Update { version, value });
        }
        Ok(())
    }

    /// Value and metadata of a key after the transactions before this one.
    fn latest(
        &self,
        namespace: &str,
        collection: &str,
        key: &[u8],
    ) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        if let Some(update) = self.updates.get(namespace, collection, key) {
            return Ok(update.value.clone());
        }
        let stored = self
            .snapshot
            .state(&state_namespace(namespace, collection), key)?;
        Ok(stored.map(|stored| (stored.value, stored.metadata)))
    }
}

fn metadata(entries: &[KvMetadataEntry]) -> Bytes {
    serialize_metadata(entries)
}

fn same_reads(mut current: CombinedIterator<'_>, reads: &[KvRead]) -> Result<bool, StoreError> {
    for read in reads {
        let same = current.next()?.is_some_and(|(key, version)| {
            key.as_ref() == read.key.as_bytes() && read.version.as_ref().map(Version::from) == Some(version)
        });
        if !same {
            return Ok(false);
        }
    }
    Ok(current.next()?.is_none())
}

/// Rebuilds the tree and gives up at the first hash that differs.
fn same_summary(
    mut current: CombinedIterator<'_>,
    summary: &QueryReadsMerkleSummary,
    mut results: QueryResults,
) -> Result<bool, StoreError> {
    let expected_level = usize::try_from(summary.max_level).unwrap_or(usize::MAX);
    while let Some((key, version)) = current.next()? {
        let key = String::from_utf8_lossy(&key).into_owned();
        results.add(KvRead {
            key,
            version: Some(version.into()),
        });
        let reached = results.max_level() >= expected_level;
        if reached && !starts_with(&summary.max_level_hashes, results.top()) {
            return Ok(false);
        }
    }
    Ok(results.done() == RangeQueryReads::Merkle(summary.clone()))
}

fn starts_with(expected: &[Bytes], hashes: &[[u8; 32]]) -> bool {
    let expected = expected.get(..hashes.len());
    expected.is_some_and(|expected| {
        let expected = expected.iter().map(AsRef::as_ref);
        expected.eq(hashes.iter().map(<[u8; 32]>::as_slice))
    })
}
