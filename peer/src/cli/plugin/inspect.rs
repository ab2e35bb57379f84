//! `peer plugin inspect`

use std::path::Path;

use anyhow::{Context as _, Result};
use handlers::{LoadError, Manifest};

use crate::cli::{Output, output};

/// Stands where only the plugin's code could answer.
const IN_CODE: &str = "(built with plugin API 1.0: only loading it can tell)";

/// Prints what a library's file says of the plugin, without running any code of it.
pub(super) fn run(output: Output, file: &Path) -> Result<()> {
    let manifest = manifest(file)?;
    output::result(output, &manifest, |manifest| text(file, manifest))
}

/// The manifest, or the file's name, what is wrong with it, and what to do.
pub(super) fn manifest(file: &Path) -> Result<Manifest> {
    let with_remedy = |error: LoadError| {
        let remedy = error.remedy();
        let why = protos::wire_message(&error);
        anyhow::Error::msg(format!("{why}; {remedy}"))
    };
    handlers::inspect(file)
        .map_err(with_remedy)
        .with_context(|| file.display().to_string())
}

fn text(file: &Path, manifest: &Manifest) -> String {
    let kinds: Vec<_> = manifest.kinds.iter().map(|kind| kind.name()).collect();
    let flags = [
        if manifest.unwinds {
            "panic=unwind"
        } else {
            "panic=abort"
        },
        if manifest.debug { "debug" } else { "release" },
    ];
    let schema = match &manifest.config_schema {
        Some(schema) => format!("\n{schema:#}"),
        None => IN_CODE.to_owned(),
    };
    let rows = [
        ("name", manifest.name.clone()),
        ("version", manifest.version.clone()),
        ("kinds", kinds.join(", ")),
        (
            "description",
            manifest.description.clone().unwrap_or_else(|| IN_CODE.to_owned()),
        ),
        ("plugin API", manifest.api.clone()),
        ("target", manifest.target.clone()),
        ("toolchain", manifest.toolchain.clone()),
        ("flags", flags.join(", ")),
        ("file", file.display().to_string()),
        ("size", format!("{} bytes", manifest.size)),
        ("sha256", manifest.sha256.clone()),
        ("this peer", this_peer(manifest)),
        ("config schema", schema),
    ];
    let lines = rows.iter().map(|(name, value)| {
        let value: Vec<_> = value.lines().map(output::printable).collect();
        format!("{:<15}{}", format!("{name}:"), value.join("\n"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn this_peer(manifest: &Manifest) -> String {
    match &manifest.refusal {
        Some(refusal) => format!("refuses it: {refusal}"),
        None => "takes it".to_owned(),
    }
}
