//! [`inspect`]: what a library says of itself, read from its file without running any of its code.

use crate::kind::Kind;
use crate::load_error::LoadError;
use crate::plugin_host::PluginFile;
use plugin_api::manifest::{FLAG_DEBUG, FLAG_UNWIND};
use serde::Serialize;
use std::path::Path;

/// A library's manifest.
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
    /// Whether panics unwind, as they must.
    pub unwinds: bool,
    /// Whether it is a debug build.
    pub debug: bool,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// Reads the manifest of a library.
pub fn inspect(path: &Path) -> Result<Manifest, LoadError> {
    let file = PluginFile::read(path)?;
    let note = file.note()?;
    Ok(Manifest {
        name: note.name().to_owned(),
        version: note.version().to_owned(),
        kinds: Kind::ALL
            .into_iter()
            .filter(|kind| note.kinds & kind.bit() != 0)
            .collect(),
        api: format!("{}.{}", note.api_major, note.api_minor),
        toolchain: note.toolchain().to_owned(),
        target: note.target().to_owned(),
        unwinds: note.flags & FLAG_UNWIND != 0,
        debug: note.flags & FLAG_DEBUG != 0,
        sha256: file.sha256,
    })
}
