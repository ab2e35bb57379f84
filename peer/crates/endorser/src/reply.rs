//! Every way a proposal ends, as the client sees it. Nobody else builds a response.

use bytes::Bytes;
use protos::peer::{ChaincodeInterest, Endorsement, ProposalResponse, Response};
use protos::wire_message;

use crate::pre_process::PreProcessError;
use crate::simulate::{ERROR_THRESHOLD, SimulateError};

/// From this status on Fabric still shows the payload (`shim.ERROR`).
const ERROR: i32 = 500;
/// The version of a response that is endorsed.
const VERSION: i32 = 1;

/// A proposal that gets no response: the text of a gRPC status UNKNOWN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct RejectedProposal {
    /// What the client is told.
    pub text: String,
}

impl From<protos::UnpackError> for RejectedProposal {
    fn from(error: protos::UnpackError) -> Self {
        Self {
            text: wire_message(&error),
        }
    }
}

impl From<PreProcessError> for RejectedProposal {
    fn from(error: PreProcessError) -> Self {
        Self {
            text: wire_message(&error),
        }
    }
}

/// What becomes of a chaincode's response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Shown with the payload, so that tools can look into it; not endorsed.
    Error,
    /// Shown alone.
    Plain,
    /// Endorsed.
    Endorsed,
}

impl Fate {
    pub(crate) fn of(status: i32, without_channel: bool) -> Self {
        match status {
            ERROR.. => Self::Error,
            _ if without_channel => Self::Plain,
            ERROR_THRESHOLD.. => Self::Plain,
            _ => Self::Endorsed,
        }
    }
}

/// The chaincode's response alone.
pub(crate) fn plain(response: Response) -> ProposalResponse {
    ProposalResponse {
        response: Some(response),
        ..Default::default()
    }
}

/// The chaincode's response with what it came from, not endorsed.
pub(crate) fn unendorsed(
    response: Response,
    payload: Bytes,
    interest: Option<ChaincodeInterest>,
) -> ProposalResponse {
    ProposalResponse {
        payload,
        interest,
        ..plain(response)
    }
}

/// The chaincode's response, endorsed.
pub(crate) fn endorsed(
    response: Response,
    payload: Bytes,
    interest: Option<ChaincodeInterest>,
    endorsement: Endorsement,
) -> ProposalResponse {
    ProposalResponse {
        version: VERSION,
        endorsement: Some(endorsement),
        ..unendorsed(response, payload, interest)
    }
}

/// Status 500 with the failure's text.
pub(crate) fn failed(error: &SimulateError) -> ProposalResponse {
    let response = Response {
        status: ERROR,
        message: wire_message(error),
        payload: Bytes::new(),
    };
    plain(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_decides_what_is_endorsed() {
        for (status, without_channel, fate) in [
            (0, false, Fate::Endorsed),
            (200, false, Fate::Endorsed),
            (399, false, Fate::Endorsed),
            (400, false, Fate::Plain),
            (499, false, Fate::Plain),
            (500, false, Fate::Error),
            (1000, false, Fate::Error),
            (-1, false, Fate::Endorsed),
            (200, true, Fate::Plain),
            (404, true, Fate::Plain),
            (500, true, Fate::Error),
        ] {
            assert_eq!(Fate::of(status, without_channel), fate, "{status}");
        }
    }

    #[test]
    fn a_failure_is_a_response_with_its_text() {
        let reply = failed(&SimulateError::NoChannel("x".into()));
        let response = reply.response.unwrap();
        assert_eq!(
            (response.status, response.message.as_str()),
            (500, "channel 'x' not found")
        );
        assert_eq!((reply.version, reply.endorsement), (0, None));
    }
}
