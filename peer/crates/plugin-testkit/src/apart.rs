//! [`run_apart`]: one check in a process of its own, whatever becomes of that process.

use crate::check::{Check, Finding, Outcome};
use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::task::JoinHandle;

/// Bytes of an output that are kept.
const KEPT: usize = 2000;
/// How long an output may stay open after the end of its process.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// Largest report of a check.
const MAX_REPORT: u64 = 1 << 20;

/// A program that makes a check: it is called with its arguments, then the check's text and the file that the
/// [`Finding`] goes to, as JSON.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// Its arguments in front of the check's text.
    pub arguments: Vec<OsString>,
}

/// What became of a check that was made apart.
#[derive(Clone, Debug)]
pub struct Apart {
    /// How it ended.
    pub finding: Finding,
    /// How many bytes its process wrote to standard output, where a plugin has no business.
    pub printed: usize,
}

/// Makes a check in a process of its own, and waits no longer than its deadline.
///
/// # Errors
/// When no process can be started.
pub async fn run_apart(program: &Program, check: &Check, deadline: Duration) -> Result<Apart> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let report = folder.path().join("finding.json");
    let started = Instant::now();
    let mut child = Command::new(&program.path)
        .args(&program.arguments)
        .arg(check.to_string())
        .arg(&report)
        // a trace would take the place of the words before it
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // so that what it has started ends with it
        .process_group(0)
        .spawn()
        .with_context(|| format!("could not start {}", program.path.display()))?;
    let printed = tokio::spawn(read(child.stdout.take()));
    let said = tokio::spawn(read(child.stderr.take()));
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let ended = tokio::time::timeout(deadline, child.wait()).await;
    if let Some(group) = group {
        // usually there is nobody left
        kill_process_group(group, Signal::KILL).ok();
    }
    let reason = match ended {
        Ok(status) => failure(status.context("lost sight of the process")?),
        Err(_elapsed) => {
            child.wait().await.context("could not end the process")?;
            Some(format!("did not end within {deadline:?}, and was killed"))
        }
    };
    let took = started.elapsed();
    let (printed, said) = (rest(printed).await, rest(said).await);
    let mut finding = match reason {
        Some(reason) => Finding::failed(check, took, with_last_words(reason, &said.last)),
        None => finding(&report).unwrap_or_else(|error| {
            Finding::failed(check, took, format!("ended without a report: {error:#}"))
        }),
    };
    if printed.length > 0 {
        finding.outcome = Outcome::Failed;
        let text = last_line(&printed.last);
        let reason = format!("writes to standard output ({} bytes): {text}", printed.length);
        finding.reasons.push(reason);
    }
    Ok(Apart {
        finding,
        printed: printed.length,
    })
}

/// An output: how much it was, and its end.
#[derive(Default)]
struct Output {
    length: usize,
    last: Vec<u8>,
}

/// Reads to the end, however much it is, so that the process never waits for us.
async fn read(stream: Option<impl AsyncRead + Unpin>) -> Output {
    let mut output = Output::default();
    let Some(mut stream) = stream else {
        return output;
    };
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        output.length += read;
        output.last.extend(buffer.get(..read).unwrap_or_default());
        let superfluous = output.last.len().saturating_sub(KEPT);
        output.last.drain(..superfluous);
    }
    output
}

/// What an output was. Whoever has left the process group may keep it open; then nobody waits for its end.
async fn rest(reading: JoinHandle<Output>) -> Output {
    let read = tokio::time::timeout(LAST_WORDS, reading).await;
    read.ok().and_then(Result::ok).unwrap_or_default()
}

fn failure(status: ExitStatus) -> Option<String> {
    match (status.signal(), status.code()) {
        (Some(signal), _) => Some(format!("the process was ended by {}", signal_name(signal))),
        (None, Some(0)) => None,
        (None, code) => Some(format!("the process ended with exit code {}", code.unwrap_or(-1))),
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

fn with_last_words(reason: String, said: &[u8]) -> String {
    match last_line(said) {
        line if line.is_empty() => reason,
        line => format!("{reason}; its last words: {line}"),
    }
}

fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let line = text
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty() && !line.starts_with("note: "));
    let printable = |char: char| if char.is_control() { ' ' } else { char };
    line.unwrap_or_default()
        .chars()
        .take(300)
        .map(printable)
        .collect()
}

fn finding(report: &Path) -> Result<Finding> {
    let length = fs::metadata(report)?.len();
    anyhow::ensure!(length <= MAX_REPORT, "it has {length} bytes");
    Ok(serde_json::from_slice(&fs::read(report)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::checks;
    use handlers::Kind;

    /// A shell script in place of the program; `$1` is the check, `$2` the report.
    async fn run(script: &str, deadline: Duration) -> Apart {
        let program = Program {
            path: "/bin/sh".into(),
            arguments: ["-c", script, "sh"].map(OsString::from).to_vec(),
        };
        let check = checks(&[Kind::Decorator])[0];
        run_apart(&program, &check, deadline).await.unwrap()
    }

    const GOOD: &str = r#"printf '{"check":"%s","outcome":"passed","milliseconds":1}' "$1" > "$2""#;

    #[tokio::test]
    async fn whatever_becomes_of_the_process_is_a_finding() {
        let long = Duration::from_secs(60);
        for (script, reason) in [
            ("kill -SEGV $$", "the process was ended by signal 11 (SIGSEGV)"),
            (
                "echo ouch >&2; exit 7",
                "the process ended with exit code 7; its last words: ouch",
            ),
            ("exit 0", "ended without a report: "),
            (r#"echo nonsense > "$2""#, "ended without a report: "),
            (
                r#"head -c 2000000 /dev/zero > "$2""#,
                "ended without a report: it has 2000000 bytes",
            ),
        ] {
            let apart = run(script, long).await;
            assert_eq!(apart.finding.outcome, Outcome::Failed);
            assert!(
                apart.finding.reasons[0].starts_with(reason),
                "{:?}",
                apart.finding
            );
        }
        let good = run(GOOD, long).await;
        assert_eq!((good.finding.outcome, good.printed), (Outcome::Passed, 0));
        assert_eq!(good.finding.check, "decorator/manifest");
        let hanging = run("sleep 600", Duration::from_millis(50)).await.finding;
        assert!(
            hanging.reasons[0].starts_with("did not end within 50ms"),
            "{hanging:?}"
        );
    }

    #[tokio::test]
    async fn what_goes_to_standard_output_is_seen_however_much_it_is() {
        let script = format!("head -c 3000000 /dev/zero; echo; echo here I am; {GOOD}");
        let apart = run(&script, Duration::from_secs(60)).await;
        assert_eq!(
            (apart.finding.outcome, apart.printed),
            (Outcome::Failed, 3_000_011)
        );
        assert_eq!(
            apart.finding.reasons,
            ["writes to standard output (3000011 bytes): here I am"]
        );
    }
}
