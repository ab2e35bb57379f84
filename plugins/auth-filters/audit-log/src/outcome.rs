//! What came of a request.

use bytes::Bytes;
use plugin_api::{Code, PluginError, Result, SharedBytes};
use prost::Message;
use serde::Serialize;

/// The kinds of outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decision {
    Endorsed,
    Answered,
    Rejected,
    Failed,
}

/// What is recorded of an outcome.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) decision: Decision,
    pub(crate) code: u32,
    pub(crate) text: Vec<u8>,
    /// Of the response.
    pub(crate) status: Option<i32>,
}

/// `protos.ProposalResponse`, without what nobody records.
#[derive(Clone, PartialEq, Message)]
struct ProposalResponse {
    #[prost(message, optional, tag = "4")]
    response: Option<Response>,
    #[prost(message, optional, tag = "6")]
    endorsement: Option<Endorsement>,
}

/// `protos.Response`; its message is read as bytes, since a record of odd text is better than none.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(int32, tag = "1")]
    status: i32,
    #[prost(bytes = "bytes", tag = "2")]
    message: Bytes,
}

/// `protos.Endorsement`, of which only its being there counts.
#[derive(Clone, PartialEq, Message)]
struct Endorsement {}

const CANCELLED: u32 = 1;
const DEADLINE_EXCEEDED: u32 = 4;
/// Codes from here on are not gRPC's: panics, timeouts.
const NOT_GRPC: u32 = 17;

impl Outcome {
    pub(crate) fn of(outcome: &Result<SharedBytes>) -> Self {
        match outcome {
            Ok(bytes) => Self::answered(bytes.clone()),
            Err(error) => Self::refused(error),
        }
    }

    /// Of a request that ended without one.
    pub(crate) fn none() -> Self {
        Self {
            decision: Decision::Failed,
            code: CANCELLED,
            text: b"the request ended before it had an outcome".to_vec(),
            status: None,
        }
    }

    fn answered(bytes: SharedBytes) -> Self {
        let Ok(answer) = ProposalResponse::decode(Bytes::from_owner(bytes)) else {
            return Self {
                decision: Decision::Answered,
                code: 0,
                text: b"the answer is no ProposalResponse".to_vec(),
                status: None,
            };
        };
        let decision = match answer.endorsement {
            Some(_signed) => Decision::Endorsed,
            None => Decision::Answered,
        };
        let (status, message) = answer
            .response
            .map(|response| (response.status, response.message))
            .unzip();
        Self {
            decision,
            code: 0,
            text: message.unwrap_or_default().to_vec(),
            status,
        }
    }

    fn refused(error: &PluginError) -> Self {
        let failed = [
            DEADLINE_EXCEEDED,
            Code::INTERNAL.0,
            Code::UNAVAILABLE.0,
            CANCELLED,
        ];
        let decision = match error.code.0 {
            code if code >= NOT_GRPC || failed.contains(&code) => Decision::Failed,
            _ => Decision::Rejected,
        };
        Self {
            decision,
            code: error.code.0,
            text: error.message.as_bytes().to_vec(),
            status: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: i32, signed: bool) -> Result<SharedBytes> {
        let response = ProposalResponse {
            response: Some(Response {
                status,
                message: Bytes::from_static(b"said \xff"),
            }),
            endorsement: signed.then(Endorsement::default),
        };
        Ok(response.encode_to_vec().into())
    }

    #[test]
    fn a_signature_is_what_tells_answers_apart() {
        let endorsed = Outcome::of(&answer(200, true));
        assert_eq!((endorsed.decision, endorsed.code), (Decision::Endorsed, 0));
        assert_eq!(
            (endorsed.status, endorsed.text.as_slice()),
            (Some(200), b"said \xff".as_slice())
        );
        let answered = Outcome::of(&answer(500, false));
        assert_eq!(
            (answered.decision, answered.status),
            (Decision::Answered, Some(500))
        );
        let empty = Outcome::of(&Ok(SharedBytes::empty()));
        assert_eq!((empty.decision, empty.status), (Decision::Answered, None));
        let odd = Outcome::of(&Ok(b"\xff\xff".to_vec().into()));
        assert_eq!(odd.text, b"the answer is no ProposalResponse");
    }

    #[test]
    fn refusals_are_decisions_and_breakdowns_are_not() {
        for (code, decision) in [
            (2, Decision::Rejected),
            (7, Decision::Rejected),
            (8, Decision::Rejected),
            (16, Decision::Rejected),
            (1, Decision::Failed),
            (4, Decision::Failed),
            (13, Decision::Failed),
            (14, Decision::Failed),
            (1000, Decision::Failed),
        ] {
            let outcome = Outcome::of(&Err(PluginError::new(Code(code), "because")));
            assert_eq!((outcome.decision, outcome.code), (decision, code));
            assert_eq!(outcome.text, b"because");
        }
    }
}
