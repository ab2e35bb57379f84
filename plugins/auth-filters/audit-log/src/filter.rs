//! The filter itself.

use crate::config::{Config, OnFull};
use crate::file::AuditFile;
use crate::outcome::Outcome;
use crate::queue::{Place, Queue, queue};
use crate::record::{Record, attrs};
use crate::writer::{LEVEL, PeerLog, Sink, TARGET, Writer};
use plugin_api::{Code, Filter, Flow, HostRef, PluginError, Request, Result, SharedBytes, count};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

/// Records every request.
pub(crate) struct AuditLog {
    queue: Queue,
    on_full: OnFull,
    attrs: Arc<[String]>,
    host: HostRef,
    writer: Option<JoinHandle<()>>,
}

/// A request on its way, with the place of its record.
pub(crate) struct Pending {
    /// Taken when the record is complete.
    open: Option<(Record, Place)>,
    started: Instant,
    request: Request,
    attrs: Arc<[String]>,
    queue: Queue,
}

impl AuditLog {
    pub(crate) fn new(config: Config, host: HostRef) -> Result<Self> {
        let sink: Box<dyn Sink> = match &config.file {
            Some(path) => Box::new(open(path, &config)?),
            None => {
                if !host.log_enabled(LEVEL, TARGET.into()) {
                    tracing::warn!(
                        "audit records go to the peer's log with level info, which it leaves out: set the level, or name a file"
                    );
                }
                Box::new(PeerLog(host.clone()))
            }
        };
        let (queue, waiting) = queue(config.queue);
        let of_peer = host.clone();
        let lost = Box::new(move |records| count(&of_peer, "dropped", records, &[]));
        let writer = Writer::new(sink, config.on_full, lost)
            .start(waiting)
            .map_err(|error| PluginError::new(Code::UNAVAILABLE, format!("no thread to write: {error}")))?;
        Ok(Self {
            queue,
            on_full: config.on_full,
            attrs: config.attrs.into(),
            host,
            writer: Some(writer),
        })
    }

    /// A place for a record, or what is to be done without one.
    fn place(&self) -> Result<Option<Place>> {
        let place = self.queue.take();
        match self.on_full {
            OnFull::Drop => {
                if place.is_none() {
                    count(&self.host, "dropped", 1, &[]);
                }
                Ok(place)
            }
            OnFull::Deny if self.queue.is_broken() => Err(self.refusal("cannot be written")),
            OnFull::Deny if place.is_none() => Err(self.refusal("has no room for more records")),
            OnFull::Deny => Ok(place),
        }
    }

    fn refusal(&self, why: &str) -> PluginError {
        count(&self.host, "denied", 1, &[]);
        PluginError::new(
            Code::UNAVAILABLE,
            format!("this peer's audit log {why} at the moment: try again later"),
        )
    }
}

fn open(path: &Path, config: &Config) -> Result<AuditFile> {
    let max_size = config.max_size_mib.saturating_mul(1 << 20);
    AuditFile::open(path, max_size, config.keep)
        .map_err(|error| PluginError::config(format!("cannot append to file {}: {error}", path.display())))
}

impl Pending {
    /// False when nobody writes it any more.
    fn end(&mut self, outcome: Outcome) -> bool {
        let Some((record, place)) = self.open.take() else {
            return true;
        };
        let said = attrs(&self.attrs, &self.request);
        let done = record.done(outcome, self.started.elapsed(), said);
        self.queue.put(done, place)
    }
}

/// Of a request that is given up, this is all that a filter sees.
impl Drop for Pending {
    fn drop(&mut self) {
        if self.open.is_some() {
            self.end(Outcome::none());
        }
    }
}

impl Filter for AuditLog {
    type State = Pending;

    async fn before(&self, request: &Request) -> Result<Flow<Pending>> {
        let started = Instant::now();
        let Some(place) = self.place()? else {
            return Ok(Flow::Continue);
        };
        Ok(Flow::ContinueThenAfter(Pending {
            open: Some((Record::of(request), place)),
            started,
            request: request.clone(),
            attrs: Arc::clone(&self.attrs),
            queue: self.queue.clone(),
        }))
    }

    async fn after(
        &self,
        _request: &Request,
        mut pending: Pending,
        outcome: Result<SharedBytes>,
    ) -> Result<SharedBytes> {
        let recorded = pending.end(Outcome::of(&outcome));
        if !recorded && self.on_full == OnFull::Deny {
            return Err(self.refusal("is closed"));
        }
        outcome
    }
}

impl Drop for AuditLog {
    /// Waits until the writer has written what there is. The peer drops instances on threads of their own.
    fn drop(&mut self) {
        self.queue.stop();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of audit records has panicked");
        }
    }
}
