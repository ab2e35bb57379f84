//! Read-write sets: collected by a simulator, read again by a commit.

mod builder;
mod merkle;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use prost::{DecodeError, Message};
use protos::decode_as_go;
use protos::kvrwset::{HashedRwSet, KvWrite, KvWriteHash, KvrwSet};
use protos::rwset::{CollectionHashedReadWriteSet, NsReadWriteSet, TxReadWriteSet};
use protos::sha256;

pub use builder::RwSetBuilder;
pub(crate) use merkle::{MAX_DEGREE, QueryResults, RangeQueryReads};

/// The public read-write set of a transaction, decoded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TxRwSet {
    /// One entry per namespace, in the order of the bytes.
    pub namespaces: Vec<NsRwSet>,
}

/// What a transaction read and wrote in one namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NsRwSet {
    /// The namespace: the name of a chaincode.
    pub namespace: String,
    /// Reads and writes of public keys.
    pub kv: KvrwSet,
    /// Hashes of reads and writes of private keys.
    pub collections: Vec<CollHashedRwSet>,
}

/// Hashes of what a transaction read and wrote in one collection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CollHashedRwSet {
    /// The collection.
    pub name: String,
    /// Hashed reads and writes.
    pub hashed: HashedRwSet,
    /// SHA-256 of the private write set; empty where nothing was written.
    pub pvt_rwset_hash: Bytes,
}

impl TxRwSet {
    /// Reads serialized results.
    ///
    /// # Errors
    /// When a level does not decode.
    pub fn decode(results: Bytes) -> Result<Self, DecodeError> {
        let namespaces = decode_as_go::<TxReadWriteSet>(results)?.ns_rwset;
        Ok(Self {
            namespaces: namespaces
                .into_iter()
                .map(NsRwSet::try_from)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The bytes that endorsers compare.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let ns_rwset = self.namespaces.iter().map(NsRwSet::to_message).collect();
        let message = TxReadWriteSet {
            ns_rwset,
            ..Default::default()
        };
        message.encode_to_vec().into()
    }
}

impl TryFrom<NsReadWriteSet> for NsRwSet {
    type Error = DecodeError;

    fn try_from(message: NsReadWriteSet) -> Result<Self, DecodeError> {
        let collections = message.collection_hashed_rwset.into_iter();
        Ok(Self {
            namespace: message.namespace,
            kv: decode_as_go::<KvrwSet>(message.rwset)?,
            collections: collections
                .map(CollHashedRwSet::try_from)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl NsRwSet {
    fn to_message(&self) -> NsReadWriteSet {
        let collections = self
            .collections
            .iter()
            .map(|collection| CollectionHashedReadWriteSet {
                collection_name: collection.name.clone(),
                hashed_rwset: collection.hashed.encode_to_vec().into(),
                pvt_rwset_hash: collection.pvt_rwset_hash.clone(),
            });
        NsReadWriteSet {
            namespace: self.namespace.clone(),
            rwset: self.kv.encode_to_vec().into(),
            collection_hashed_rwset: collections.collect(),
        }
    }
}

impl TryFrom<CollectionHashedReadWriteSet> for CollHashedRwSet {
    type Error = DecodeError;

    fn try_from(message: CollectionHashedReadWriteSet) -> Result<Self, DecodeError> {
        Ok(Self {
            name: message.collection_name,
            hashed: decode_as_go::<HashedRwSet>(message.hashed_rwset)?,
            pvt_rwset_hash: message.pvt_rwset_hash,
        })
    }
}

/// Whether a write deletes: an empty value is no value.
pub(crate) fn deletes(write: &KvWrite) -> bool {
    write.is_delete || write.value.is_empty()
}

/// Whether a hashed write deletes.
pub(crate) fn deletes_hashed(write: &KvWriteHash) -> bool {
    write.is_delete || write.value_hash.is_empty() || write.value_hash.as_ref() == sha256(&[])
}
