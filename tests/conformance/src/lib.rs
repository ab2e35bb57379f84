//! The conformance kit for tests of the shipped plugins: every finding at once, as an error.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! conformance::check(&conformance::library("my_plugin")?, "{}")?;
//! # Ok(())
//! # }
//! ```
//! The checks are those of `peer plugin test`, made in the test's own process. What a filter does beyond the promises of
//! its kind is tested with [`behaviour`].

#![forbid(unsafe_code)]

pub mod behaviour;

use anyhow::{Context, Result, bail, ensure};
use plugin_testkit::{Outcome, Place, Subject, checks, run};
use std::path::{Path, PathBuf};

/// The library of the crate whose integration test is running: cargo puts both into one folder.
///
/// The crate needs `crate-type = ["cdylib", "rlib"]`: a `cdylib` alone is not built for tests.
pub fn library(crate_name: &str) -> Result<PathBuf> {
    let binary = std::env::current_exe().context("where is this test?")?;
    let folder = binary.parent().context("this test lies in no folder")?;
    let library = folder.join(format!("lib{}.so", crate_name.replace('-', "_")));
    ensure!(library.is_file(), "{} is missing", library.display());
    Ok(library)
}

/// Makes every check of every kind that the library offers; `config_json` is a good configuration.
pub fn check(library: &Path, config_json: &str) -> Result<()> {
    all(&subject(library, config_json)?, |_| true)
}

/// Checks that a platform packs a folder of sources, always into the same bytes, and accepts the result.
pub fn check_packages(library: &Path, config_json: &str, sources: &Path) -> Result<()> {
    let subject = subject(library, config_json)?.with_sources(sources);
    all(&subject, |check| check == "platform/sources")
}

fn subject(library: &Path, config_json: &str) -> Result<Subject> {
    let config = serde_json::from_str(config_json).context("the good configuration is not JSON")?;
    Subject::new(library, config)
}

fn all(subject: &Subject, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let mut failed = Vec::new();
    let mut made = 0;
    for check in checks(&subject.kinds()?) {
        if !wanted(&check.to_string()) {
            continue;
        }
        let finding = run(subject, &check, Place::Shared);
        match finding.outcome {
            Outcome::Passed => made += 1,
            Outcome::Failed => failed.push(format!("{check}: {}", finding.reasons.join("\n    "))),
            Outcome::Skipped => {}
        }
    }
    if !failed.is_empty() {
        bail!("{} checks failed:\n  {}", failed.len(), failed.join("\n  "));
    }
    ensure!(made > 0, "nothing was checked");
    Ok(())
}
