//! `peer plugin verify`

use anyhow::Result;
use handlers::{Verification, VerifiedEntry};

use crate::cli::context::Context;
use crate::cli::{Wanting, output};
use crate::node::plugins;

/// Checks every entry of `peer.handlers` without running code of a plugin.
pub(super) fn run(context: &Context) -> Result<()> {
    let verification = plugins::verify(&context.config)?;
    output::result(context.output, &verification, text)?;
    match verification.deviations() {
        0 => Ok(()),
        count => Err(Wanting(format!("{count} deviation(s)")).into()),
    }
}

fn text(verification: &Verification) -> String {
    let rows: Vec<_> = verification.entries.iter().map(row).collect();
    let mut lines = vec![output::table(
        &["ENTRY", "NAME", "PLUGIN", "PIN", "CONFIG", "RESULT", "FILE"],
        &rows,
    )];
    for entry in &verification.entries {
        let links = entry.links.iter();
        lines.extend(links.map(|one| {
            let (link, target) = (one.link.display(), one.target.display());
            format!("{}: link {link} -> {target}", entry.config_path)
        }));
    }
    for entry in &verification.entries {
        let deviations = entry.deviations.iter();
        lines.extend(
            deviations.map(|deviation| format!("{} (name {:?}): {deviation}", entry.config_path, entry.name)),
        );
    }
    lines.extend(verification.deviations.iter().cloned());
    lines.join("\n")
}

fn row(entry: &VerifiedEntry) -> Vec<String> {
    let plugin = match (&entry.plugin, &entry.version) {
        (Some(plugin), Some(version)) => output::printable(&format!("{plugin} {version}")),
        _ => "-".to_owned(),
    };
    let path = entry.config_path.strip_prefix("peer.handlers.");
    vec![
        path.unwrap_or(&entry.config_path).to_owned(),
        entry.name.clone(),
        plugin,
        entry.pin.map_or("-", handlers::Pin::name).to_owned(),
        if entry.config_checked {
            "checked"
        } else {
            "unchecked"
        }
        .to_owned(),
        if entry.deviations.is_empty() {
            "good"
        } else {
            "DEVIATES"
        }
        .to_owned(),
        entry
            .file
            .as_ref()
            .map_or_else(|| "-".to_owned(), |file| file.display().to_string()),
    ]
}
