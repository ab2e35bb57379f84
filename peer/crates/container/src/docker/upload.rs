//! Archives on their way to the engine.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};
use parking_lot::Mutex;

use super::error::DockerError;
use crate::build_context::{BuildContext, ContextError};

/// Why an archive ended early, if it did: the client then only knows that its body failed.
pub(super) struct Broken(Arc<Mutex<Option<ContextError>>>);

/// A small archive, for the body of a request.
pub(super) fn whole(archive: Vec<u8>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::iter([Ok(Bytes::from(archive))])
}

/// An archive in the making, likewise.
pub(super) fn streamed(
    archive: BuildContext,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, Broken) {
    let broken = Broken(Arc::default());
    let keep = Arc::clone(&broken.0);
    let body = archive.map_err(move |error| {
        let told = io::Error::other(error.to_string());
        *keep.lock() = Some(error);
        told
    });
    (body, broken)
}

impl Broken {
    /// The answer, unless the archive itself was what failed.
    pub(super) fn or<T>(self, action: &str, answer: Result<T, DockerError>) -> Result<T, DockerError> {
        match self.0.lock().take() {
            Some(error) => Err(DockerError::context(action, error)),
            None => answer,
        }
    }
}
