//! One connected chaincode: executes transactions on its stream.

use std::borrow::Cow;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use protos::MAX_MESSAGE_SIZE;
use protos::peer::ChaincodeMessage;
use protos::peer::chaincode_message::Type;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::config::SEND_TIMEOUT;
use crate::metrics::Metrics;
use crate::stream_state::type_name;
use crate::support::ChaincodeSupport;
use crate::transaction::{InvocationKind, TransactionParams};
use crate::transaction_context::{ContextExists, TransactionContext, TransactionContexts};

/// Where the messages for one chaincode go.
pub type Outbound = mpsc::Sender<Result<ChaincodeMessage, Status>>;

/// A message could not be sent. Unless the message is to blame, the stream is of no more use.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("[{}] error sending {message}: {reason}", short(.tx_id))]
pub struct SendError {
    tx_id: String,
    message: String,
    reason: Cow<'static, str>,
}

/// Why a transaction got no answer from chaincode.
#[derive(Debug, thiserror::Error)]
pub enum SendingError {
    /// The transaction runs already.
    #[error(transparent)]
    Exists(#[from] ContextExists),
    /// The chaincode took too long.
    #[error("timeout expired while executing transaction")]
    Timeout,
    /// The chaincode has gone.
    #[error("chaincode stream terminated{}", .0.as_ref().map(|exit| format!(": {exit}")).unwrap_or_default())]
    StreamTerminated(Option<container::ExitInfo>),
}

/// Lines of a crashed chaincode's output that clients get to see: the message of a panic or an uncaught exception …
const CRASH_LINES: usize = 5;
/// … and their bytes. The whole output is in the peer's log.
const CRASH_BYTES: usize = 1024;

/// How a line begins in which a runtime of Go or Java says why it gives up, before the stack that ended there.
const REASONS: [&str; 3] = ["panic: ", "fatal error: ", "Exception in thread "];

/// How a chaincode ended that was running, as far as clients are concerned: its log is not theirs to read. The end of a
/// trace says nothing without the reason, which is above it.
pub(crate) fn crash(mut exit: container::ExitInfo) -> container::ExitInfo {
    let above = exit.last_lines.len().saturating_sub(CRASH_LINES);
    let reason = exit.last_lines.iter().take(above).rfind(|line| is_reason(line));
    let reason = reason.map(|line| {
        let end = boundary(line, CRASH_BYTES / 2);
        line.get(..end).unwrap_or_default().to_owned()
    });
    let mut left = CRASH_BYTES.saturating_sub(reason.as_ref().map_or(0, |line| line.len() + 1));
    let mut lines = Vec::new();
    for mut line in exit.last_lines.into_iter().rev().take(CRASH_LINES) {
        let cut = line.len() > left;
        line.truncate(boundary(&line, left));
        left = left.saturating_sub(line.len() + 1);
        lines.push(line);
        if cut {
            break;
        }
    }
    lines.extend(reason);
    lines.reverse();
    exit.last_lines = lines;
    exit
}

/// Node begins such a line with the class of the error, as in `TypeError: …`.
fn is_reason(line: &str) -> bool {
    let class = line.split(' ').next().unwrap_or_default();
    REASONS.iter().any(|begin| line.starts_with(begin))
        || class.ends_with("Error:")
        || class.ends_with("Exception:")
}

/// The last place up to `limit` where a text can be cut.
fn boundary(text: &str, limit: usize) -> usize {
    let places = text.char_indices().map(|(place, _)| place).chain([text.len()]);
    places.take_while(|place| *place <= limit).last().unwrap_or(0)
}

/// First eight characters of a transaction id, as in Fabric's logs.
pub fn short(tx_id: &str) -> String {
    tx_id.chars().take(8).collect()
}

/// The answer to a transaction whose message gRPC would not send. It must not get into the queue: the stream would
/// end, and with it the transactions of everybody else.
fn too_large(message: &ChaincodeMessage) -> Option<ChaincodeMessage> {
    let size = message.encoded_len();
    if size <= MAX_MESSAGE_SIZE {
        return None;
    }
    let error = SendError {
        tx_id: message.txid.clone(),
        message: type_name(message.r#type),
        reason: format!(
            "rpc error: code = ResourceExhausted desc = trying to send message larger than max \
             ({size} vs. {MAX_MESSAGE_SIZE})"
        )
        .into(),
    };
    Some(ChaincodeMessage {
        r#type: Type::Error.into(),
        payload: error.to_string().into(),
        txid: message.txid.clone(),
        channel_id: message.channel_id.clone(),
        ..Default::default()
    })
}

/// The peer's side of one stream.
pub struct ChaincodeHandler {
    name: String,
    pub(crate) support: Weak<ChaincodeSupport>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) contexts: TransactionContexts,
    /// None once the stream has ended.
    outbound: Mutex<Option<Outbound>>,
    send_failure: Mutex<Option<SendError>>,
    /// Cancelled by the first failure to send: the receive loop ends then.
    pub(crate) sending_failed: CancellationToken,
    /// Cancelled when the stream has ended: nobody waits for answers any more.
    ended: CancellationToken,
}

/// What is to be executed on a stream.
pub struct Call {
    /// The transaction.
    pub params: Arc<TransactionParams>,
    /// Name of the chaincode, the namespace of its state.
    pub namespace: Arc<str>,
    /// The entry point.
    pub kind: InvocationKind,
    /// The encoded `ChaincodeInput`.
    pub input: Bytes,
    /// How long it may take.
    pub timeout: Duration,
}

/// Takes the transaction out on every way out of an execution.
struct Entered<'a> {
    contexts: &'a TransactionContexts,
    context: Arc<TransactionContext>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.contexts.delete(&self.context);
    }
}

