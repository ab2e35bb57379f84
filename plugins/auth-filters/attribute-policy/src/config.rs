//! This filter's `config`.

use crate::filter::AttributePolicy;
use crate::model::Model;
use crate::policies::{Source, compile};
use plugin_api::{PluginError, Result};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Keys and their meaning, for operators and for the peer's check.
pub(crate) const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false,
    "anyOf": [{ "required": ["files"] }, { "required": ["policies"] }],
    "properties": {
        "files": {
            "type": "array",
            "maxItems": 100,
            "items": { "type": "string", "pattern": "^/", "x-read-at-start": true },
            "description": "Files with Cedar policies, absolute paths."
        },
        "policies": {
            "type": "string",
            "description": "Cedar policies, after those of the files."
        },
        "facts": {
            "type": "array",
            "maxItems": 64,
            "uniqueItems": true,
            "items": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,100}$" },
            "description": "Names of what earlier filters say about a request, such as jwt.sub, that policies find in context.facts."
        }
    }
}"#;

/// Name of the policies in the configuration, in errors and in the names of policies.
const INLINE: &str = "policies";
/// Largest policy file, in bytes: far more than people write, and little enough to be parsed at start.
const MAX_FILE: u64 = 1 << 20;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    files: Vec<PathBuf>,
    policies: String,
    facts: Vec<String>,
}

/// The filter that a configuration describes.
pub(crate) fn parse(json: &str) -> Result<AttributePolicy> {
    let config: Config =
        serde_json::from_str(json).map_err(|error| PluginError::config(error.to_string()))?;
    let mut sources = config
        .files
        .iter()
        .map(|file| read(file).map_err(PluginError::config))
        .collect::<Result<Vec<_>>>()?;
    sources.push(Source {
        place: INLINE.to_owned(),
        name: INLINE.to_owned(),
        text: config.policies,
    });
    let model = Model::new(config.facts).map_err(PluginError::config)?;
    let policies = compile(&sources, model.schema()).map_err(PluginError::config)?;
    Ok(AttributePolicy::new(model, policies))
}

fn read(path: &Path) -> std::result::Result<Source, String> {
    let place = path.display().to_string();
    let failed = |error: std::io::Error| format!("cannot read the policies in {place}: {error}");
    let file = File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_FILE) {
        return Err(format!(
            "{place} is larger than {MAX_FILE} bytes: use several files"
        ));
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok(Source { place, name, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refusal(config: &serde_json::Value) -> String {
        let error = parse(&config.to_string()).err().unwrap();
        assert_eq!(error.code, plugin_api::Code::CONFIG);
        error.message.into_string()
    }

    #[test]
    fn files_come_before_what_stands_in_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.cedar");
        std::fs::write(&file, "permit (principal, action, resource);").unwrap();
        let inline = "forbid (principal, action, resource);";
        assert!(parse(&json!({ "files": [file], "policies": inline }).to_string()).is_ok());
        assert!(parse(&json!({ "files": [file] }).to_string()).is_ok());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.cedar");
        assert!(refusal(&json!({ "files": [missing] })).contains("missing.cedar: No such file"));
        assert!(refusal(&json!({ "files": [folder.path()] })).contains("cannot read"));
        let large = folder.path().join("large.cedar");
        std::fs::write(&large, " ".repeat((1 << 20) + 1)).unwrap();
        assert!(refusal(&json!({ "files": [large] })).contains("is larger than 1048576 bytes"));
        let binary = folder.path().join("binary.cedar");
        std::fs::write(&binary, b"\xff\xfe").unwrap();
        assert!(refusal(&json!({ "files": [binary] })).contains("UTF-8"));
        assert!(refusal(&json!({ "policies": "" })).contains("no policy"));
    }
}
