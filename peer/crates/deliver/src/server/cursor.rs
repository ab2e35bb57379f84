//! Seek positions turned into block numbers (Fabric blockledger's `Iterator` and deliver.go).

use protos::common::Status;
use protos::orderer::seek_position::Type;
use protos::orderer::{SeekInfo, SeekPosition, seek_info};

/// The blocks that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The block to send next.
    pub(crate) next: u64,
    /// The block after which the request is done.
    pub(crate) stop: u64,
    /// Whether a block that does not exist yet ends the request.
    pub(crate) fail_if_not_ready: bool,
    /// Whether blocks are sent without their transactions.
    pub(crate) header_only: bool,
    /// Whether errors of the consenter are to be ignored.
    pub(crate) best_effort: bool,
}

impl Cursor {
    /// The cursor of a request on a channel of that height, or the status that refuses it.
    pub(crate) fn new(seek: &SeekInfo, height: u64) -> Result<Self, Status> {
        let (Some(start), Some(stop)) = (&seek.start, &seek.stop) else {
            return Err(Status::BadRequest);
        };
        let next = start_number(start, height).ok_or(Status::NotFound)?;
        let stop = match &stop.r#type {
            Some(Type::Oldest(_)) => next,
            // the newest block alone: not a second one that came in between
            Some(Type::Newest(_)) if seek.start == seek.stop => next,
            Some(Type::Newest(_)) => height.saturating_sub(1),
            Some(Type::Specified(specified)) if specified.number < next => return Err(Status::BadRequest),
            Some(Type::Specified(specified)) => specified.number,
            // Fabric leaves the stop at its zero value here
            Some(Type::NextCommit(_)) | None => 0,
        };
        Ok(Self {
            next,
            stop,
            fail_if_not_ready: seek.behavior == seek_info::SeekBehavior::FailIfNotReady as i32,
            header_only: seek.content_type == seek_info::SeekContentType::HeaderWithSigBlock as i32,
            best_effort: is_best_effort(seek),
        })
    }
}

/// Whether errors of the consenter are to be ignored.
pub(crate) fn is_best_effort(seek: &SeekInfo) -> bool {
    seek.error_response == seek_info::SeekErrorResponse::BestEffort as i32
}

/// Where to start; `None` for a position that cannot become available by waiting for one block.
fn start_number(start: &SeekPosition, height: u64) -> Option<u64> {
    match &start.r#type {
        Some(Type::Oldest(_)) => Some(0),
        Some(Type::Newest(_)) => Some(height.saturating_sub(1)),
        Some(Type::Specified(specified)) => (specified.number <= height).then_some(specified.number),
        Some(Type::NextCommit(_)) => Some(height),
        None => None,
    }
}
