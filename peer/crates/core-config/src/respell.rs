//! Brings a layer's keys to their known spelling and its values to their canonical form.

use serde_json::{Map, Value};

use crate::{
    known::{self, Entry, Known, dotted},
    layers::{InvalidValue, Source},
    read::{self, Expected, Folders},
    yaml,
};

/// Each log driver has options of its own, which only the engine knows.
const LOG_OPTIONS: &str = ".hostConfig.LogConfig.Config";

/// What is found on the way through a layer.
pub(crate) struct Respelling<'a> {
    pub(crate) source: &'a Source,
    pub(crate) folders: Folders<'a>,
    /// Keys that nobody knows, dotted.
    pub(crate) unknown: Vec<String>,
    /// Values of the wrong form.
    pub(crate) invalid: Vec<InvalidValue>,
}

/// Whether unknown keys are worth a report where the walk stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Reported,
    /// Below a section that is reported as a whole, or one whose reader refuses them itself.
    Left,
}

impl<'a> Respelling<'a> {
    pub(crate) fn new(source: &'a Source, folders: Folders<'a>) -> Self {
        Self {
            source,
            folders,
            unknown: Vec::new(),
            invalid: Vec::new(),
        }
    }

    /// The whole tree of a layer.
    pub(crate) fn tree(&mut self, tree: Map<String, Value>) -> Map<String, Value> {
        self.section(known::CORE, tree, "", Unknown::Reported)
    }

    /// A single value at a known key.
    pub(crate) fn value_at(&mut self, known: &'static Known, key: &str, value: Value) -> Option<Value> {
        self.known(known, value, key, Unknown::Reported)
    }

    fn section(
        &mut self,
        entries: &'static [Entry],
        tree: Map<String, Value>,
        at: &str,
        unknown: Unknown,
    ) -> Map<String, Value> {
        let mut respelled = Map::new();
        for (name, value) in tree {
            let Some(entry) = known::find(entries, &name) else {
                self.unknown_key(&mut respelled, dotted(at, &name), (name, value), unknown);
                continue;
            };
            let key = dotted(at, entry.name);
            if respelled.contains_key(entry.name) {
                self.wrong(&key, &value, "each key once (they match without regard to case)");
                continue;
            }
            let left = key == "peer.handlers" || key.ends_with(LOG_OPTIONS);
            let below = if entry.unsupported.is_some() || left {
                Unknown::Left
            } else {
                unknown
            };
            if let Some(value) = self.known(&entry.known, value, &key, below) {
                respelled.insert(entry.name.to_owned(), value);
            }
        }
        respelled
    }

    fn unknown_key(
        &mut self,
        respelled: &mut Map<String, Value>,
        key: String,
        (name, value): (String, Value),
        unknown: Unknown,
    ) {
        match unknown {
            Unknown::Left => {
                respelled.insert(name, value);
            }
            // a key without a value says nothing
            Unknown::Reported if value.is_null() => {}
            Unknown::Reported => self.unknown.push(key),
        }
    }

    fn known(&mut self, known: &'static Known, value: Value, key: &str, unknown: Unknown) -> Option<Value> {
        if value.is_null() {
            return None;
        }
        match known {
            Known::Value(kind) => self.value(*kind, value, key),
            Known::Opaque => without_nulls(value),
            Known::Section(entries) => match value {
                Value::Object(tree) => Some(Value::Object(self.section(entries, tree, key, unknown))),
                other => self.wrong(key, &other, "a section with keys of its own"),
            },
            Known::Items(entries) => match from_text(value) {
                Value::Array(items) => Some(self.items(entries, items, key, unknown)),
                other => self.wrong(key, &other, "a list (in a variable: YAML or JSON text)"),
            },
            Known::Named(entries) => match from_text(value) {
                Value::Object(tree) => Some(Value::Object(self.named(entries, tree, key, unknown))),
                other => self.wrong(
                    key,
                    &other,
                    "sections under names (in a variable: YAML or JSON text)",
                ),
            },
            Known::Switches(_) => match from_text(value) {
                Value::Object(tree) => Some(Value::Object(self.switches(tree, key))),
                other => self.wrong(
                    key,
                    &other,
                    "names with `enable` (in a variable: YAML or JSON text)",
                ),
            },
        }
    }

