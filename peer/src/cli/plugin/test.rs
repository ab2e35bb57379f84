//! `peer plugin test`: the conformance kit, one process for each check, so that nothing a plugin does ends this one.

use std::fs;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use handlers::Kind;
use plugin_testkit::{Check, Finding, Outcome, Place, Program, Subject, checks};
use serde::Serialize;
use serde_json::Value;

use super::inspect;
use crate::cli::progress::during;
use crate::cli::{Output, Wanting, output};

/// The hidden command that makes one check.
pub(super) const CHECK_COMMAND: &str = "test-check";
/// Largest configuration that is read.
const MAX_CONFIG: u64 = 16 << 20;

/// What a library is tested with.
#[derive(Clone, Debug, Args)]
pub struct TestSubject {
    /// The library.
    pub file: PathBuf,
    /// A configuration that the plugin accepts: JSON, or @FILE with JSON in it.
    #[arg(long, default_value = "{}")]
    pub config: String,
    /// A folder with chaincode in the language of a platform, to be packed.
    #[arg(long)]
    pub sources: Option<PathBuf>,
}

/// `peer plugin test …`
#[derive(Clone, Debug, Args)]
pub struct TestArgs {
    /// What is tested.
    #[command(flatten)]
    pub subject: TestSubject,
    /// Only as this kind; may be repeated. Default: every kind that the library offers.
    #[arg(long = "kind", value_enum)]
    pub kinds: Vec<KindArg>,
    /// Only this check, such as authFilter/garbage; may be repeated. Default: all.
    #[arg(long = "check")]
    pub checks: Vec<String>,
}

/// `peer plugin test-check …`
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// What is tested.
    #[command(flatten)]
    pub subject: TestSubject,
    /// The check.
    pub check: String,
    /// Where the finding goes.
    pub report: PathBuf,
}

/// A kind of plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// Auth filters.
    AuthFilter,
    /// Decorators.
    Decorator,
    /// Platforms.
    Platform,
    /// Endorsement plugins.
    Endorsement,
    /// Validation plugins.
    Validation,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::AuthFilter => Self::AuthFilter,
            KindArg::Decorator => Self::Decorator,
            KindArg::Platform => Self::Platform,
            KindArg::Endorsement => Self::Endorsement,
            KindArg::Validation => Self::Validation,
        }
    }
}

/// What was found out, as printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    file: PathBuf,
    plugin: String,
    version: String,
    passed: usize,
    failed: usize,
    skipped: usize,
    checks: Vec<Finding>,
}

/// Makes every check, each in a process of its own.
pub(super) async fn run(output: Output, args: &TestArgs) -> Result<()> {
    let manifest = inspect::manifest(&args.subject.file)?;
    let subject = args.subject.read()?;
    let kinds = wanted(&args.kinds, &subject.kinds()?)?;
    let chosen = chosen(&args.checks, &kinds)?;
    let config = tempfile::NamedTempFile::new().context("no temporary file for the configuration")?;
    fs::write(config.path(), args.subject.config()?.to_string())?;
    let program = args.subject.program(config.path())?;
    let findings = made_apart(&program, &chosen).await?;
    let count = |outcome| {
        findings
            .iter()
            .filter(|finding| finding.outcome == outcome)
            .count()
    };
    let report = Report {
        file: args.subject.file.clone(),
        plugin: manifest.name,
        version: manifest.version,
        passed: count(Outcome::Passed),
        failed: count(Outcome::Failed),
        skipped: count(Outcome::Skipped),
        checks: findings,
    };
    output::result(output, &report, text)?;
    match report.failed {
        0 => Ok(()),
        failed => Err(Wanting(format!("{failed} check(s) failed")).into()),
    }
}

/// Makes one check in this process and writes down what was found.
pub(super) async fn run_check(args: &CheckArgs) -> Result<()> {
    plugin_testkit::confine()?;
    let subject = args.subject.read()?;
    let check =
        Check::named(&args.check, &subject.kinds()?).with_context(|| format!("no check {:?}", args.check))?;
    // a thread that may wait for a runtime of its own
    let made = tokio::task::spawn_blocking(move || plugin_testkit::run(&subject, &check, Place::Apart));
    let finding = made.await.context("the check panicked")?;
    fs::write(&args.report, serde_json::to_vec(&finding)?)
        .with_context(|| format!("could not write {}", args.report.display()))
}

fn wanted(asked: &[KindArg], offered: &[Kind]) -> Result<Vec<Kind>> {
    if asked.is_empty() {
        return Ok(offered.to_vec());
    }
    let asked: Vec<Kind> = asked.iter().copied().map(Kind::from).collect();
    if let Some(missing) = asked.iter().find(|kind| !offered.contains(kind)) {
        let offered: Vec<_> = offered.iter().map(|kind| kind.name()).collect();
        bail!(
            "the library is no {}; it offers {}",
            missing.name(),
            offered.join(", ")
        );
    }
    Ok(asked)
}