impl ChaincodeHandler {
    pub(crate) fn new(
        name: String,
        support: Weak<ChaincodeSupport>,
        metrics: Arc<Metrics>,
        outbound: Outbound,
    ) -> Self {
        Self {
            name,
            support,
            metrics,
            contexts: TransactionContexts::default(),
            outbound: Mutex::new(Some(outbound)),
            send_failure: Mutex::default(),
            sending_failed: CancellationToken::new(),
            ended: CancellationToken::new(),
        }
    }

    /// The id that the chaincode registered with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs one transaction and returns COMPLETED or ERROR.
    pub(crate) async fn execute(&self, call: Call) -> Result<ChaincodeMessage, SendingError> {
        let (context, completion) = TransactionContext::new(
            call.params.clone(),
            call.namespace,
            call.kind == InvocationKind::Init,
        );
        let entered = Entered {
            context: self.contexts.create(context)?,
            contexts: &self.contexts,
        };
        if self.ended.is_cancelled() {
            return Err(SendingError::StreamTerminated(None));
        }
        let message = ChaincodeMessage {
            r#type: match call.kind {
                InvocationKind::Init => Type::Init.into(),
                InvocationKind::Transaction => Type::Transaction.into(),
            },
            payload: call.input,
            txid: call.params.tx_id.as_str().into(),
            channel_id: call.params.channel.as_str().into(),
            proposal: call
                .params
                .signed_proposal
                .as_ref()
                .map(|proposal| proposal.signed.clone()),
            ..Default::default()
        };
        if let Some(too_large) = too_large(&message) {
            return Ok(too_large);
        }
        let run = async {
            // a failure to send completes the transaction with its text
            self.send(message).await.ok();
            let answer = completion.await.ok();
            // a request that the chaincode did not wait for must not touch the simulator afterwards
            entered.context.quiesce().await;
            answer
        };
        let answer = tokio::select! {
            biased;
            answer = run => answer,
            () = self.ended.cancelled() => None,
            () = tokio::time::sleep(call.timeout) => return Err(SendingError::Timeout),
        };
        answer.ok_or(SendingError::StreamTerminated(None))
    }

    /// Hands COMPLETED or ERROR to the transaction it belongs to; there may be none any more.
    pub(crate) fn notify(&self, message: ChaincodeMessage) {
        match self.contexts.take(&message.channel_id, &message.txid) {
            Some(context) => {
                context.close();
                context.complete(message);
            }
            None => tracing::debug!(
                chaincode = self.name,
                tx = short(&message.txid),
                "answer for an unknown transaction ignored"
            ),
        }
    }

    /// Puts a message into the stream's queue. On failure the transaction it belongs to fails and the
    /// stream ends.
    pub(crate) async fn send(&self, message: ChaincodeMessage) -> Result<(), SendError> {
        let about = (message.channel_id.clone(), message.txid.clone(), message.r#type);
        let outbound = self.outbound.lock().clone();
        let reason = match outbound {
            None => "the stream has ended",
            Some(outbound) => match tokio::time::timeout(SEND_TIMEOUT, outbound.send(Ok(message))).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_closed)) => "the stream is closed",
                Err(_elapsed) => "the chaincode does not read",
            },
        };
        Err(self.sending_failed(about, reason))
    }

    /// Puts a message into the queue if there is room, without waiting.
    pub(crate) fn try_send(&self, message: ChaincodeMessage) -> Result<(), Option<Box<ChaincodeMessage>>> {
        let outbound = self.outbound.lock().clone();
        let Some(outbound) = outbound else {
            return Err(None);
        };
        match outbound.try_send(Ok(message)) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(Ok(message))) => Err(Some(Box::new(message))),
            Err(_closed) => Err(None),
        }
    }

    fn sending_failed(&self, about: (String, String, i32), reason: &'static str) -> SendError {
        let (channel_id, txid, kind) = about;
        let error = SendError {
            tx_id: txid.clone(),
            message: type_name(kind),
            reason: reason.into(),
        };
        self.notify(ChaincodeMessage {
            r#type: Type::Error.into(),
            payload: error.to_string().into(),
            txid,
            channel_id,
            ..Default::default()
        });
        self.send_failure.lock().get_or_insert_with(|| error.clone());
        self.sending_failed.cancel();
        error
    }

    /// The first failure to send.
    pub(crate) fn send_failure(&self) -> Option<SendError> {
        self.send_failure.lock().clone()
    }

    /// Ends the stream with an error that the chaincode sees, or quietly.
    pub(crate) fn end(&self, status: Option<Status>) {
        let outbound = self.outbound.lock().take();
        if let (Some(outbound), Some(status)) = (outbound, status) {
            // a chaincode that has gone, or does not read, does not get to know why
            drop(outbound.try_send(Err(status)));
        }
        self.close();
    }

    /// Resolves when the handler has been closed.
    pub(crate) async fn closed(&self) {
        self.ended.cancelled().await;
    }

    /// Fails all waiting transactions and closes what they have open.
    pub fn close(&self) {
        self.ended.cancel();
        self.contexts.close();
    }
}
