//! The part of a platform's `config` that is for one chaincode alone: below the key `chaincodes`, by name. It is merged
//! into the rest, and the result is the configuration of an instance that serves this chaincode. Every platform gets
//! that without doing anything for it.

use crate::load_error::LoadError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The key, which no platform can use for itself.
const KEY: &str = "chaincodes";

/// A `config`, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) struct Split {
    /// For all chaincodes without a part of their own.
    pub(crate) general: Value,
    /// By chaincode.
    pub(crate) own: BTreeMap<String, Own>,
}

/// What is said for one chaincode.
#[derive(Debug, PartialEq)]
pub(crate) struct Own {
    /// The keys that have a value there.
    pub(crate) stated: Value,
    /// Merged into the general part.
    pub(crate) merged: Value,
}

pub(crate) fn split(config: &Value) -> Result<Split, LoadError> {
    let mut general = match config {
        Value::Null => Value::Object(Map::new()),
        given => given.clone(),
    };
    let parts = match general.as_object_mut().and_then(|general| general.remove(KEY)) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(parts)) => parts,
        Some(other) => return Err(wrong(KEY, "sections by chaincode name", &other)),
    };
    let mut own = BTreeMap::new();
    for (name, part) in parts {
        if !is_chaincode_name(&name) {
            return Err(wrong(KEY, "names of chaincodes as keys", &Value::from(name)));
        }
        if !part.is_object() {
            return Err(wrong(&format!("{KEY}.{name}"), "a section", &part));
        }
        let mut merged = general.clone();
        merge(&mut merged, &part);
        let mut stated = Value::Object(Map::new());
        merge(&mut stated, &part);
        own.insert(name, Own { stated, merged });
    }
    Ok(Split { general, own })
}

/// As RFC 7386 merges: sections key by key, a key without a value is taken out, everything else is replaced.
fn merge(target: &mut Value, part: &Value) {
    let Value::Object(part) = part else {
        *target = part.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else {
        return;
    };
    for (key, value) in part {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Fabric's rule: groups of letters and digits between single `-` or `_`.
fn is_chaincode_name(name: &str) -> bool {
    name.split(['-', '_'])
        .all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn wrong(at: &str, expected: &str, found: &Value) -> LoadError {
    LoadError::Config {
        expected: format!("config.{at} to have {expected}"),
        found: found.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_said_for_one_chaincode_is_merged_into_the_rest() {
        let split = split(&json!({
            "image": "a", "npm": { "registry": "r", "scopes": { "@a": "x" }, "list": [1, 2] },
            "chaincodes": {
                "my-cc": { "npm": { "registry": "own", "scopes": { "@b": "y" }, "list": [3] } },
                "bare": { "image": null, "npm": null },
            },
        }))
        .unwrap();
        assert_eq!(split.general["npm"]["registry"], "r");
        assert!(split.general.get("chaincodes").is_none());
        let own = &split.own["my-cc"];
        assert_eq!(
            own.merged,
            json!({ "image": "a", "npm": { "registry": "own", "scopes": { "@a": "x", "@b": "y" }, "list": [3] } })
        );
        assert_eq!(own.stated["npm"]["registry"], "own");
        assert_eq!(split.own["bare"].merged, json!({}));
        assert_eq!(split.own["bare"].stated, json!({}));
    }

    #[test]
    fn an_entry_without_parts_stays_as_it_is() {
        assert_eq!(super::split(&Value::Null).unwrap().general, json!({}));
        for config in [json!({"a": 1}), json!("garbage"), json!([1])] {
            let split = super::split(&config).unwrap();
            assert_eq!((split.general, split.own.len()), (config, 0));
        }
    }

    #[test]
    fn parts_that_are_none_are_refused() {
        for chaincodes in [
            json!(1),
            json!(["a"]),
            json!({"a": 1}),
            json!({"../a": {}}),
            json!({"": {}}),
        ] {
            let error = split(&json!({ "chaincodes": chaincodes })).unwrap_err();
            assert!(error.to_string().contains("config.chaincodes"), "{error}");
        }
    }
}
