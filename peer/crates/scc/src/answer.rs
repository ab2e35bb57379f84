//! What a system chaincode answers, as Fabric's shim makes it.

use bytes::Bytes;
use chaincode::{SccOutcome, TransactionParams};
use channel::proposal_signature;
use prost::Message;
use protos::SignedData;
use protos::peer::Response;

pub(crate) const SUCCESS: i32 = 200;
const ERROR: i32 = 500;

/// `shim.Success`.
pub(crate) fn success(payload: impl Into<Bytes>) -> SccOutcome {
    Response {
        status: SUCCESS,
        message: String::new(),
        payload: payload.into(),
    }
    .into()
}

/// `shim.Success` with an encoded message.
pub(crate) fn success_message(message: &impl Message) -> SccOutcome {
    success(message.encode_to_vec())
}

/// `shim.Error`.
pub(crate) fn error(message: impl Into<String>) -> SccOutcome {
    Response {
        status: ERROR,
        message: message.into(),
        payload: Bytes::new(),
    }
    .into()
}

/// Bytes of a client as text for an answer.
pub(crate) fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The proposal that is being executed: who asks, and the chaincode that was called first.
pub(crate) struct Asker {
    pub(crate) signed: SignedData,
    pub(crate) chaincode: String,
}

impl Asker {
    /// `None` for executions of the peer's own, which no system chaincode answers.
    pub(crate) fn of(params: &TransactionParams) -> Option<Self> {
        let proposal = params.signed_proposal.as_deref()?;
        Some(Self {
            signed: proposal_signature(proposal),
            chaincode: proposal.chaincode.clone(),
        })
    }
}

/// Runs on a thread where reading and writing files is allowed.
pub(crate) async fn blocking(work: impl FnOnce() -> SccOutcome + Send + 'static) -> SccOutcome {
    let span = tracing::Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    done.unwrap_or_else(|broken| {
        tracing::error!(error = %broken, "system chaincode broke off");
        error("internal error")
    })
}
