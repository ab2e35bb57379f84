//! Why a broadcast message is not accepted: Fabric's texts and statuses.

use std::error::Error;
use std::time::Duration;

use deliver::SignEnvelopeError;
use protos::common::Status;
use protos::{EnvelopeError, wire_message};

/// Why a message is not ordered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("could not determine channel ID")]
    Envelope(#[source] EnvelopeError),
    #[error("message is of type that cannot be processed directly")]
    NotDirect,
    #[error("channel creation request not allowed because the orderer system channel is not defined")]
    NoSystemChannel,
    #[error("channel does not exist")]
    NoChannel,
    #[error("message payload is {size} bytes and exceeds maximum allowed {max} bytes")]
    TooLarge { size: u64, max: u64 },
    #[error("broadcast client identity expired")]
    Expired,
    /// Fabric puts the cause first.
    #[error("{}: permission denied", wire_message(.0.as_ref()))]
    PermissionDenied(Box<dyn Error + Send + Sync>),
    #[error("{0}: maintenance mode")]
    Maintenance(&'static str),
    /// The rules of channel creation speak for themselves.
    #[error("{}", wire_message(.0.as_ref()))]
    NewChannel(Box<dyn Error + Send + Sync>),
    #[error("{context}")]
    Context {
        context: String,
        #[source]
        source: Box<dyn Error + Send + Sync>,
        status: Status,
    },
    #[error("channel creation would exceed maximimum number of channels: {0}")]
    TooManyChannels(u64),
    #[error("could not create the configuration transaction")]
    Sign(#[from] SignEnvelopeError),
    #[error("channel accepts no message within {0:?}, its queue is full")]
    Overloaded(Duration),
    #[error("channel has stopped")]
    Stopped,
}

impl Rejection {
    /// The same refusal with words before it.
    pub(crate) fn within(self, context: impl Into<String>) -> Self {
        let status = self.status();
        Self::Context {
            context: context.into(),
            source: Box::new(self),
            status,
        }
    }

    /// What the client is told.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::NoChannel => Status::NotFound,
            Self::PermissionDenied(_) => Status::Forbidden,
            Self::Maintenance(_) | Self::Overloaded(_) | Self::Stopped => Status::ServiceUnavailable,
            Self::Context { status, .. } => *status,
            Self::Sign(_) => Status::InternalServerError,
            _ => Status::BadRequest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_keeps_the_status_and_comes_first() {
        let denied = Rejection::PermissionDenied("no such member".into());
        let denied = denied.within("config update for existing channel did not pass initial checks");
        assert_eq!(denied.status(), Status::Forbidden);
        assert_eq!(
            wire_message(&denied),
            "config update for existing channel did not pass initial checks: no such member: permission denied"
        );
    }

    #[test]
    fn statuses_are_fabrics() {
        let table = [
            (Rejection::NoSystemChannel, Status::BadRequest),
            (Rejection::NoChannel, Status::NotFound),
            (Rejection::TooLarge { size: 2, max: 1 }, Status::BadRequest),
            (
                Rejection::Maintenance("normal transactions are rejected"),
                Status::ServiceUnavailable,
            ),
            (Rejection::Overloaded(Duration::ZERO), Status::ServiceUnavailable),
        ];
        for (rejection, status) in table {
            assert_eq!(rejection.status(), status, "{rejection}");
        }
    }
}
