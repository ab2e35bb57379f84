//! `CORE_*` variables: which key each one sets.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::known::{self, Known};

const PREFIX: &str = "CORE_";
/// An unknown key here would leave a filter out, so it is an error as in a file.
const HANDLERS: &str = "CORE_PEER_HANDLERS_";
/// What may follow.
pub(crate) const HANDLERS_EXPECTED: &str = "CORE_PEER_HANDLERS_ with AUTHFILTERS, DECORATORS, PLATFORMS, PLUGINDIRS, \
     REQUIREPINS, DENYTOOLCHAINS, MAXRELOADS, or a key of an entry of endorsers or validators in a file";

/// A variable that sets a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) variable: String,
    pub(crate) path: Vec<String>,
    pub(crate) text: String,
}

/// What the environment says.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    pub(crate) settings: Vec<Setting>,
    /// Unsupported sections and unknown variables.
    pub(crate) unsupported: Vec<String>,
    /// Unknown variables below `peer.handlers`.
    pub(crate) not_handlers: Vec<String>,
}

/// Matches the variables with the known keys and with the keys of the layers below, since a key under a name
/// of the operator's choice can be set only when a file names it. An empty variable counts as unset.
pub(crate) fn read(
    variables: impl IntoIterator<Item = (String, String)>,
    below: &[&Map<String, Value>],
) -> Environment {
    let keys = keys_by_variable(below);
    let sections = known::unsupported_sections();
    let mut environment = Environment::default();
    let sorted: BTreeMap<String, String> = variables.into_iter().collect();
    for (variable, text) in sorted.into_iter().filter(|(_, text)| !text.is_empty()) {
        if let Some(path) = keys.get(&variable.to_ascii_uppercase()) {
            environment.settings.push(Setting {
                variable,
                path: path.clone(),
                text,
            });
        } else if variable.to_ascii_uppercase().starts_with(HANDLERS) {
            environment.not_handlers.push(variable);
        } else if variable.starts_with(PREFIX) {
            environment
                .unsupported
                .push(unsupported_name(&sections, variable));
        }
    }
    environment
}

fn keys_by_variable(below: &[&Map<String, Value>]) -> BTreeMap<String, Vec<String>> {
    let mut keys = BTreeMap::new();
    for path in known::settable() {
        keys.insert(
            variable_of(&path),
            path.iter().map(|name| (*name).to_owned()).collect(),
        );
    }
    for (variable, key) in known::OTHER_VARIABLES {
        keys.insert(
            (*variable).to_owned(),
            key.split('.').map(str::to_owned).collect(),
        );
    }
    for tree in below {
        named_keys(tree, &mut Vec::new(), &mut keys);
    }
    keys
}

fn variable_of<S: AsRef<str>>(path: &[S]) -> String {
    let mut name = "CORE".to_owned();
    for part in path {
        name.push('_');
        name.push_str(&part.as_ref().to_ascii_uppercase());
    }
    name
}

/// The single values below names of the operator's choice, such as `peer.handlers.endorsers.escc.library`.
fn named_keys(tree: &Map<String, Value>, at: &mut Vec<String>, keys: &mut BTreeMap<String, Vec<String>>) {
    for (name, value) in tree {
        at.push(name.clone());
        let path: Vec<&str> = at.iter().map(String::as_str).collect();
        match (known::at(&path), value) {
            (Some(Known::Named(entries)), Value::Object(sections)) => {
                for (name, entry) in sections
                    .keys()
                    .flat_map(|name| entries.iter().map(move |e| (name, e)))
                {
                    if matches!(entry.known, Known::Value(_)) {
                        let mut path = at.clone();
                        path.extend([name.clone(), entry.name.to_owned()]);
                        keys.insert(variable_of(&path), path);
                    }
                }
            }
            (Some(Known::Section(_)), Value::Object(inner)) => named_keys(inner, at, keys),
            _ => {}
        }
        at.pop();
    }
}

fn unsupported_name(sections: &[String], variable: String) -> String {
    let inside = |section: &&String| {
        let parts: Vec<&str> = section.split('.').collect();
        variable
            .to_ascii_uppercase()
            .starts_with(&format!("{}_", variable_of(&parts)))
    };
    sections.iter().find(inside).cloned().unwrap_or(variable)
}
