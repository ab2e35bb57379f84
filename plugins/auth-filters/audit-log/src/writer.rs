//! The thread that turns records into lines and writes them.

use crate::config::OnFull;
use crate::creator::Creators;
use crate::file::AuditFile;
use crate::queue::{Message, Place, Waiting};
use plugin_api::{HostRef, Pairs};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Records that are written at once.
const BATCH: usize = 256;
/// How long after a failed write the next one is tried.
const RETRY: Duration = Duration::from_secs(1);
/// Longest line in the peer's log, and about the longest there is.
const MAX_LINE: usize = 8192;
/// The level and the target of records in the peer's log: info.
pub(crate) const LEVEL: u8 = 3;
pub(crate) const TARGET: &str = "audit";

/// Where lines go.
pub(crate) trait Sink: Send {
    /// Writes lines. After an error the same lines (and any after them) come again, or [`Sink::give_up`].
    fn write(&mut self, lines: &str) -> io::Result<()>;

    /// The lines that could not be written will not come again.
    fn give_up(&mut self) {}
}

impl Sink for AuditFile {
    fn write(&mut self, lines: &str) -> io::Result<()> {
        Self::write(self, lines.as_bytes())
    }

    fn give_up(&mut self) {
        Self::give_up(self);
    }
}

/// The peer's log.
pub(crate) struct PeerLog(pub(crate) HostRef);

impl Sink for PeerLog {
    fn write(&mut self, lines: &str) -> io::Result<()> {
        for line in lines.lines() {
            self.0.log(LEVEL, TARGET.into(), line.into(), Pairs::EMPTY);
        }
        Ok(())
    }
}

/// The writer.
pub(crate) struct Writer {
    sink: Box<dyn Sink>,
    on_full: OnFull,
    /// Counts records that nobody will ever read.
    lost: Box<dyn Fn(u64) + Send>,
    retry: Duration,
}

/// What waits to be written, and the places that it keeps.
#[derive(Default)]
struct Batch {
    lines: String,
    places: Vec<Place>,
}

/// Says that nobody writes, also when the thread panics.
struct Alive(Arc<AtomicBool>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Writer {
    pub(crate) fn new(sink: Box<dyn Sink>, on_full: OnFull, lost: Box<dyn Fn(u64) + Send>) -> Self {
        Self {
            sink,
            on_full,
            lost,
            retry: RETRY,
        }
    }

    /// Starts the thread.
    pub(crate) fn start(self, waiting: Waiting) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new()
            .name("audit-log".to_owned())
            .spawn(move || self.run(&waiting))
    }

    fn run(mut self, waiting: &Waiting) {
        let _alive = Alive(Arc::clone(&waiting.broken));
        let mut creators = Creators::new();
        while let Some((mut batch, told_to_stop)) = gather(&waiting.receiver, &mut creators) {
            if told_to_stop || !self.write(&mut batch, waiting, &mut creators) {
                return self.finish(batch, &waiting.receiver, &mut creators);
            }
        }
    }

    /// Tries until the batch is written, or gives up what may be dropped. False when it was told to stop meanwhile.
    fn write(&mut self, batch: &mut Batch, waiting: &Waiting, creators: &mut Creators) -> bool {
        loop {
            let Err(error) = self.sink.write(&batch.lines) else {
                if waiting.broken.swap(false, Ordering::Relaxed) {
                    tracing::warn!("audit records are written again");
                }
                return true;
            };
            if !waiting.broken.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, on_full = ?self.on_full, "audit records cannot be written");
            }
            if self.on_full == OnFull::Drop {
                self.give_up(batch);
                return true;
            }
            if pause(&waiting.receiver, self.retry, batch, creators) {
                return false;
            }
        }
    }

    /// Writes what came before the end, once.
    fn finish(&mut self, mut batch: Batch, receiver: &Receiver<Message>, creators: &mut Creators) {
        while let Ok(message) = receiver.try_recv() {
            batch.add(message, creators);
        }
        if batch.places.is_empty() {
            return;
        }
        if let Err(error) = self.sink.write(&batch.lines) {
            tracing::error!(%error, records = batch.places.len(), "audit records are lost");
            self.give_up(&batch);
        }
    }

    fn give_up(&mut self, batch: &Batch) {
        self.sink.give_up();
        (self.lost)(u64::try_from(batch.places.len()).unwrap_or(u64::MAX));
    }
}

impl Batch {
    /// True for the message that says stop.
    fn add(&mut self, message: Message, creators: &mut Creators) -> bool {
        let Message::Record(done, place) = message else {
            return true;
        };
        self.lines.push_str(&done.line(creators, MAX_LINE));
        self.places.push(place);
        false
    }
}

/// Waits for a record, and takes what else is there. None when nobody is left who could send one.
fn gather(receiver: &Receiver<Message>, creators: &mut Creators) -> Option<(Batch, bool)> {
    let mut batch = Batch::default();
    let mut stop = batch.add(receiver.recv().ok()?, creators);
    while !stop && batch.places.len() < BATCH {
        match receiver.try_recv() {
            Ok(message) => stop = batch.add(message, creators),
            Err(_nothing_more) => break,
        }
    }
    Some((batch, stop))
}

/// Waits until it is worth to try again, and collects what comes meanwhile (as much as there are places). True when told
/// to stop.
fn pause(receiver: &Receiver<Message>, wait: Duration, batch: &mut Batch, creators: &mut Creators) -> bool {
    let started = Instant::now();
    loop {
        let left = wait.saturating_sub(started.elapsed());
        match receiver.recv_timeout(left) {
            Ok(message) => {
                if batch.add(message, creators) {
                    return true;
                }
            }
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => return true,
        }
    }
}

#[cfg(test)]
mod tests;
