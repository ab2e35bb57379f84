//! `AtomicBroadcast/Broadcast`: one answer per message, in order (Fabric orderer/common/broadcast).

use std::sync::Arc;

use protos::common::{Envelope, Status};
use protos::orderer::BroadcastResponse;
use protos::wire_message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tracing::{debug, error, warn};

use crate::chain::Message;
use crate::processor::{Class, classify, unpack};
use crate::registrar::Registrar;
use crate::rejection::Rejection;

/// Answers that wait for a slow client.
const BUFFERED_ANSWERS: usize = 16;

/// The answers of one stream.
pub(crate) type Answers = ReceiverStream<Result<BroadcastResponse, tonic::Status>>;

/// Serves one stream in a task of its own. As in Fabric the first refusal ends the stream.
pub(crate) fn serve<S>(registrar: Arc<Registrar>, requests: S) -> Answers
where
    S: Stream<Item = Result<Envelope, tonic::Status>> + Send + Unpin + 'static,
{
    let (answers, stream) = mpsc::channel(BUFFERED_ANSWERS);
    tokio::spawn(answer_all(registrar, requests, answers));
    ReceiverStream::new(stream)
}

async fn answer_all<S>(
    registrar: Arc<Registrar>,
    mut requests: S,
    answers: mpsc::Sender<Result<BroadcastResponse, tonic::Status>>,
) where
    S: Stream<Item = Result<Envelope, tonic::Status>> + Unpin,
{
    loop {
        let request = tokio::select! {
            biased;
            () = registrar.shutdown_token().cancelled() => return,
            () = answers.closed() => return,
            request = requests.next() => request,
        };
        let envelope = match request {
            Some(Ok(envelope)) => envelope,
            Some(Err(status)) => return debug!(%status, "broadcast client's stream broke"),
            None => return,
        };
        let response = process(&registrar, envelope).await;
        let refused = response.status() != Status::Success;
        if answers.send(Ok(response)).await.is_err() || refused {
            return;
        }
    }
}

/// Checks and enqueues one message.
async fn process(registrar: &Arc<Registrar>, envelope: Envelope) -> BroadcastResponse {
    match order(registrar, envelope).await {
        Ok(()) => BroadcastResponse {
            status: Status::Success.into(),
            info: String::new(),
        },
        Err(rejection) => {
            let info = wire_message(&rejection);
            warn!(info, "broadcast message is rejected");
            BroadcastResponse {
                status: rejection.status().into(),
                info,
            }
        }
    }
}

async fn order(registrar: &Arc<Registrar>, envelope: Envelope) -> Result<(), Rejection> {
    let message = unpack(envelope.clone())?;
    let channel = message.channel_header.channel_id.as_str();
    // the system channel takes what is for no channel: creations, and the rest to refuse it
    let chain = registrar.chain(channel).or_else(|| registrar.system_channel());
    let chain = chain.ok_or(Rejection::NoSystemChannel)?;
    match classify(message.channel_header.r#type) {
        Class::Config => Err(Rejection::NotDirect),
        Class::Normal => {
            let checking = (registrar.clone(), chain.clone());
            let sequence = aside(move || checking.0.processor(&checking.1).normal(&message)).await?;
            chain.order(Message::Normal(envelope), sequence).await
        }
        Class::ConfigUpdate => {
            let computing = (registrar.clone(), chain.clone());
            let computed = aside(move || computing.0.processor(&computing.1).config_update(&message));
            let (config, sequence) = computed.await?;
            chain.order(config, sequence).await
        }
    }
}

/// Signatures and the certificates of a configuration take too long for a runtime thread.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Rejection> + Send + 'static,
) -> Result<T, Rejection> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(aborted) => {
            error!(%aborted, "processing a message was aborted");
            Err(Rejection::Stopped)
        }
    }
}
