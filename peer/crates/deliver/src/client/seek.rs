//! Seek requests and the streams that answer them.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use msp::LocalSigner;
use prost::Message;
use protos::common::{Block, Envelope, HeaderType, Status};
use protos::orderer::seek_position::Type;
use protos::orderer::{SeekInfo, SeekNewest, SeekOldest, SeekPosition, SeekSpecified};
use protos::peer::FilteredBlock;
use protos::{orderer, peer};
use tonic::{Response, Streaming};

use crate::envelope::{EnvelopeContent, SignEnvelopeError, create_signed_envelope};

/// One answer of a deliver stream.
#[derive(Debug)]
pub(crate) enum Delivered {
    Status(Status),
    Block(Block),
    Filtered(FilteredBlock),
    /// A message of a kind this peer does not ask for.
    Unknown,
}

impl From<orderer::DeliverResponse> for Delivered {
    fn from(response: orderer::DeliverResponse) -> Self {
        use orderer::deliver_response::Type;
        match response.r#type {
            Some(Type::Status(status)) => Self::Status(Status::try_from(status).unwrap_or_default()),
            Some(Type::Block(block)) => Self::Block(block),
            None => Self::Unknown,
        }
    }
}

impl From<peer::DeliverResponse> for Delivered {
    fn from(response: peer::DeliverResponse) -> Self {
        use peer::deliver_response::Type;
        match response.r#type {
            Some(Type::Status(status)) => Self::Status(Status::try_from(status).unwrap_or_default()),
            Some(Type::Block(block)) => Self::Block(block),
            Some(Type::FilteredBlock(block)) => Self::Filtered(block),
            Some(Type::BlockAndPrivateData(_)) | None => Self::Unknown,
        }
    }
}

/// The answers of a deliver call. The call itself is part of the stream, because a Go server sends its
/// response headers no earlier than the first answer.
pub(crate) type Deliveries = Pin<Box<dyn Stream<Item = Result<Delivered, tonic::Status>> + Send>>;

/// The stream behind a call that is still being opened.
pub(crate) fn deliveries<R, F>(call: F) -> Deliveries
where
    F: Future<Output = Result<Response<Streaming<R>>, tonic::Status>> + Send + 'static,
    R: Into<Delivered> + Send + 'static,
{
    let opened = stream::once(async move { call.await.map(Response::into_inner) });
    Box::pin(opened.try_flatten().map_ok(Into::into))
}

/// A request stream of one envelope that stays open: closing it is the client's way to hang up.
pub(crate) fn requests(envelope: Envelope) -> impl Stream<Item = Envelope> + Send + 'static {
    stream::iter([envelope]).chain(stream::pending())
}

/// A signed seek request.
pub(crate) fn seek_envelope(
    signer: &LocalSigner,
    channel: &str,
    seek: &SeekInfo,
    tls_cert_hash: Bytes,
) -> Result<Envelope, SignEnvelopeError> {
    let content = EnvelopeContent {
        header_type: HeaderType::DeliverSeekInfo,
        channel_id: channel.to_owned(),
        data: seek.encode_to_vec().into(),
        tls_cert_hash,
    };
    create_signed_envelope(signer, content)
}

pub(crate) fn newest() -> SeekPosition {
    SeekPosition {
        r#type: Some(Type::Newest(SeekNewest {})),
    }
}

pub(crate) fn oldest() -> SeekPosition {
    SeekPosition {
        r#type: Some(Type::Oldest(SeekOldest {})),
    }
}

pub(crate) fn specified(number: u64) -> SeekPosition {
    SeekPosition {
        r#type: Some(Type::Specified(SeekSpecified { number })),
    }
}

/// From a position on, without end.
pub(crate) fn from_on(start: SeekPosition) -> SeekInfo {
    SeekInfo {
        start: Some(start),
        stop: Some(specified(u64::MAX)),
        ..Default::default()
    }
}

/// The positions, for tests of the server.
#[cfg(test)]
pub(crate) mod test_positions {
    use protos::orderer::SeekNextCommit;

    use super::{SeekPosition, Type};
    pub(crate) use super::{newest, oldest, specified};

    pub(crate) fn next_commit() -> SeekPosition {
        SeekPosition {
            r#type: Some(Type::NextCommit(SeekNextCommit {})),
        }
    }
}