/// The checks that were asked for, by kind.
fn chosen(asked: &[String], kinds: &[Kind]) -> Result<Vec<Vec<Check>>> {
    let offered = checks(kinds);
    if let Some(unknown) = asked.iter().find(|text| Check::named(text, kinds).is_none()) {
        let offered: Vec<_> = offered.iter().map(ToString::to_string).collect();
        bail!("there is no check {unknown:?}; there are {}", offered.join(", "));
    }
    let wanted = |check: &Check| asked.is_empty() || asked.contains(&check.to_string());
    let of_kind = |kind: &Kind| checks(&[*kind]).into_iter().filter(wanted).collect();
    Ok(kinds.iter().map(of_kind).collect())
}

async fn made_apart(program: &Program, chosen: &[Vec<Check>]) -> Result<Vec<Finding>> {
    let mut findings: Vec<Finding> = Vec::new();
    for of_kind in chosen {
        let mut unusable = false;
        for check in of_kind {
            let finding = if unusable {
                skipped(check.to_string())
            } else {
                let made = plugin_testkit::run_apart(program, check, check.deadline());
                during(&check.to_string(), made).await?.finding
            };
            // the first check loads the library with the given configuration: without that there is nothing to see
            unusable |= check.is_first() && finding.outcome == Outcome::Failed;
            progress(&finding);
            findings.push(finding);
        }
    }
    Ok(findings)
}

fn skipped(check: String) -> Finding {
    Finding {
        check,
        outcome: Outcome::Skipped,
        reasons: vec!["the library cannot be used with this configuration, see the first check".to_owned()],
        milliseconds: 0,
    }
}

/// A line on standard error; whether anybody reads it does not matter. Whoever looks at a terminal sees a spinner for what
/// takes long, and the table.
fn progress(finding: &Finding) {
    if std::io::stderr().is_terminal() && std::io::stdout().is_terminal() {
        return;
    }
    let line = format!("{:<28} {}\n", finding.check, outcome(finding));
    std::io::stderr().write_all(line.as_bytes()).ok();
}

fn outcome(finding: &Finding) -> String {
    let word = match finding.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "FAILED",
        Outcome::Skipped => "skipped",
    };
    format!("{word} ({} ms)", finding.milliseconds)
}

/// A reason may be a list with a line for each item.
fn one_line(reason: &str) -> String {
    let lines: Vec<_> = reason.lines().map(str::trim).collect();
    output::printable(&lines.join(" "))
}

fn text(report: &Report) -> String {
    let row = |finding: &Finding| {
        let reasons = finding.reasons.iter().map(|reason| one_line(reason));
        vec![
            finding.check.clone(),
            outcome(finding),
            reasons.collect::<Vec<_>>().join("; "),
        ]
    };
    let rows: Vec<_> = report.checks.iter().map(row).collect();
    format!(
        "{}\n{} {}: {} passed, {} failed, {} skipped",
        output::table(&["CHECK", "OUTCOME", "WHY"], &rows),
        output::printable(&report.plugin),
        output::printable(&report.version),
        report.passed,
        report.failed,
        report.skipped
    )
}

impl TestSubject {
    fn config(&self) -> Result<Value> {
        let text = match self.config.strip_prefix('@') {
            Some(file) => {
                let length = fs::metadata(file).with_context(|| file.to_owned())?.len();
                ensure!(
                    length <= MAX_CONFIG,
                    "{file} has {length} bytes, more than {MAX_CONFIG}"
                );
                fs::read_to_string(file).with_context(|| file.to_owned())?
            }
            None => self.config.clone(),
        };
        serde_json::from_str(&text).with_context(|| format!("--config {} is not JSON", self.config))
    }

    fn read(&self) -> Result<Subject> {
        let subject = Subject::new(&self.file, self.config()?)?;
        Ok(match &self.sources {
            Some(sources) => subject.with_sources(sources),
            None => subject,
        })
    }

    /// This program again, with everything but the check.
    fn program(&self, config: &Path) -> Result<Program> {
        let mut arguments = vec![
            "plugin".into(),
            CHECK_COMMAND.into(),
            self.file.clone().into(),
            "--config".into(),
            format!("@{}", config.display()).into(),
        ];
        if let Some(sources) = &self.sources {
            arguments.extend(["--sources".into(), sources.clone().into()]);
        }
        Ok(Program {
            path: std::env::current_exe().context("where is this program?")?,
            arguments,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_of_several_lines_is_one_line_of_the_table() {
        assert_eq!(
            one_line("1 plugin(s) refused\n  peer.handlers: \u{1b}[2J"),
            "1 plugin(s) refused peer.handlers: \u{fffd}[2J"
        );
    }
}
