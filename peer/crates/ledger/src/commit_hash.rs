//! The running hash over what a peer committed, by which peers can be compared
//! (Fabric kvledger/txmgmt/txmgr/update_batch_bytes.go).

use bytes::Bytes;
use prost::Message;
use prost::encoding::encode_varint;
use protos::sha256;

use crate::update_batch::UpdateBatch;

#[derive(Clone, PartialEq, Message)]
struct Updates {
    #[prost(message, repeated, tag = "1")]
    writes: Vec<Write>,
}

#[derive(Clone, PartialEq, Message)]
struct Write {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    collection: String,
    #[prost(bytes = "bytes", tag = "3")]
    key: Bytes,
    #[prost(bool, tag = "4")]
    is_delete: bool,
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
    #[prost(bytes = "vec", tag = "6")]
    version: Vec<u8>,
}

/// The hash after a block: over its validation codes, its changes and the hash before.
pub(crate) fn commit_hash(filter: &[u8], updates: &UpdateBatch, previous: &[u8]) -> Bytes {
    let mut length = Vec::with_capacity(10);
    encode_varint(filter.len() as u64, &mut length);
    let hash = sha256(&[&length, filter, &update_bytes(updates), previous]);
    Bytes::copy_from_slice(&hash)
}

/// All changes in order; a namespace or collection is named at its first key only.
fn update_bytes(updates: &UpdateBatch) -> Vec<u8> {
    let mut writes: Vec<Write> = Vec::new();
    let mut current = String::new();
    for (namespace, collection, keys) in updates.iter() {
        let first = writes.len();
        writes.extend(keys.iter().map(|(key, update)| Write {
            key: key.clone(),
            is_delete: update.value.is_none(),
            value: update.value.clone().map(|(value, _)| value).unwrap_or_default(),
            version: update.version.order_preserving_bytes(),
            ..Default::default()
        }));
        let Some(write) = writes.get_mut(first) else {
            continue;
        };
        collection.clone_into(&mut write.collection);
        if current != namespace {
            namespace.clone_into(&mut write.namespace);
            namespace.clone_into(&mut current);
        }
    }
    Updates { writes }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update_batch::Update;
    use crate::version::Version;

    #[test]
    fn namespaces_and_collections_are_named_once() {
        let mut updates = UpdateBatch::default();
        let mut put = |namespace, collection, key: &'static str, value: Option<&'static str>| {
            let update = Update {
                version: Version::new(1, 0),
                value: value.map(|value| (value.into(), Bytes::new())),
            };
            updates.put(namespace, collection, key.into(), update);
        };
        put("b", "", "k1", Some("v1"));
        put("b", "c1", "h", Some("x"));
        put("b", "", "k2", None);
        put("a", "c0", "h", Some("y"));
        let decoded = Updates::decode(update_bytes(&updates).as_slice()).unwrap();
        let named: Vec<_> = decoded
            .writes
            .iter()
            .map(|write| {
                (
                    write.namespace.as_str(),
                    write.collection.as_str(),
                    write.key.as_ref(),
                    write.is_delete,
                )
            })
            .collect();
        assert_eq!(
            named,
            [
                ("a", "c0", b"h".as_ref(), false),
                ("b", "", b"k1".as_ref(), false),
                ("", "", b"k2".as_ref(), true),
                ("", "c1", b"h".as_ref(), false),
            ]
        );
        assert!(decoded.writes.iter().all(|write| write.version == [1, 1, 0]));
    }
}
