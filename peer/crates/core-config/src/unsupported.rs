//! Which stated keys this peer does not support.

use serde_json::{Map, Value};

use crate::{
    chaincode::enabled,
    known::{self, Entry, Known, Off, dotted},
};

/// Keys at which an unsupported feature is switched on, in the order of the tables, then the unknown ones.
pub(crate) fn keys(merged: &Map<String, Value>, unknown: Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    collect(known::CORE, merged, "", &mut found);
    let mut unknown = unknown;
    unknown.sort();
    for key in unknown {
        if !found.contains(&key) {
            found.push(key);
        }
    }
    found
}

fn collect(entries: &'static [Entry], tree: &Map<String, Value>, prefix: &str, found: &mut Vec<String>) {
    for (entry, value) in entries
        .iter()
        .filter_map(|entry| Some((entry, tree.get(entry.name)?)))
    {
        let key = dotted(prefix, entry.name);
        match (&entry.known, entry.unsupported, value) {
            (_, Some(off), value) if !is_off(off, value) => found.push(key),
            (_, Some(_), _) => {}
            (Known::Section(inner), None, Value::Object(tree)) => collect(inner, tree, &key, found),
            (Known::Switches(supported), None, Value::Object(switches)) => {
                let on = |(name, value): &(&String, &Value)| {
                    !supported.contains(&name.as_str()) && value.as_str().is_some_and(enabled)
                };
                found.extend(switches.iter().filter(on).map(|(name, _)| dotted(&key, name)));
            }
            _ => {}
        }
    }
}

fn is_off(off: Off, value: &Value) -> bool {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or("");
    let flag = |key: &str| value.get(key).and_then(Value::as_bool).unwrap_or(false);
    match off {
        Off::Never => value.as_object().is_some_and(Map::is_empty),
        Off::Always => true,
        Off::At(values) => {
            let shown = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            shown.is_empty() || values.iter().any(|value| value.eq_ignore_ascii_case(&shown))
        }
        Off::Disabled => !flag("enabled"),
        Off::NoListener => text("listenAddress").is_empty(),
        Off::NotCouchDb => value.as_str() != Some("CouchDB"),
    }
}
