//! What builds and chaincode print: line by line into the log, cut and rate limited, the last lines kept for errors,
//! all of it into the chaincode's own log on disk.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use crate::error::Phase;
use crate::log_store::LogWriter;
use crate::stage::Stage;
use crate::vm::redact;

/// A line longer than this is cut.
const MAX_LINE: usize = 4 * 1024;
/// Lines kept for errors, and their bytes: an error travels back to clients.
const LAST_LINES: usize = 30;
const LAST_BYTES: usize = 8 * 1024;
/// Lines per second that reach the log, and how many more may come at once.
const LINES_PER_SECOND: u32 = 200;
const BURST: u32 = 1000;
const READ_BUFFER: usize = 16 * 1024;
/// Name of the stream that a build's script speaks on.
pub(crate) const STDOUT: &str = "stdout";

/// What is printed: the `stream` of its log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// A build step.
    Build,
    /// A running chaincode.
    Run,
}

impl Stream {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Run => "run",
        }
    }
}

/// The output of one process or container, both streams.
pub(crate) struct Output {
    chaincode: String,
    stream: Stream,
    secrets: Vec<String>,
    echo: bool,
    stage: Option<Arc<Stage>>,
    state: Mutex<State>,
}

struct State {
    log: Option<LogWriter>,
    last: VecDeque<String>,
    last_bytes: usize,
    rate: Rate,
}

impl Output {
    /// `secrets` are what the lines are shown and kept without; `log` keeps every line; `echo`: the peer's own log shows
    /// them, too; `stage` is told what a build says of its phases.
    pub(crate) fn new(
        chaincode: String,
        stream: Stream,
        secrets: Vec<String>,
        log: Option<LogWriter>,
        echo: bool,
        stage: Option<Arc<Stage>>,
    ) -> Self {
        let state = State {
            log,
            last: VecDeque::new(),
            last_bytes: 0,
            rate: Rate::new(Instant::now()),
        };
        Self {
            chaincode,
            stream,
            secrets,
            echo,
            stage,
            state: Mutex::new(state),
        }
    }

    /// The last lines, oldest first.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.state.lock().last.iter().cloned().collect()
    }

    /// One line without its newline; `cut` if it was longer.
    pub(crate) fn line(&self, source: &'static str, line: &[u8], cut: bool) {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
        if source == STDOUT
            && let Some((before, phase)) = self.stage.as_ref().and_then(|stage| stage.read(&line))
        {
            if !before.is_empty() {
                self.show(source, before.to_owned(), cut);
            }
            return self.begins(phase);
        }
        self.show(source, line, cut);
    }

    /// The log is divided by phases; an error names only the last.
    fn begins(&self, phase: Phase) {
        if let Some(log) = &mut self.state.lock().log {
            log.line(&format!("==> phase {phase}"));
        }
        tracing::debug!(target: "chaincode", chaincode = self.chaincode, %phase, "build phase");
    }

    fn show(&self, source: &'static str, line: String, cut: bool) {
        let mut line = redact(&self.secrets, line);
        if cut {
            if let Some(whole) = without_partial_secret(&self.secrets, &line) {
                line.truncate(whole);
            }
            line.push('…');
        }
        let verdict = {
            let mut state = self.state.lock();
            if let Some(log) = &mut state.log {
                log.line(&line);
            }
            state.keep(line.clone());
            state.rate.take(Instant::now())
        };
        if !self.echo {
            return;
        }
        let Verdict::Pass { suppressed } = verdict else {
            return;
        };
        if suppressed > 0 {
            tracing::warn!(target: "chaincode", chaincode = self.chaincode, suppressed, "chaincode prints too much");
        }
        match self.stream {
            Stream::Run => {
                tracing::info!(target: "chaincode", chaincode = self.chaincode, stream = source, line, "output")
            }
            Stream::Build => {
                tracing::debug!(target: "chaincode", chaincode = self.chaincode, stream = source, line, "build output")
            }
        }
    }
}

