//! A chaincode made of closures. It speaks the stream as the real shims do, and badly on request.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message;
use protos::MAX_MESSAGE_SIZE;
use protos::peer::chaincode_message::Type;
use protos::peer::chaincode_support_client::ChaincodeSupportClient;
use protos::peer::{ChaincodeEvent, ChaincodeId, ChaincodeMessage, Response};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;

use super::shim_stub::ShimStub;
use crate::config::OUTBOUND_QUEUE;
use crate::support::ChaincodeSupport;

type Answering = Pin<Box<dyn Future<Output = ShimAnswer> + Send>>;
type Contract = Arc<dyn Fn(ShimStub) -> Answering + Send + Sync>;

/// How a scripted transaction ends.
#[derive(Clone, Debug)]
pub enum ShimAnswer {
    /// COMPLETED with a response and perhaps an event.
    Completed(Response, Option<ChaincodeEvent>),
    /// ERROR with a text.
    Error(String),
    /// These messages instead of an answer.
    Raw(Vec<ChaincodeMessage>),
    /// Nothing, ever.
    Silent,
    /// The stream is closed.
    HangUp,
}

impl ShimAnswer {
    /// `shim.Success(payload)`.
    pub fn success(payload: impl Into<Bytes>) -> Self {
        Self::status(200, "", payload)
    }

    /// `shim.Error(message)`.
    pub fn error(message: &str) -> Self {
        Self::status(500, message, Bytes::new())
    }

    /// A response with this status.
    pub fn status(status: i32, message: &str, payload: impl Into<Bytes>) -> Self {
        let response = Response {
            status,
            message: message.into(),
            payload: payload.into(),
        };
        Self::Completed(response, None)
    }

    /// The same with an event.
    #[must_use]
    pub fn with_event(self, name: &str, payload: impl Into<Bytes>) -> Self {
        match self {
            Self::Completed(response, _) => {
                let event = ChaincodeEvent {
                    event_name: name.into(),
                    payload: payload.into(),
                    ..Default::default()
                };
                Self::Completed(response, Some(event))
            }
            other => other,
        }
    }
}

/// Success for `Ok`, failure for `Err`: scripts can use `?`.
impl<T: Into<Bytes>> From<Result<T, String>> for ShimAnswer {
    fn from(result: Result<T, String>) -> Self {
        match result {
            Ok(payload) => Self::success(payload),
            Err(text) => Self::error(&text),
        }
    }
}

/// A scripted chaincode, not yet connected.
#[derive(Clone)]
pub struct FakeShim {
    register: ChaincodeMessage,
    contract: Contract,
}

/// A message for the peer with this type and payload.
pub(super) fn message(kind: Type, payload: impl Into<Bytes>) -> ChaincodeMessage {
    ChaincodeMessage {
        r#type: kind.into(),
        payload: payload.into(),
        ..Default::default()
    }
}

impl FakeShim {
    /// A chaincode with this id (`name:version`) that runs `contract` for every INIT and TRANSACTION.
    pub fn new<F, A>(id: &str, contract: F) -> Self
    where
        F: Fn(ShimStub) -> A + Send + Sync + 'static,
        A: Future + Send + 'static,
        A::Output: Into<ShimAnswer>,
    {
        let register = ChaincodeId {
            name: id.into(),
            ..Default::default()
        };
        Self {
            register: message(Type::Register, register.encode_to_vec()),
            contract: Arc::new(move |stub| {
                let answer = contract(stub);
                Box::pin(async move { answer.await.into() })
            }),
        }
    }

    /// Answers every transaction with its last argument.
    #[must_use]
    pub fn echo(id: &str) -> Self {
        Self::new(id, |stub| async move {
            ShimAnswer::success(stub.arg(stub.args().len().saturating_sub(1)))
        })
    }

    /// Sends this instead of a REGISTER.
    #[must_use]
    pub fn first_message(mut self, message: ChaincodeMessage) -> Self {
        self.register = message;
        self
    }

    /// Registers under another id.
    #[must_use]
    pub fn with_id(self, id: &str) -> Self {
        let register = ChaincodeId {
            name: id.into(),
            ..Default::default()
        };
        self.first_message(message(Type::Register, register.encode_to_vec()))
    }

    /// Connects in memory.
    #[must_use]
    pub fn attach(self, support: &Arc<ChaincodeSupport>) -> ShimHandle {
        let (to_peer, from_shim) = mpsc::channel(OUTBOUND_QUEUE);
        let (outbound, from_peer) = mpsc::channel(OUTBOUND_QUEUE);
        let support = support.clone();
        let inbound = ReceiverStream::new(from_shim).map(Ok);
        tokio::spawn(async move { support.serve_stream(inbound, outbound, None).await.ok() });
        self.start(to_peer, ReceiverStream::new(from_peer))
    }

    /// Connects over gRPC.
    ///
    /// # Errors
    /// When the peer cannot be reached or refuses the call.
    pub async fn connect(self, channel: Channel) -> Result<ShimHandle, Status> {
        let (to_peer, from_shim) = mpsc::channel(OUTBOUND_QUEUE);
        let mut client = ChaincodeSupportClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_SIZE)
            .max_encoding_message_size(MAX_MESSAGE_SIZE);
        let response = client.register(ReceiverStream::new(from_shim)).await?;
        Ok(self.start(to_peer, response.into_inner()))
    }

    fn start<S>(self, to_peer: mpsc::Sender<ChaincodeMessage>, from_peer: S) -> ShimHandle
    where
        S: Stream<Item = Result<ChaincodeMessage, Status>> + Send + Unpin + 'static,
    {
        let shared = Arc::new(ShimShared {
            to_peer: Mutex::new(Some(to_peer)),
            pending: Mutex::default(),
            received: Mutex::default(),
            orphans: Mutex::default(),
            changed: Notify::new(),
            hang_up: CancellationToken::new(),
            ended: Mutex::default(),
            over: CancellationToken::new(),
        });
        tokio::spawn(run(self, shared.clone(), from_peer));
        ShimHandle { shared }
    }
}

