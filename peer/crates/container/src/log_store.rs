//! What builds and chaincode print, kept on disk by chaincode id for `peer chaincode logs`:
//! `<root>/<id>/{build,run}.log`, and `.1` with what came before once a file has half of the allowed size.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::fs::{DirBuilder, File, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::garbage::{Garbage, GarbageKind};
use crate::naming::Naming;
use crate::output::Stream;

/// Lines that wait for the disk; each is at most a few kilobytes long. What finds no room is counted and left out.
const WAITING_LINES: usize = 1024;
/// Lines written at a time.
const BATCH: usize = 64;

/// The folder of the logs, and how large those of one chaincode may get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStore {
    /// The folder.
    pub root: PathBuf,
    /// Bytes of one log, both of its files together.
    pub max_bytes: u64,
}

/// The logs of one chaincode.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ChaincodeLogs {
    /// What its builds printed.
    pub build: Vec<String>,
    /// What its instances printed.
    pub run: Vec<String>,
}

impl LogStore {
    /// The folder of one chaincode's logs.
    pub(crate) fn folder(&self, chaincode_id: &str) -> PathBuf {
        self.root.join(Naming::default().folder_name(chaincode_id))
    }

    /// Reads the logs of one chaincode; none if there never were any. Blocks.
    pub fn read(&self, chaincode_id: &str) -> io::Result<Option<ChaincodeLogs>> {
        let folder = self.folder(chaincode_id);
        if !folder.try_exists()? {
            return Ok(None);
        }
        Ok(Some(ChaincodeLogs {
            build: lines(&folder, Stream::Build)?,
            run: lines(&folder, Stream::Run)?,
        }))
    }

    /// Logs of chaincodes that are not `installed`. Blocks.
    pub fn garbage(&self, installed: &BTreeSet<String>) -> io::Result<Vec<Garbage>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let needed: BTreeSet<PathBuf> = installed.iter().map(|id| self.folder(id)).collect();
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if !needed.contains(&path) {
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                found.push(Garbage {
                    kind: GarbageKind::Logs,
                    name,
                    chaincode: String::new(),
                    id: path.display().to_string(),
                });
            }
        }
        Ok(found)
    }

    /// Begins a section of a log; lines are written by a task of their own, so that a slow disk holds up nobody.
    pub(crate) fn writer(&self, runtime: &Handle, chaincode_id: &str, stream: Stream) -> LogWriter {
        let (lines, queue) = mpsc::channel(WAITING_LINES);
        let log = Log {
            folder: self.folder(chaincode_id),
            name: file_name(stream),
            half: self.max_bytes / 2,
        };
        let began = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        let header = format!("=== {} of {chaincode_id}, {began} ===\n", stream.word());
        runtime.spawn(async move {
            if let Err(error) = log.write_all(header, queue).await {
                tracing::warn!(%error, folder = %log.folder.display(), "output of a chaincode is not kept");
            }
        });
        LogWriter { lines, lost: 0 }
    }
}

/// One log's writing end.
pub(crate) struct LogWriter {
    lines: mpsc::Sender<String>,
    lost: u64,
}

impl LogWriter {
    pub(crate) fn line(&mut self, line: &str) {
        let text = if self.lost > 0 {
            format!("… {} lines lost …\n{line}\n", self.lost)
        } else {
            format!("{line}\n")
        };
        if self.lines.try_send(text).is_ok() {
            self.lost = 0;
        } else {
            self.lost = self.lost.saturating_add(1);
        }
    }
}

struct Log {
    folder: PathBuf,
    name: &'static str,
    half: u64,
}

impl Log {
    async fn write_all(&self, header: String, mut queue: mpsc::Receiver<String>) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .await?;
        let (mut file, mut size) = self.open().await?;
        let mut batch = vec![header];
        loop {
            let text = batch.concat();
            batch.clear();
            size = size.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
            if size > self.half {
                tokio::fs::rename(self.path(), self.path().with_extension("log.1")).await?;
                (file, size) = self.open().await?;
                size = size.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
            }
            file.write_all(text.as_bytes()).await?;
            file.flush().await?;
            if queue.recv_many(&mut batch, BATCH).await == 0 {
                return Ok(());
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    async fn open(&self) -> io::Result<(File, u64)> {
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .append(true)
            .mode(0o600)
            .open(self.path())
            .await?;
        let size = file.metadata().await?.len();
        Ok((file, size))
    }
}

fn file_name(stream: Stream) -> &'static str {
    match stream {
        Stream::Build => "build.log",
        Stream::Run => "run.log",
    }
}

fn lines(folder: &Path, stream: Stream) -> io::Result<Vec<String>> {
    let current = folder.join(file_name(stream));
    let mut lines = Vec::new();
    for path in [current.with_extension("log.1"), current] {
        match fs::read(path) {
            Ok(bytes) => lines.extend(String::from_utf8_lossy(&bytes).lines().map(str::to_owned)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_until(
        store: &LogStore,
        id: &str,
        enough: impl Fn(&ChaincodeLogs) -> bool,
    ) -> ChaincodeLogs {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            match store.read(id).unwrap() {
                Some(logs) if enough(&logs) => return logs,
                _ => assert!(tokio::time::Instant::now() < deadline, "the log was not written"),
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn sections_follow_each_other_and_build_and_run_are_apart() {
        let folder = tempfile::tempdir().unwrap();
        let store = LogStore {
            root: folder.path().join("logs"),
            max_bytes: 1 << 20,
        };
        assert_eq!(store.read("cc:1").unwrap(), None);
        for text in ["one", "two"] {
            let mut log = store.writer(&Handle::current(), "cc:1", Stream::Run);
            log.line(text);
            read_until(&store, "cc:1", |logs| {
                logs.run.last().is_some_and(|line| line == text)
            })
            .await;
        }
        store
            .writer(&Handle::current(), "cc:1", Stream::Build)
            .line("built");
        let logs = read_until(&store, "cc:1", |logs| logs.build.len() == 2).await;
        assert_eq!(
            (logs.run.len(), logs.run[1].as_str(), logs.run[3].as_str()),
            (4, "one", "two")
        );
        assert!(logs.run[0].starts_with("=== run of cc:1, 2"), "{logs:?}");
        assert_eq!(logs.build[1], "built");
        assert_eq!(store.read("cc:2").unwrap(), None);
        let garbage = |id: &str| store.garbage(&BTreeSet::from([id.to_owned()])).unwrap();
        assert!(garbage("cc:1").is_empty());
        assert_eq!(garbage("cc:2").len(), 1);
    }

    #[tokio::test]
    async fn a_log_keeps_its_end_and_stays_within_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let store = LogStore {
            root: folder.path().to_owned(),
            max_bytes: 4096,
        };
        let mut log = store.writer(&Handle::current(), "cc:1", Stream::Build);
        for number in 0..1000 {
            log.line(&format!("line {number}"));
            if number % 16 == 0 {
                let seen = format!("line {number}");
                read_until(&store, "cc:1", |logs| logs.build.last() == Some(&seen)).await;
            }
        }
        let logs = read_until(&store, "cc:1", |logs| {
            logs.build.last().is_some_and(|l| l == "line 999")
        })
        .await;
        let bytes: usize = logs.build.iter().map(|line| line.len() + 1).sum();
        assert!(bytes <= 4096, "{bytes}");
        assert!(!logs.build.contains(&"line 0".to_owned()));
    }
}
