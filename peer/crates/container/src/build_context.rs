//! Archives that are made while they are read: the Docker build context (a tar.gz with the Dockerfile and the platform's
//! files), and a code package in a form that every reader takes alike. An error of the producer ends the stream with
//! that error, so that nothing is built from half an archive.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;

use crate::unpack::{Archived, UnpackLimits, read_package};

/// Bytes per chunk, and chunks that wait for a slow reader: half a megabyte in all.
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 8;

/// Why a build context ended early.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The producer of a file failed.
    #[error(transparent)]
    Producer(Box<dyn Error + Send + Sync>),
    /// Writing an entry failed.
    #[error("Failed to inject {name:?}")]
    Inject {
        /// The entry.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The producer panicked.
    #[error("the build context was not finished")]
    Lost(#[source] tokio::task::JoinError),
}

type TarWriter = Builder<GzEncoder<ChunkWriter>>;

/// Writes entries of a build context; handed to the producer.
pub struct ContextWriter {
    tar: TarWriter,
    names: BTreeSet<String>,
}

impl ContextWriter {
    /// Adds a file from memory. A name that is already there stays as it is.
    pub fn add(&mut self, name: &str, content: &[u8]) -> Result<(), ContextError> {
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.append(name, size, content)
    }

    /// Adds a file from disk, without holding it in memory. A name that is already there stays as it is.
    pub fn add_file(&mut self, name: &str, path: &Path) -> Result<(), ContextError> {
        let inject = |source| ContextError::Inject {
            name: name.to_owned(),
            source,
        };
        let file = File::open(path).map_err(inject)?;
        let size = file.metadata().map_err(inject)?.len();
        self.append(name, size, file.take(size))
    }

    fn append(&mut self, name: &str, size: u64, content: impl Read) -> Result<(), ContextError> {
        if !self.names.insert(name.to_owned()) {
            tracing::debug!(name, "build context has this file already");
            return Ok(());
        }
        let mut header = Header::new_gnu();
        // Fixed owner, mode and time: equal input gives equal bytes.
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o100_644);
        header.set_uid(500);
        header.set_gid(500);
        header.set_mtime(0);
        header.set_size(size);
        self.tar
            .append_data(&mut header, name, content)
            .map_err(|source| ContextError::Inject {
                name: name.to_owned(),
                source,
            })
    }
}

/// A running build context.
pub struct BuildContext(ReceiverStream<Result<Bytes, ContextError>>);

impl Stream for BuildContext {
    type Item = Result<Bytes, ContextError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}

/// Starts the context: `Dockerfile` first, then whatever `produce` writes. `produce` runs on a blocking thread and waits
/// whenever the reader is behind; it fails at its next write when the reader has gone.
pub fn build_context<F>(dockerfile: String, produce: F) -> BuildContext
where
    F: FnOnce(&mut ContextWriter) -> Result<(), ContextError> + Send + 'static,
{
    stream(move |tar| {
        let mut writer = ContextWriter {
            tar,
            names: BTreeSet::new(),
        };
        writer.add("Dockerfile", dockerfile.as_bytes())?;
        produce(&mut writer)?;
        Ok(writer.tar)
    })
}

/// A code package as a tar.gz of plain headers, with nothing in it that [`read_package`] does not know: engines unpack
/// what they get with a reader of their own, and without limits.
pub(crate) fn package_archive(package: Bytes, limits: UnpackLimits) -> BuildContext {
    stream(move |tar| {
        let mut target = Archived(tar);
        read_package(&package, &mut target, &limits)
            .map_err(|error| ContextError::Producer(Box::new(error)))?;
        Ok(target.0)
    })
}

fn stream<F>(produce: F) -> BuildContext
where
    F: FnOnce(TarWriter) -> Result<TarWriter, ContextError> + Send + 'static,
{
    let (chunks, receiver) = mpsc::channel(CHUNKS);
    let writer = ChunkWriter {
        chunks: chunks.clone(),
        buffer: Vec::with_capacity(CHUNK),
    };
    let work = tokio::task::spawn_blocking(move || {
        let gzip = GzEncoder::new(writer, Compression::fast());
        let tar = produce(Builder::new(gzip))?;
        let finished = tar.into_inner().and_then(GzEncoder::finish);
        finished
            .and_then(|mut writer| writer.flush())
            .map_err(|source| ContextError::Inject {
                name: "end of archive".to_owned(),
                source,
            })
    });
    tokio::spawn(async move {
        let failure = match work.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(lost) => ContextError::Lost(lost),
        };
        if let Err(unread) = chunks.send(Err(failure)).await {
            tracing::debug!(error = ?unread.0.err(), "nobody reads the build context any more");
        }
    });
    BuildContext(ReceiverStream::new(receiver))
}

struct ChunkWriter {
    chunks: mpsc::Sender<Result<Bytes, ContextError>>,
    buffer: Vec<u8>,
}

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK)));
        self.chunks
            .blocking_send(Ok(chunk))
            .map_err(|gone| io::Error::new(io::ErrorKind::BrokenPipe, gone))
    }
}

#[cfg(test)]
mod tests;
