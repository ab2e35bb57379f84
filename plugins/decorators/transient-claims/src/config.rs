//! What the operator says.

use serde::Deserialize;

/// What `config` may say; the peer checks it before the plugin sees it.
pub(crate) const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false,
    "properties": {
        "attribute": {
            "description": "The fact that a filter has set. grpc.metadata.NAME is not one: clients say what they like there.",
            "type": "string", "minLength": 1, "not": {"pattern": "^grpc\\."}, "default": "jwt.claims"
        },
        "prefix": {
            "description": "One decoration per member of the fact, a JSON object, with this before its name. claim. unless decoration is said.",
            "type": "string"
        },
        "decoration": {
            "description": "One decoration of this name with the whole fact.",
            "type": "string", "minLength": 1
        },
        "required": {
            "description": "A proposal without the fact fails.",
            "type": "boolean", "default": false
        }
    }
}"#;

/// The entry's `config`, see the schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default = "jwt_claims")]
    pub(crate) attribute: String,
    pub(crate) prefix: Option<String>,
    pub(crate) decoration: Option<String>,
    #[serde(default)]
    pub(crate) required: bool,
}

fn jwt_claims() -> String {
    "jwt.claims".to_owned()
}

impl Config {
    /// The beginning of the names of decorations for single claims; `None` when there are to be none.
    pub(crate) fn prefix(&self) -> Option<&str> {
        match (&self.prefix, &self.decoration) {
            (Some(prefix), _) => Some(prefix),
            (None, Some(_)) => None,
            (None, None) => Some("claim."),
        }
    }
}
