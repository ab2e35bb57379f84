//! [`Metadata`]: what a plugin says of itself in words, as its code or its file has it.

use super::schema::Schema;
use plugin_api::Note;
use serde::Deserialize;
use serde_json::Value;

/// Name, description and configuration schema of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    name: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) config_schema: Option<Value>,
    #[serde(default)]
    error: Option<String>,
}

impl Metadata {
    /// Reads metadata and checks that they are those of the plugin whose manifest this is.
    pub(crate) fn parse(json: &[u8], note: &Note) -> Result<Self, String> {
        let metadata: Self = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if let Some(error) = metadata.error {
            return Err(error);
        }
        if metadata.name != note.name() {
            return Err(format!("name {:?} instead of {:?}", metadata.name, note.name()));
        }
        Ok(metadata)
    }

    pub(crate) fn schema(&self) -> Result<Schema, String> {
        Schema::new(self.config_schema.clone())
    }
}
