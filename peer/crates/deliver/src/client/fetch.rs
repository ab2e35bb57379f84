//! One block from a deliver stream.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use msp::LocalSigner;
use protos::common::{Block, Envelope, Status};
use protos::last_config_index;
use protos::orderer::{SeekInfo, seek_info};

use super::seek::{Delivered, Deliveries, newest, oldest, seek_envelope, specified};
use crate::envelope::SignEnvelopeError;

/// How long a server may take to answer.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// Which block to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The last one.
    Newest,
    /// The first one.
    Oldest,
    /// The one with this number.
    Number(u64),
}

/// Why a block was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The request could not be signed.
    #[error("could not create the seek request")]
    Sign(#[from] SignEnvelopeError),
    /// The server refused: unknown channel, no access, no such block.
    #[error("can't read the block: {}", .0.as_str_name())]
    Refused(Status),
    /// The call failed.
    #[error("deliver call failed")]
    Call(#[source] Box<tonic::Status>),
    /// The server hung up or sent something else.
    #[error("server ended the stream without a block")]
    NoBlock,
    /// A block's metadata does not name its configuration block.
    #[error("newest block does not name its configuration block")]
    NoConfigIndex(#[source] protos::BlockError),
    /// It takes too long.
    #[error("no block within {0:?}")]
    Timeout(Duration),
}

/// How a client asks for single blocks.
#[derive(Clone)]
pub(crate) struct Fetcher {
    /// Binds the requests to the client's connection.
    pub(crate) tls_cert_hash: Bytes,
    /// Whether to take blocks also from a server that knows itself to be in trouble.
    pub(crate) best_effort: bool,
}

impl Fetcher {
    /// One block, from the service that `deliver` sends requests to.
    pub(crate) async fn block(
        &self,
        deliver: impl Fn(Envelope) -> Deliveries,
        signer: &LocalSigner,
        channel: &str,
        position: Position,
    ) -> Result<Block, FetchError> {
        let seek = single(position, self.best_effort);
        let envelope = seek_envelope(signer, channel, &seek, self.tls_cert_hash.clone())?;
        read_block(deliver(envelope), ANSWER_DEADLINE).await
    }

    /// The block that the newest one names as its configuration.
    pub(crate) async fn config_block(
        &self,
        deliver: impl Fn(Envelope) -> Deliveries,
        signer: &LocalSigner,
        channel: &str,
    ) -> Result<Block, FetchError> {
        let newest = self.block(&deliver, signer, channel, Position::Newest).await?;
        let number = last_config_index(&newest).map_err(FetchError::NoConfigIndex)?;
        self.block(&deliver, signer, channel, Position::Number(number))
            .await
    }
}

/// A request for that one block.
fn single(position: Position, best_effort: bool) -> SeekInfo {
    let error_response = if best_effort {
        seek_info::SeekErrorResponse::BestEffort
    } else {
        seek_info::SeekErrorResponse::Strict
    };
    let position = match position {
        Position::Newest => newest(),
        Position::Oldest => oldest(),
        Position::Number(number) => specified(number),
    };
    SeekInfo {
        start: Some(position),
        stop: Some(position),
        behavior: seek_info::SeekBehavior::FailIfNotReady.into(),
        error_response: error_response.into(),
        ..Default::default()
    }
}

/// The block that the stream answers with.
async fn read_block(mut answers: Deliveries, deadline: Duration) -> Result<Block, FetchError> {
    let answer = tokio::time::timeout(deadline, answers.next()).await;
    match answer.map_err(|_elapsed| FetchError::Timeout(deadline))? {
        Some(Ok(Delivered::Block(block))) => Ok(block),
        Some(Ok(Delivered::Status(status))) => Err(FetchError::Refused(status)),
        Some(Err(status)) => Err(FetchError::Call(Box::new(status))),
        Some(Ok(Delivered::Filtered(_) | Delivered::Unknown)) | None => Err(FetchError::NoBlock),
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, seek_info::SeekErrorResponse, single};

    #[test]
    fn best_effort_is_asked_for_only_when_wanted() {
        let strict = single(Position::Newest, false);
        assert_eq!(strict.error_response(), SeekErrorResponse::Strict);
        let lenient = single(Position::Newest, true);
        assert_eq!(lenient.error_response(), SeekErrorResponse::BestEffort);
    }
}
