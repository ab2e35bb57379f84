//! [`Schema`]: what a plugin's `config` must look like, and what is wrong with one that does not.

use super::files::{Contents, contents};
use crate::advice::closest;
use crate::load_error::LoadError;
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;
use std::fmt::Write;

/// Faults of one configuration that are shown.
const MAX_FAULTS: usize = 5;
/// Characters of one fault that are shown: the value in it may be of any size.
const MAX_FAULT: usize = 300;
/// Longest chain of references that is followed.
const MAX_REFERENCES: usize = 8;

/// A plugin's JSON schema.
pub(crate) struct Schema {
    validator: Validator,
    json: Value,
}

impl Schema {
    /// Reads a schema; none: any configuration is good.
    pub(crate) fn new(json: Option<Value>) -> Result<Self, String> {
        let json = json.unwrap_or(Value::Bool(true));
        let validator = jsonschema::validator_for(&json).map_err(|error| error.to_string())?;
        Ok(Self { validator, json })
    }

    /// Checks the `config` that stands at `at`, for example `peer.handlers.authFilters[2].config`.
    pub(crate) fn check(&self, plugin: &str, config: &Value, at: &str) -> Result<(), LoadError> {
        let mut faults: Vec<String> = self
            .validator
            .iter_errors(config)
            .flat_map(|error| self.describe(&error, at))
            .take(MAX_FAULTS)
            .collect();
        if faults.is_empty() {
            return Ok(());
        }
        // the order of keys depends on what else is built into the program
        faults.sort();
        Err(LoadError::Config {
            expected: self.expected(plugin),
            found: faults.join("; "),
        })
    }

    /// The files that `config` names and the plugin reads when it is constructed. Blocking.
    pub(crate) fn contents(&self, config: &Value) -> Contents {
        contents(&self.json, config)
    }

    fn expected(&self, plugin: &str) -> String {
        let keys = keys(&self.json);
        if keys.is_empty() {
            return format!("a config as {plugin:?} describes it (it has no keys)");
        }
        format!("a config as {plugin:?} describes it (keys {})", keys.join(", "))
    }

    /// One text for each unknown key, else one for the error.
    fn describe(&self, error: &ValidationError<'_>, at: &str) -> Vec<String> {
        let at = format!("{at}{}", dotted(error.instance_path().as_str()));
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let known = self.known_keys(error);
                let unknown = unexpected.iter();
                unknown
                    .map(|key| shortened(format!("{}: {}", join(&at, key), unknown_key(key, &known))))
                    .collect()
            }
            ValidationErrorKind::Enum { options } => {
                vec![shortened(format!("{at}: {}", wrong_choice(error, options)))]
            }
            _ => vec![shortened(format!("{at}: {error}"))],
        }
    }

    /// The keys of the section whose unknown key this error is about.
    fn known_keys(&self, error: &ValidationError<'_>) -> Vec<&str> {
        let path = error.evaluation_path().as_str();
        let section = path.rsplit_once('/').map_or("", |(section, _)| section);
        self.subschema(section).map(keys).unwrap_or_default()
    }

    /// The place in the schema that a path of its evaluation leads to, through references inside of it.
    fn subschema(&self, path: &str) -> Option<&Value> {
        let mut place = &self.json;
        let mut references = 0;
        for segment in path.split('/').skip(1) {
            place = if segment == "$ref" {
                references += 1;
                let target = place.get("$ref")?.as_str()?.strip_prefix('#')?;
                (references <= MAX_REFERENCES).then(|| self.json.pointer(target))??
            } else {
                place.pointer(&format!("/{segment}"))?
            };
        }
        Some(place)
    }
}

/// The names in a schema's `properties`.
fn keys(schema: &Value) -> Vec<&str> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect()
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    match closest(key, known.iter().copied()) {
        Some(meant) => format!("unknown key; did you mean {meant:?}?"),
        None if known.is_empty() => "unknown key; no key is known here".to_owned(),
        None => format!("unknown key; the keys here are {}", known.join(", ")),
    }
}

fn wrong_choice(error: &ValidationError<'_>, options: &Value) -> String {
    let texts = options.as_array().into_iter().flatten().filter_map(Value::as_str);
    let found = error.instance().as_str().unwrap_or_default();
    match closest(found, texts) {
        Some(meant) => format!("{found:?} is none of {options}; did you mean {meant:?}?"),
        None => error.to_string(),
    }
}

/// A JSON pointer as it is written in core.yaml: `/a/2/b` becomes `.a[2].b`.
fn dotted(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::new(), |path, segment| {
        join(&path, &segment.replace("~1", "/").replace("~0", "~"))
    })
}

fn join(path: &str, segment: &str) -> String {
    let mut path = path.to_owned();
    let written = if !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()) {
        write!(path, "[{segment}]")
    } else {
        write!(path, ".{segment}")
    };
    debug_assert!(written.is_ok(), "a text takes everything");
    path
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_FAULT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Schema {
        Schema::new(Some(json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["mode"],
            "properties": {
                "allow": { "type": "array", "items": { "$ref": "#/$defs/rule" } },
                "mode": { "enum": ["enforce", "report"] },
            },
            "$defs": { "rule": {
                "type": "object",
                "additionalProperties": false,
                "properties": { "mspid": { "type": "string" }, "channel": { "type": "string" } },
            }},
        })))
        .unwrap()
    }

    fn found(config: &Value) -> String {
        match schema().check("p", config, "peer.handlers.authFilters[2].config") {
            Err(LoadError::Config { expected, found }) => {
                assert_eq!(expected, "a config as \"p\" describes it (keys allow, mode)");
                found
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn slips_are_named_with_their_place_and_what_was_meant() {
        for (config, expected) in [
            (
                json!({ "mode": "report", "alow": [] }),
                "peer.handlers.authFilters[2].config.alow: unknown key; did you mean \"allow\"?",
            ),
            (
                json!({ "mode": "enforced" }),
                "peer.handlers.authFilters[2].config.mode: \"enforced\" is none of [\"enforce\",\"report\"]; \
                 did you mean \"enforce\"?",
            ),
            (
                json!({ "mode": "report", "allow": [{ "mspid": "A" }, { "mspdi": "B" }] }),
                "peer.handlers.authFilters[2].config.allow[1].mspdi: unknown key; did you mean \"mspid\"?",
            ),
            (
                json!({ "mode": "report", "colour": 1, "alow": 1 }),
                "peer.handlers.authFilters[2].config.alow: unknown key; did you mean \"allow\"?; \
                 peer.handlers.authFilters[2].config.colour: unknown key; the keys here are allow, mode",
            ),
            (
                json!({ "mode": 7 }),
                "peer.handlers.authFilters[2].config.mode: 7 is not one of \"enforce\" or \"report\"",
            ),
        ] {
            assert_eq!(found(&config), expected);
        }
        assert!(schema().check("p", &json!({ "mode": "report" }), "x").is_ok());
    }

    #[test]
    fn a_value_of_any_size_makes_a_short_fault() {
        assert!(found(&json!("x".repeat(1 << 20))).len() < 400);
        assert!(found(&json!({ "mode": "report", "y".repeat(1 << 20): 1 })).len() < 400);
    }

    #[test]
    fn references_in_a_circle_end() {
        let circle = Schema::new(Some(json!({ "$ref": "#" }))).unwrap();
        assert!(circle.subschema(&"/$ref".repeat(MAX_REFERENCES)).is_some());
        assert!(circle.subschema(&"/$ref".repeat(100)).is_none());
        assert!(Schema::new(Some(json!({ "type": "nothing" }))).is_err());
    }
}