impl State {
    fn keep(&mut self, line: String) {
        self.last_bytes = self.last_bytes.saturating_add(line.len());
        self.last.push_back(line);
        while self.last.len() > LAST_LINES || (self.last_bytes > LAST_BYTES && self.last.len() > 1) {
            let gone = self.last.pop_front().map_or(0, |line| line.len());
            self.last_bytes = self.last_bytes.saturating_sub(gone);
        }
    }
}

/// Where a line that was cut ends if what it ends with may be the beginning of a secret.
fn without_partial_secret(secrets: &[String], line: &str) -> Option<usize> {
    let begins = |start: usize| {
        let rest = line.get(start..)?;
        (!rest.is_empty() && secrets.iter().any(|secret| secret.starts_with(rest))).then_some(start)
    };
    let longest = secrets.iter().map(String::len).max().unwrap_or_default();
    (line.len().saturating_sub(longest)..line.len()).find_map(begins)
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Pass { suppressed: u64 },
    Suppress,
}

/// A token bucket.
struct Rate {
    tokens: u32,
    filled: Instant,
    suppressed: u64,
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self {
            tokens: BURST,
            filled: now,
            suppressed: 0,
        }
    }

    fn take(&mut self, now: Instant) -> Verdict {
        let per_token = Duration::from_secs(1) / LINES_PER_SECOND;
        let earned = now.saturating_duration_since(self.filled).as_micros() / per_token.as_micros().max(1);
        if earned > 0 {
            let earned = u32::try_from(earned).unwrap_or(u32::MAX);
            self.tokens = self.tokens.saturating_add(earned).min(BURST);
            self.filled = now;
        }
        let Some(left) = self.tokens.checked_sub(1) else {
            self.suppressed = self.suppressed.saturating_add(1);
            return Verdict::Suppress;
        };
        self.tokens = left;
        Verdict::Pass {
            suppressed: std::mem::take(&mut self.suppressed),
        }
    }
}

/// Reads to the end; a last line without its newline counts, too.
pub(crate) async fn read_lines(mut from: impl AsyncRead + Unpin, source: &'static str, output: Arc<Output>) {
    let mut buffer = vec![0; READ_BUFFER];
    let mut lines = Lines::new(source, output);
    loop {
        match from.read(&mut buffer).await {
            Ok(0) => break,
            Ok(read) => lines.feed(buffer.get(..read).unwrap_or_default()),
            Err(error) => {
                tracing::debug!(%error, chaincode = lines.output.chaincode, "output of the chaincode broke off");
                break;
            }
        }
    }
    lines.finish();
}

/// Makes lines of the pieces of one stream.
pub(crate) struct Lines {
    source: &'static str,
    output: Arc<Output>,
    line: Line,
}

impl Lines {
    pub(crate) fn new(source: &'static str, output: Arc<Output>) -> Self {
        Self {
            source,
            output,
            line: Line::default(),
        }
    }

    /// The next piece.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = rest.split_at_checked(end).unwrap_or_default();
            self.line.push(head);
            self.output.line(self.source, &self.line.bytes, self.line.cut);
            self.line = Line::default();
            rest = tail.split_first().map_or(&[], |(_newline, tail)| tail);
        }
        self.line.push(rest);
    }

    /// The end; what came since the last newline is a line, too.
    pub(crate) fn finish(self) {
        if !self.line.bytes.is_empty() {
            self.output.line(self.source, &self.line.bytes, self.line.cut);
        }
    }
}

#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    cut: bool,
}

