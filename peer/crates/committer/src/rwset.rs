//! The read-write set of a transaction, as far as validation looks at it.

use std::collections::HashSet;

use bytes::Bytes;
use prost::Message;
use protos::kvrwset::{HashedRwSet, KvrwSet};
use protos::peer::TxValidationCode as Code;
use protos::rwset::{NsReadWriteSet, TxReadWriteSet};

use crate::failure::Invalid;
use crate::rules::ValidationCapabilities;

/// One namespace of a transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) public: KvrwSet,
    pub(crate) collections: Vec<Collection>,
}

/// The hashed part of a collection of private data.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collection {
    pub(crate) hashed: HashedRwSet,
}

/// All namespaces of a transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadWriteSet {
    pub(crate) namespaces: Vec<Namespace>,
}

pub(crate) fn parse(results: Bytes) -> Result<ReadWriteSet, Invalid> {
    let bad = |error: prost::DecodeError| Invalid::new(Code::BadRwset, error.to_string());
    let set = TxReadWriteSet::decode(results).map_err(bad)?;
    let namespaces = set.ns_rwset.into_iter().map(namespace);
    Ok(ReadWriteSet {
        namespaces: namespaces.collect::<Result<_, _>>().map_err(bad)?,
    })
}

fn namespace(raw: NsReadWriteSet) -> Result<Namespace, prost::DecodeError> {
    let collections = raw.collection_hashed_rwset.into_iter().map(|collection| {
        Ok(Collection {
            hashed: HashedRwSet::decode(collection.hashed_rwset)?,
        })
    });
    Ok(Namespace {
        name: raw.namespace,
        public: KvrwSet::decode(raw.rwset)?,
        collections: collections.collect::<Result<_, prost::DecodeError>>()?,
    })
}

impl Namespace {
    /// Whether a value of a private collection is written.
    pub(crate) fn writes_private_data(&self) -> bool {
        let writes = |set: &HashedRwSet| !set.hashed_writes.is_empty() || !set.metadata_writes.is_empty();
        self.collections
            .iter()
            .any(|collection| writes(&collection.hashed))
    }

    /// Whether policies of keys of a private collection are set.
    pub(crate) fn sets_private_policies(&self) -> bool {
        self.collections
            .iter()
            .any(|collection| !collection.hashed.metadata_writes.is_empty())
    }

    /// Whether the transaction writes here, as the channel's capabilities count writes.
    pub(crate) fn is_written(&self, capabilities: ValidationCapabilities) -> bool {
        let metadata = capabilities.key_level_endorsement;
        let in_collection = |set: &HashedRwSet| {
            !set.hashed_writes.is_empty() || (metadata && !set.metadata_writes.is_empty())
        };
        let private = capabilities.private_channel_data
            && self
                .collections
                .iter()
                .any(|collection| in_collection(&collection.hashed));
        !self.public.writes.is_empty() || private || (metadata && !self.public.metadata_writes.is_empty())
    }
}

impl ReadWriteSet {
    pub(crate) fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| namespace.name == name)
    }

    /// Refuses a set that has a namespace twice.
    pub(crate) fn check_distinct(&self) -> Result<(), Invalid> {
        let mut seen = HashSet::new();
        for namespace in &self.namespaces {
            if !seen.insert(namespace.name.as_str()) {
                let reason = format!("duplicate namespace '{}' in txRWSet", namespace.name);
                return Err(Invalid::new(Code::IllegalWriteset, reason));
            }
        }
        Ok(())
    }
}
