//! One layer of configuration and where it comes from.

use std::{fmt, path::PathBuf};

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map, Value as FigmentValue},
};
use serde_json::Value;

/// Where a value was stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The `core.yaml` inside this program.
    Shipped,
    /// A file.
    File(PathBuf),
    /// An environment variable, by name.
    Variable(String),
    /// The caller of [`crate::CoreConfig::load`], in its own words, such as the flag.
    Override(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shipped => f.write_str("shipped defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Override(name) => f.write_str(name),
        }
    }
}

/// A value that wins over every other layer.
#[derive(Debug, Clone)]
pub struct Override {
    /// The dotted key, in any case.
    pub key: String,
    /// The value; a text is read as a variable's would be.
    pub value: Value,
    /// What the operator wrote, such as `--peer-chaincodedev`.
    pub source: String,
}

impl Override {
    /// An override for `key`, named after what the operator wrote.
    pub fn new(key: impl Into<String>, value: impl Into<Value>, source: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            source: source.into(),
        }
    }
}

/// A value that is not of the form its key needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: found {value} in {source_layer}, expected {expected}")]
pub struct InvalidValue {
    /// The dotted key.
    pub key: String,
    /// The value, as JSON.
    pub value: String,
    /// Where it was stated.
    pub source_layer: Source,
    /// What would have been right.
    pub expected: &'static str,
}

/// Every wrong value that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidValues(pub Vec<InvalidValue>);

impl fmt::Display for InvalidValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, value) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{value}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidValues {}

/// One layer: known keys in their known spelling, values in their canonical form.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) source: Source,
    pub(crate) tree: serde_json::Map<String, Value>,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.to_string())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let value = FigmentValue::serialize(&self.tree)?;
        Ok(Profile::Default.collect(value.into_dict().unwrap_or_default()))
    }
}
