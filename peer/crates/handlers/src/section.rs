//! Reads `peer.handlers` and names every fault in it, where serde would stop at the first.

use crate::advice::closest;
use crate::config::{Config, Entry};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::fmt;

const SECTION: [&str; 10] = [
    "authFilters",
    "decorators",
    "platforms",
    "endorsers",
    "validators",
    "pluginDirs",
    "aliases",
    "requirePins",
    "denyToolchains",
    "maxReloads",
];
const ENTRY: [&str; 10] = [
    "name",
    "library",
    "config",
    "sha256",
    "executor",
    "timeoutMs",
    "onError",
    "match",
    "mode",
    "quarantine",
];

/// A fault in `peer.handlers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionFault {
    /// Where, for example `peer.handlers.authFilters[1].libary`.
    pub path: String,
    /// What is wrong, and what to do about it.
    pub problem: String,
}

impl fmt::Display for SectionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

impl Config {
    /// Reads the section.
    ///
    /// # Errors
    /// Every fault in it.
    pub fn read(section: &Value) -> Result<Self, Vec<SectionFault>> {
        let mut reading = Reading { faults: Vec::new() };
        reading.section(section);
        if !reading.faults.is_empty() {
            return Err(reading.faults);
        }
        serde_json::from_value(section.clone()).map_err(|error| {
            vec![SectionFault {
                path: "peer.handlers".to_owned(),
                problem: error.to_string(),
            }]
        })
    }
}

struct Reading {
    faults: Vec<SectionFault>,
}

impl Reading {
    fn fault(&mut self, path: String, problem: impl Into<String>) {
        let problem = problem.into();
        self.faults.push(SectionFault { path, problem });
    }

    fn section(&mut self, section: &Value) {
        let Some(keys) = self.object("peer.handlers", section) else {
            return;
        };
        for (key, value) in keys {
            let path = format!("peer.handlers.{key}");
            match key.as_str() {
                "authFilters" | "decorators" | "platforms" => self.entries(&path, value),
                "endorsers" | "validators" => self.named(&path, value),
                known if SECTION.contains(&known) => self.value::<Config>(&path, known, value, &json!({})),
                unknown => self.unknown(path.clone(), unknown, &SECTION),
            }
        }
    }

    fn entries(&mut self, path: &str, list: &Value) {
        match list {
            Value::Null => {}
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.entry::<Entry>(&format!("{path}[{at}]"), item, &ENTRY);
                }
            }
            _ => self.fault(path.to_owned(), "expected a list of entries, each with a name"),
        }
    }

    fn named(&mut self, path: &str, map: &Value) {
        if map.is_null() {
            return;
        }
        let Some(entries) = self.object(path, map) else {
            return;
        };
        for (name, entry) in entries {
            self.entry::<Entry>(&format!("{path}.{name}"), entry, &ENTRY);
        }
    }

    /// Tries each key by itself beside a name, so that one fault does not hide another.
    fn entry<T: DeserializeOwned>(&mut self, path: &str, entry: &Value, known: &[&str]) {
        let Some(keys) = self.object(path, entry) else {
            return;
        };
        if !keys.contains_key("name") {
            self.fault(path.to_owned(), "no name; every entry needs one");
        }
        for (key, value) in keys {
            let at = format!("{path}.{key}");
            if known.contains(&key.as_str()) {
                self.value::<T>(&at, key, value, &json!({ "name": "x" }));
            } else {
                self.unknown(at, key, known);
            }
        }
    }

    fn value<T: DeserializeOwned>(&mut self, path: &str, key: &str, value: &Value, beside: &Value) {
        let mut probe = beside.clone();
        if let Some(fields) = probe.as_object_mut() {
            fields.insert(key.to_owned(), value.clone());
        }
        if let Err(error) = serde_json::from_value::<T>(probe) {
            self.fault(path.to_owned(), error.to_string());
        }
    }

    fn unknown(&mut self, path: String, key: &str, known: &[&str]) {
        let remedy = match closest(key, known.iter().copied()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("the keys here are {}", known.join(", ")),
        };
        self.fault(path, format!("unknown key; {remedy}"));
    }

    fn object<'a>(&mut self, path: &str, value: &'a Value) -> Option<&'a Map<String, Value>> {
        let object = value.as_object();
        if object.is_none() {
            self.fault(path.to_owned(), "expected a section with keys of its own");
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_with_its_place_and_a_remedy() {
        let faults = Config::read(&json!({
            "authFilters": [
                {"name": "A", "library": "a.so"},
                {"name": "B", "libary": "b.so", "executor": "thread"},
                {"library": "c.so", "timeoutMs": "soon"},
                7,
            ],
            "authFiltres": [],
            "endorsers": {"escc": {"name": "DefaultEndorsement", "lib": ""}},
            "decorators": {},
            "requirePins": "maybe",
            "colour": 1,
        }))
        .unwrap_err();
        let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
        for expected in [
            "peer.handlers.authFilters[1].libary: unknown key; did you mean \"library\"?",
            "peer.handlers.authFilters[1].executor: unknown variant `thread`, expected `inline` or `isolated`",
            "peer.handlers.authFilters[2]: no name; every entry needs one",
            "peer.handlers.authFilters[2].timeoutMs: invalid type",
            "peer.handlers.authFilters[3]: expected a section with keys of its own",
            "peer.handlers.authFiltres: unknown key; did you mean \"authFilters\"?",
            "peer.handlers.endorsers.escc.lib: unknown key; the keys here are name, library",
            "peer.handlers.decorators: expected a list of entries",
            "peer.handlers.requirePins: invalid type",
            "peer.handlers.colour: unknown key; the keys here are authFilters",
        ] {
            assert!(
                texts.iter().any(|text| text.starts_with(expected)),
                "{expected}\n{texts:#?}"
            );
        }
        assert_eq!(texts.len(), 10, "{texts:#?}");
    }

    #[test]
    fn a_good_section_is_read() {
        let section = json!({"authFilters": [{"name": "A", "config": {"x": 1}}], "platforms": null});
        assert_eq!(Config::read(&section).unwrap().auth_filters.len(), 1);
    }
}