    fn value(&mut self, kind: known::Kind, value: Value, key: &str) -> Option<Value> {
        match read::canonical(kind, value.clone(), self.folders) {
            Ok(canonical) => canonical,
            Err(expected) => self.wrong(key, &value, expected),
        }
    }

    fn items(&mut self, entries: &'static [Entry], items: Vec<Value>, key: &str, unknown: Unknown) -> Value {
        let mut respelled = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            let key = format!("{key}[{at}]");
            match item {
                Value::Object(tree) => {
                    respelled.push(Value::Object(self.section_of_item(entries, tree, &key, unknown)));
                }
                other => {
                    self.wrong(&key, &other, "a section with keys of its own");
                }
            }
        }
        Value::Array(respelled)
    }

    fn named(
        &mut self,
        entries: &'static [Entry],
        tree: Map<String, Value>,
        key: &str,
        unknown: Unknown,
    ) -> Map<String, Value> {
        let mut respelled = Map::new();
        for (name, value) in tree {
            let key = dotted(key, &name);
            match value {
                Value::Null => {}
                Value::Object(tree) => {
                    let section = self.section_of_item(entries, tree, &key, unknown);
                    respelled.insert(name, Value::Object(section));
                }
                other => {
                    self.wrong(&key, &other, "a section with keys of its own");
                }
            }
        }
        respelled
    }

    /// A plugin's own `config` is its own: neither its keys nor its empty values are touched.
    fn section_of_item(
        &mut self,
        entries: &'static [Entry],
        mut tree: Map<String, Value>,
        key: &str,
        unknown: Unknown,
    ) -> Map<String, Value> {
        let own = tree
            .keys()
            .find(|name| name.eq_ignore_ascii_case("config"))
            .cloned();
        let own = own.and_then(|name| tree.remove(&name));
        // a pin that came out empty where the file was made must not be the same as none
        let pins = tree
            .iter_mut()
            .filter(|(name, _)| name.eq_ignore_ascii_case("sha256"));
        for (_, pin) in pins.filter(|(_, pin)| pin.is_null()) {
            *pin = Value::String(String::new());
        }
        let mut respelled = self.section(entries, tree, key, unknown);
        if let Some(config) = own {
            respelled.insert("config".to_owned(), config);
        }
        respelled
    }

    fn switches(&mut self, tree: Map<String, Value>, key: &str) -> Map<String, Value> {
        let mut switches = Map::new();
        for (name, value) in tree {
            let key = dotted(key, &name);
            if let Some(value) = self.value(known::Kind::Text, value, &key) {
                switches.insert(name.to_ascii_lowercase(), value);
            }
        }
        switches
    }

    fn wrong(&mut self, key: &str, value: &Value, expected: Expected) -> Option<Value> {
        self.invalid.push(InvalidValue {
            key: key.to_owned(),
            value: crate::effective::shown(key, value),
            source_layer: self.source.clone(),
            expected,
        });
        None
    }
}

/// A text may hold the list or map that the key needs.
fn from_text(value: Value) -> Value {
    match &value {
        Value::String(text) => match yaml::parse(text) {
            Ok(parsed @ (Value::Array(_) | Value::Object(_))) => parsed,
            _ => value,
        },
        _ => value,
    }
}

/// Keys without a value say nothing; a section of nothing else says nothing either.
fn without_nulls(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(tree) => {
            let kept: Map<String, Value> = tree
                .into_iter()
                .filter_map(|(name, value)| Some((name, without_nulls(value)?)))
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        other => Some(other),
    }
}
