//! What a process says, line by line, kept in a file too.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A build with npm on a busy machine.
const DEADLINE: Duration = Duration::from_secs(240);

/// The lines of a stream, read by a thread so that the process never waits for us.
pub struct Lines(Receiver<String>);

impl Lines {
    /// Reads a stream until it ends.
    pub fn of(stream: impl Read + Send + 'static, log: &Path) -> Self {
        let mut log = File::create(log).unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { return };
                writeln!(log, "{line}").ok();
                // nobody may be listening any more
                sender.send(line).ok();
            }
        });
        Self(lines)
    }

    /// Waits for a line with this text. The test fails when the process ends or takes too long.
    pub fn wait_for(&self, text: &str) -> String {
        let until = Instant::now() + DEADLINE;
        let mut seen = Vec::new();
        loop {
            match self
                .0
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("no {text:?} in time:\n{}", seen.join("\n")),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the process ended without {text:?}:\n{}", seen.join("\n"))
                }
            }
        }
    }

    /// Everything that is still to come from a process that ends.
    pub fn rest(&self) -> String {
        self.0.iter().collect::<Vec<_>>().join("\n")
    }
}