/// What the chaincode's tasks share.
pub(super) struct ShimShared {
    to_peer: Mutex<Option<mpsc::Sender<ChaincodeMessage>>>,
    pending: Mutex<HashMap<(String, String), oneshot::Sender<ChaincodeMessage>>>,
    received: Mutex<Vec<ChaincodeMessage>>,
    orphans: Mutex<Vec<ChaincodeMessage>>,
    changed: Notify,
    hang_up: CancellationToken,
    ended: Mutex<Option<Status>>,
    over: CancellationToken,
}

impl ShimShared {
    pub(super) async fn send(&self, message: ChaincodeMessage) {
        let to_peer = self.to_peer.lock().clone();
        if let Some(to_peer) = to_peer {
            to_peer.send(message).await.ok();
        }
    }

    /// Sends a request and waits for the answer, as a shim does.
    pub(super) async fn request(&self, message: ChaincodeMessage) -> Result<ChaincodeMessage, String> {
        let (sender, receiver) = oneshot::channel();
        let key = (message.channel_id.clone(), message.txid.clone());
        self.pending.lock().insert(key, sender);
        self.send(message).await;
        receiver.await.map_err(|gone| format!("stream ended: {gone}"))
    }

    async fn dispatch(self: &Arc<Self>, contract: &Contract, message: ChaincodeMessage) {
        self.received.lock().push(message.clone());
        match Type::try_from(message.r#type) {
            Ok(Type::Init | Type::Transaction) => {
                let (shared, contract) = (self.clone(), contract.clone());
                tokio::spawn(async move { shared.transact(contract, message).await });
            }
            Ok(Type::Response | Type::Error) => {
                let key = (message.channel_id.clone(), message.txid.clone());
                let waiting = self.pending.lock().remove(&key);
                match waiting {
                    Some(waiting) => drop(waiting.send(message)),
                    None => self.orphans.lock().push(message),
                }
            }
            _ => {}
        }
        self.changed.notify_waiters();
    }

    async fn transact(self: Arc<Self>, contract: Contract, message: ChaincodeMessage) {
        let stub = ShimStub::new(self.clone(), &message);
        let to = |mut answer: ChaincodeMessage| {
            answer.txid.clone_from(&message.txid);
            answer.channel_id.clone_from(&message.channel_id);
            answer
        };
        match contract(stub).await {
            ShimAnswer::Completed(response, chaincode_event) => {
                let mut completed = to(self::message(Type::Completed, response.encode_to_vec()));
                completed.chaincode_event = chaincode_event;
                self.send(completed).await;
            }
            ShimAnswer::Error(text) => self.send(to(self::message(Type::Error, text))).await,
            ShimAnswer::Raw(messages) => {
                for message in messages {
                    self.send(message).await;
                }
            }
            ShimAnswer::Silent => {}
            ShimAnswer::HangUp => self.hang_up.cancel(),
        }
    }
}

async fn run<S>(shim: FakeShim, shared: Arc<ShimShared>, mut from_peer: S)
where
    S: Stream<Item = Result<ChaincodeMessage, Status>> + Send + Unpin,
{
    shared.send(shim.register).await;
    loop {
        let message = tokio::select! {
            message = from_peer.next() => message,
            () = shared.hang_up.cancelled() => None,
        };
        match message {
            Some(Ok(message)) => shared.dispatch(&shim.contract, message).await,
            Some(Err(status)) => {
                *shared.ended.lock() = Some(status);
                break;
            }
            None => break,
        }
    }
    *shared.to_peer.lock() = None;
    shared.pending.lock().clear();
    shared.over.cancel();
}

/// A connected chaincode.
#[derive(Clone)]
pub struct ShimHandle {
    shared: Arc<ShimShared>,
}

impl ShimHandle {
    /// Everything that the peer sent so far.
    #[must_use]
    pub fn received(&self) -> Vec<ChaincodeMessage> {
        self.shared.received.lock().clone()
    }

    /// How many transactions the peer sent.
    #[must_use]
    pub fn calls(&self) -> usize {
        let is_call = |message: &&ChaincodeMessage| {
            matches!(Type::try_from(message.r#type), Ok(Type::Init | Type::Transaction))
        };
        self.shared.received.lock().iter().filter(is_call).count()
    }

    /// Answers that nobody had asked for; some real shims die of one.
    #[must_use]
    pub fn orphans(&self) -> Vec<ChaincodeMessage> {
        self.shared.orphans.lock().clone()
    }

    /// Waits until the peer has sent a message of this type, and returns it.
    pub async fn wait_for(&self, kind: Type) -> ChaincodeMessage {
        loop {
            let changed = self.shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let received = self.received();
            let found = received
                .into_iter()
                .find(|message| message.r#type == i32::from(kind));
            if let Some(found) = found {
                return found;
            }
            changed.await;
        }
    }

    /// Waits until the chaincode may be called.
    pub async fn ready(&self) {
        self.wait_for(Type::Ready).await;
    }

    /// Sends a message of the test's own making.
    pub async fn send(&self, message: ChaincodeMessage) {
        self.shared.send(message).await;
    }

    /// Closes the stream, as a process that ends does.
    pub fn hang_up(&self) {
        self.shared.hang_up.cancel();
    }

    /// Waits for the end of the stream; the status if the peer ended it with one.
    pub async fn ended(&self) -> Option<Status> {
        self.shared.over.cancelled().await;
        self.shared.ended.lock().clone()
    }
}
