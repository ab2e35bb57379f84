//! What a transaction writes.

use crate::messages::{HashedRwSet, KvRwSet, NsReadWriteSet, TxReadWriteSet};
use crate::refusal::Refusal;
use bytes::Bytes;
use plugin_api::protobuf::decode_as_go;
use plugin_api::{Code, PluginError, ValidationAction};
use std::fmt;

/// A key that a transaction writes.
pub(crate) enum WrittenKey {
    /// Of the public state.
    Public(String),
    /// Of a private collection, known by its hash.
    Hashed { collection: String, hash: Bytes },
}

impl fmt::Display for WrittenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public(key) => f.write_str(key),
            Self::Hashed { collection, hash } => write!(f, "{collection}:{hash:x}"),
        }
    }
}

/// The peer has decoded the whole set before: that a part of it does not decode is no finding about the transaction.
fn decode<M: prost::Message + Default>(bytes: Bytes) -> Result<M, Refusal> {
    decode_as_go(bytes).map_err(|error| {
        let text = format!("the read-write set does not decode: {error}");
        PluginError::new(Code::INTERNAL, text).into()
    })
}

/// The read-write sets of all namespaces.
pub(crate) fn namespaces(action: &ValidationAction<'_>) -> Result<Vec<NsReadWriteSet>, Refusal> {
    let set: TxReadWriteSet = decode(Bytes::from_owner(action.view.results()))?;
    Ok(set.namespaces)
}

impl NsReadWriteSet {
    /// What is written to public keys.
    pub(crate) fn public(&self) -> Result<KvRwSet, Refusal> {
        decode(self.rwset.clone())
    }

    /// The keys with a new value, public ones first, then those with new metadata.
    pub(crate) fn written_keys(&self) -> Result<Vec<WrittenKey>, Refusal> {
        let KvRwSet {
            writes,
            metadata_writes,
        } = self.public()?;
        let mut values: Vec<WrittenKey> = writes
            .into_iter()
            .map(|write| WrittenKey::Public(write.key))
            .collect();
        let mut metadata: Vec<WrittenKey> = metadata_writes
            .into_iter()
            .map(|write| WrittenKey::Public(write.key))
            .collect();
        for collection in &self.collections {
            let set: HashedRwSet = decode(collection.hashed_rwset.clone())?;
            for (keys, writes) in [(&mut values, set.writes), (&mut metadata, set.metadata_writes)] {
                keys.extend(writes.into_iter().map(|write| WrittenKey::Hashed {
                    collection: collection.collection.clone(),
                    hash: write.key_hash,
                }));
            }
        }
        values.append(&mut metadata);
        Ok(values)
    }
}
