//! What chaincode asks for within a transaction: finds the transaction, runs the request off the receive
//! loop and answers exactly once.

mod invoke;
mod query;
mod state;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ledger::TxSimulator;
use prost::Message;
use protos::peer::ChaincodeMessage;
use protos::peer::chaincode_message::Type;
use protos::wire_message;
use tokio::sync::OwnedSemaphorePermit;

use crate::channel_access::ChannelCapabilities;
use crate::handler::{ChaincodeHandler, short};
use crate::ledger_access::LedgerAccessError;
use crate::metrics::UNKNOWN;
use crate::support::InvokeError;
use crate::transaction_context::{TooManyQueries, TransactionContext};

/// Room that the frame of a message needs beside its payload.
const FRAME_ROOM: usize = 64 * 1024;

/// Why a request fails. The chaincode gets the text and decides what to make of it.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The transaction is unknown, over, or has no ledger.
    #[error("no ledger context")]
    NoLedgerContext,
    /// A chaincode is called, but the transaction is unknown, over, or has no ledger.
    #[error("could not get valid transaction")]
    NoTransaction,
    /// The payload is not the message it should be.
    #[error("unmarshal failed")]
    Undecodable(#[from] prost::DecodeError),
    /// The ledger refuses or fails.
    #[error(transparent)]
    Ledger(#[from] LedgerAccessError),
    /// The request may not be made here; the text says why.
    #[error("{0}")]
    Refused(String),
    /// The query is unknown or has been read to its end.
    #[error("query iterator not found")]
    UnknownQuery,
    /// One query too many.
    #[error(transparent)]
    TooManyQueries(#[from] TooManyQueries),
    /// The caller may not call the other chaincode.
    #[error("{}", wire_message(&**.0))]
    AccessDenied(Box<dyn std::error::Error + Send + Sync>),
    /// The other chaincode could not be run.
    #[error("execute failed")]
    Execute(#[source] Box<InvokeError>),
    /// The request ended without an answer; a bug in the peer.
    #[error("panic during execution")]
    Panicked,
}

impl RequestError {
    fn refused(text: &str) -> Self {
        Self::Refused(text.into())
    }
}

/// Everything that a request needs to know.
pub(crate) struct Request {
    pub handler: Arc<ChaincodeHandler>,
    pub context: Arc<TransactionContext>,
    pub kind: Type,
    pub message: ChaincodeMessage,
    pub began: Instant,
}

/// Begins a request. It is dropped without an answer if another one of its transaction is active: a correct
/// shim never does that, and the answer would be taken for that of the other one.
pub(crate) async fn begin(handler: &Arc<ChaincodeHandler>, kind: Type, message: ChaincodeMessage) {
    let began = Instant::now();
    let Some(context) = handler.contexts.get(&message.channel_id, &message.txid) else {
        let metrics = &handler.metrics;
        metrics.received(kind, UNKNOWN, handler.name());
        let reply = reply(kind, &message, Err(missing_context(kind)));
        metrics.completed(kind, UNKNOWN, handler.name(), false, began.elapsed());
        // waiting here for room in the queue is what slows down a flood
        handler.send(reply).await.ok();
        return;
    };
    handler
        .metrics
        .received(kind, context.params.channel.as_str(), handler.name());
    let Some(permit) = context.begin_request() else {
        tracing::error!(
            chaincode = handler.name(),
            tx = short(&message.txid),
            request = kind.as_str_name(),
            "another request of this transaction is pending, request dropped"
        );
        return;
    };
    let request = Request {
        handler: handler.clone(),
        context,
        kind,
        message,
        began,
    };
    match kind {
        Type::InvokeChaincode => {
            tokio::spawn(call_chaincode(request, permit));
        }
        // these stay in memory, another thread would cost more than they do
        Type::PutState | Type::DelState | Type::QueryStateClose => {
            let reply = answer(&request, permit);
            handler.send(reply).await.ok();
        }
        _ => {
            if let Err(error) = workers::spawn(move || on_ledger(request, permit)) {
                // without an answer the transaction ends by its time limit
                tracing::error!(%error, "request from chaincode not handled");
            }
        }
    }
}

fn missing_context(kind: Type) -> RequestError {
    match kind {
        Type::InvokeChaincode => RequestError::NoTransaction,
        _ => RequestError::NoLedgerContext,
    }
}

/// Runs the call in a task of its own, so that a panic in there is an answer like any other.
async fn call_chaincode(request: Request, permit: OwnedSemaphorePermit) {
    let request = Arc::new(request);
    let call = {
        let request = request.clone();
        tokio::spawn(async move { invoke::run(&request).await })
    };
    let result = call.await.unwrap_or_else(|_panic| {
        tracing::error!("panic while one chaincode called another");
        Err(RequestError::Panicked)
    });
    let reply = request.reply(result);
    drop(permit);
    request.handler.send(reply).await.ok();
}

/// Runs on a worker.
fn on_ledger(request: Request, permit: OwnedSemaphorePermit) {
    let reply = answer(&request, permit);
    let handler = request.handler;
    if let Err(Some(reply)) = handler.try_send(reply) {
        tokio::spawn(async move { handler.send(*reply).await.ok() });
    }
}

/// The reply to a request on the ledger. The request is no longer active when this returns, so that a fast
/// next one is not dropped.
fn answer(request: &Request, permit: OwnedSemaphorePermit) -> ChaincodeMessage {
    let result = catch_unwind(AssertUnwindSafe(|| run(request)));
    let result = result.unwrap_or_else(|_panic| {
        tracing::error!(
            request = request.kind.as_str_name(),
            "panic while handling a request"
        );
        Err(RequestError::Panicked)
    });
    let reply = request.reply(result);
    drop(permit);
    reply
}

fn run(request: &Request) -> Result<Bytes, RequestError> {
    let simulator = request.simulator()?;
    match request.kind {
        Type::GetState => state::get(request, simulator),
        Type::PutState => state::put(request, simulator),
        Type::DelState => state::delete(request, simulator),
        Type::GetStateMetadata => state::get_metadata(request, simulator),
        Type::PutStateMetadata => state::put_metadata(request, simulator),
        Type::GetPrivateDataHash => state::get_private_data_hash(request),
        Type::PurgePrivateData => state::purge_private_data(request),
        Type::WriteBatchState => state::write_batch(request, simulator),
        Type::GetStateMultiple => state::get_multiple(request, simulator),
        Type::GetStateByRange => query::range(request, simulator),
        Type::GetQueryResult => query::rich(request, simulator),
        Type::GetHistoryForKey => query::history(request),
        Type::QueryStateNext => query::next(request),
        Type::QueryStateClose => query::close(request),
        // the stream's states let no other type through
        other => Err(RequestError::Refused(format!(
            "{} is no request",
            other.as_str_name()
        ))),
    }
}

/// RESPONSE or ERROR, with the ids that the shim finds its request by.
fn reply(kind: Type, message: &ChaincodeMessage, result: Result<Bytes, RequestError>) -> ChaincodeMessage {
    let result = result.and_then(|payload| {
        if payload.len() + FRAME_ROOM > protos::MAX_MESSAGE_SIZE {
            return Err(RequestError::refused(
                "the result is larger than a message may be",
            ));
        }
        Ok(payload)
    });
    let (kind, payload) = match result {
        Ok(payload) => (Type::Response, payload),
        Err(error) => {
            let cause = wire_message(&error);
            tracing::warn!(
                tx = short(&message.txid),
                request = kind.as_str_name(),
                error = cause,
                "request from chaincode failed"
            );
            let tx_id = &message.txid;
            let text = format!("{} failed: transaction ID: {tx_id}: {cause}", kind.as_str_name());
            (Type::Error, text.into())
        }
    };
    ChaincodeMessage {
        r#type: kind.into(),
        payload,
        txid: message.txid.clone(),
        channel_id: message.channel_id.clone(),
        ..Default::default()
    }
}

impl Request {
    fn reply(&self, result: Result<Bytes, RequestError>) -> ChaincodeMessage {
        let reply = reply(self.kind, &self.message, result);
        self.handler.metrics.completed(
            self.kind,
            self.context.params.channel.as_str(),
            self.handler.name(),
            reply.r#type == i32::from(Type::Response),
            self.began.elapsed(),
        );
        reply
    }

    fn decode<M: Message + Default>(&self) -> Result<M, RequestError> {
        Ok(M::decode(self.message.payload.clone())?)
    }

    fn simulator(&self) -> Result<&TxSimulator, RequestError> {
        let simulator = self.context.params.simulator.as_deref();
        simulator.ok_or(RequestError::NoLedgerContext)
    }

    fn namespace(&self) -> &str {
        &self.context.namespace
    }

    /// The application capabilities of the transaction's channel.
    fn capabilities(&self) -> Result<ChannelCapabilities, RequestError> {
        let channel = &self.context.params.channel;
        let support = self.handler.support.upgrade();
        support
            .and_then(|support| support.channels().capabilities(channel))
            .ok_or_else(|| RequestError::Refused(format!("application config does not exist for {channel}")))
    }

    /// Refuses private data: banned in INIT as in Fabric, and not kept by this peer at all.
    fn no_collection(&self, collection: &str) -> Result<(), RequestError> {
        if collection.is_empty() {
            return Ok(());
        }
        if self.context.is_init {
            return Err(RequestError::refused(
                "private data APIs are not allowed in chaincode Init()",
            ));
        }
        let chaincode = self.namespace();
        Err(RequestError::Refused(format!(
            "private data is not supported by this peer: chaincodeName:{chaincode} collectionName: {collection}"
        )))
    }
}

#[cfg(test)]
mod tests;
