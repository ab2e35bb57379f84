//! [`inspect`]: what a library says of itself, read from its file without running any of its code.

use crate::kind::Kind;
use crate::load_error::LoadError;
use crate::plugin_host::{PluginFile, Policy, check_note};
use plugin_api::Note;
use plugin_api::manifest::{FLAG_C, FLAG_DEBUG, FLAG_UNWIND};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// A library's manifest, and what else its file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The plugin's name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// The kinds that the library offers.
    pub kinds: Vec<Kind>,
    /// Version of the plugin API that it was built with.
    pub api: String,
    /// The compiler that built it.
    pub toolchain: String,
    /// The target that it was built for.
    pub target: String,
    /// Whether panics unwind, as they must; C has none.
    pub unwinds: bool,
    /// Whether it is a debug build.
    pub debug: bool,
    /// Size of the file in bytes.
    pub size: usize,
    /// SHA-256 of the file.
    pub sha256: String,
    /// The plugin's description of itself. A plugin built with API 1.0 has it, as its schema, only in its code.
    pub description: Option<String>,
    /// The JSON schema of an entry's `config`.
    pub config_schema: Option<Value>,
    /// Why this peer would refuse the library whatever the configuration says, if it would.
    pub refusal: Option<String>,
}

/// Reads what a library says of itself.
///
/// # Errors
/// When the file cannot be read, is no shared library for this machine, or no plugin.
pub fn inspect(path: &Path) -> Result<Manifest, LoadError> {
    let file = PluginFile::read(path)?;
    let note = file.note()?;
    let metadata = file.metadata(&note)?;
    let (description, config_schema) = match metadata {
        Some(metadata) => (Some(metadata.description), metadata.config_schema),
        None => (None, None),
    };
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| note.kinds & kind.bit() != 0)
        .collect();
    Ok(Manifest {
        name: note.name().to_owned(),
        version: note.version().to_owned(),
        refusal: refusal(&note, &kinds),
        kinds,
        api: format!("{}.{}", note.api_major, note.api_minor),
        toolchain: note.toolchain().to_owned(),
        target: note.target().to_owned(),
        unwinds: note.flags & (FLAG_UNWIND | FLAG_C) != 0,
        debug: note.flags & FLAG_DEBUG != 0,
        size: file.bytes.len(),
        sha256: file.sha256,
        description,
        config_schema,
    })
}

fn refusal(note: &Note, kinds: &[Kind]) -> Option<String> {
    let policy = Policy {
        deny_toolchains: &crate::config::Config::default().deny_toolchains,
        max_libraries: usize::MAX,
        try_out: false,
    };
    let Some(kind) = kinds.first() else {
        return Some(format!("it offers {}", Kind::names(note.kinds)));
    };
    let error = check_note(note, *kind, &policy).err()?;
    Some(format!("{error}; {}", error.remedy()))
}
