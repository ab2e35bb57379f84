//! Reads canonical values into Rust types; forms were checked before, layer by layer.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};

use crate::go_values;

pub(crate) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    go_values::duration(&text).ok_or_else(|| D::Error::custom("not a duration"))
}

/// An empty text is none.
pub(crate) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then_some(text))
}

pub(crate) fn optional_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    Ok(optional_text(deserializer)?.map(PathBuf::from))
}

/// Fabric's `file:` below a key.
pub(crate) fn file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    #[derive(Deserialize)]
    struct File {
        #[serde(default, deserialize_with = "optional_path")]
        file: Option<PathBuf>,
    }
    Ok(File::deserialize(deserializer)?.file)
}

/// Fabric's `files:` below a key.
pub(crate) fn files<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    #[derive(Deserialize)]
    struct Files {
        #[serde(default)]
        files: Vec<PathBuf>,
    }
    Ok(Files::deserialize(deserializer)?.files)
}