impl Line {
    fn push(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.bytes.len());
        self.cut |= bytes.len() > room;
        self.bytes.extend(bytes.iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Stages;

    async fn lines(bytes: &[u8]) -> Vec<String> {
        lines_without(bytes, Vec::new()).await
    }

    async fn lines_without(bytes: &[u8], secrets: Vec<String>) -> Vec<String> {
        let output = Arc::new(Output::new("cc:1".into(), Stream::Run, secrets, None, true, None));
        read_lines(bytes, "stdout", Arc::clone(&output)).await;
        output.last_lines()
    }

    /// Acceptance 21.
    #[tokio::test]
    async fn lines_lose_their_newline_and_the_last_one_counts() {
        assert_eq!(lines(b"a\r\n\nb\nlast").await, ["a", "", "b", "last"]);
        assert_eq!(lines(b"").await, Vec::<String>::new());
        assert_eq!(lines(b"\xff\n").await, ["\u{fffd}"]);
    }

    #[tokio::test]
    async fn long_lines_are_cut_and_memory_is_bounded() {
        let mut endless = vec![b'x'; 1 << 20];
        endless.extend_from_slice(b"\nnext");
        let kept = lines(&endless).await;
        assert_eq!(
            kept.iter().map(|line| line.chars().count()).collect::<Vec<_>>(),
            [MAX_LINE + 1, 4]
        );

        let many: String = (0..100).map(|n| format!("{n}\n")).collect();
        let kept = lines(many.as_bytes()).await;
        assert_eq!((kept.len(), kept.last().unwrap().as_str()), (LAST_LINES, "99"));

        let wide = format!("{}\n", "y".repeat(MAX_LINE)).repeat(10);
        assert!(
            lines(wide.as_bytes())
                .await
                .iter()
                .map(String::len)
                .sum::<usize>()
                <= LAST_BYTES
        );
    }

    #[tokio::test]
    async fn secrets_are_not_kept_not_even_in_part() {
        let secrets = vec!["s3cret".to_owned()];
        let kept = lines_without(b"a s3cret, s3cret\ns3cre t", secrets.clone()).await;
        assert_eq!(kept, ["a *****, *****", "s3cre t"]);
        for before in 0..8 {
            let line = format!("{}s3cret and more", "x".repeat(MAX_LINE - before));
            let kept = lines_without(line.as_bytes(), secrets.clone()).await;
            assert!(!kept[0].contains("s3"), "{:?}", kept[0].get(MAX_LINE - 10..));
        }
    }

    #[tokio::test]
    async fn a_secret_that_begins_as_another_leaves_no_end() {
        let secrets = ["s3", "s3cret", ""].map(str::to_owned).to_vec();
        assert_eq!(lines_without(b"a s3cret, s3", secrets).await, ["a *****, *****"]);
    }

    #[tokio::test]
    async fn what_a_build_says_of_its_phases_is_no_output() {
        let stages = Stages::default();
        let stage = stages.begin("cc:1", Phase::Build);
        let (_, mark) = stage.variable();
        let output = Output::new(
            "cc:1".into(),
            Stream::Build,
            Vec::new(),
            None,
            true,
            Some(Arc::clone(&stage)),
        );
        let output = Arc::new(output);
        let said = format!("one\n{mark}dependencies\ntwo{mark}compile\n{mark}other\n");
        read_lines(said.as_bytes(), STDOUT, Arc::clone(&output)).await;
        let ignored = format!("{mark}dependencies\n");
        read_lines(ignored.as_bytes(), "stderr", Arc::clone(&output)).await;
        assert_eq!(stage.phase(), Phase::Compile);
        assert_eq!(
            output.last_lines(),
            [
                "one".to_owned(),
                "two".to_owned(),
                format!("{mark}other"),
                format!("{mark}dependencies")
            ]
        );
    }

    #[test]
    fn the_log_is_rate_limited_and_says_what_was_left_out() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let passed = (0..BURST + 5)
            .filter(|_| rate.take(start) != Verdict::Suppress)
            .count();
        assert_eq!(passed, BURST as usize);
        let later = start + Duration::from_secs(1);
        assert_eq!(rate.take(later), Verdict::Pass { suppressed: 5 });
        let passed = (0..BURST)
            .filter(|_| rate.take(later) != Verdict::Suppress)
            .count();
        assert_eq!(passed, LINES_PER_SECOND as usize - 1);
    }
}
