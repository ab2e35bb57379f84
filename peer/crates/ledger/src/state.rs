//! A value of the state as it is stored: version, metadata and value.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes};
use prost::Message;
use protos::kvrwset::{KvMetadataEntry, KvMetadataWrite};

use crate::error::StoreError;
use crate::version::Version;

/// A value with the version it was written at and its metadata, serialized; empty where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionedValue {
    pub version: Version,
    pub metadata: Bytes,
    pub value: Bytes,
}

impl VersionedValue {
    /// Layout: block and transaction (8 bytes each, big-endian), length of the metadata (8), metadata, value.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 + self.metadata.len() + self.value.len());
        out.put_u64(self.version.block_num);
        out.put_u64(self.version.tx_num);
        out.put_u64(self.metadata.len() as u64);
        out.put_slice(&self.metadata);
        out.put_slice(&self.value);
        out
    }

    pub fn decode(stored: &[u8]) -> Result<Self, StoreError> {
        let (version, metadata, value) = split(stored).ok_or_else(malformed)?;
        Ok(Self {
            version,
            metadata: Bytes::copy_from_slice(metadata),
            value: Bytes::copy_from_slice(value),
        })
    }
}

/// The version alone, without copying the value.
pub(crate) fn decode_version(stored: &[u8]) -> Result<Version, StoreError> {
    split(stored).map(|(version, ..)| version).ok_or_else(malformed)
}

fn split(stored: &[u8]) -> Option<(Version, &[u8], &[u8])> {
    let (block_num, rest) = stored.split_first_chunk()?;
    let (tx_num, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
    let (metadata, value) = rest.split_at_checked(length)?;
    let version = Version::new(u64::from_be_bytes(*block_num), u64::from_be_bytes(*tx_num));
    Some((version, metadata, value))
}

fn malformed() -> StoreError {
    StoreError::Inconsistent("a value of the state is malformed".to_owned())
}

/// Metadata entries as the state keeps them; no bytes where there are no entries.
pub(crate) fn serialize_metadata(entries: &[KvMetadataEntry]) -> Bytes {
    let metadata = KvMetadataWrite {
        key: String::new(),
        entries: entries.to_vec(),
    };
    metadata.encode_to_vec().into()
}

/// The inverse of [`serialize_metadata`].
pub(crate) fn deserialize_metadata(stored: Bytes) -> Result<BTreeMap<String, Bytes>, StoreError> {
    let metadata = KvMetadataWrite::decode(stored).map_err(|source| StoreError::Malformed {
        what: "metadata",
        source,
    })?;
    let entries = metadata.entries.into_iter();
    Ok(entries.map(|entry| (entry.name, entry.value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_encoding() {
        for (metadata, value) in [("", "v"), ("m", ""), ("meta", "value"), ("", "")] {
            let stored = VersionedValue {
                version: Version::new(u64::MAX, 7),
                metadata: metadata.into(),
                value: value.into(),
            };
            let bytes = stored.encode();
            assert_eq!(VersionedValue::decode(&bytes).unwrap(), stored);
            assert_eq!(decode_version(&bytes).unwrap(), stored.version);
        }
    }

    #[test]
    fn a_damaged_value_is_an_error() {
        assert!(VersionedValue::decode(&[0; 23]).is_err());
        let mut bytes = vec![0; 24];
        bytes[23] = 1;
        assert!(VersionedValue::decode(&bytes).is_err());
    }
}
