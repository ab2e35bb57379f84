//! The receive loop of one chaincode stream: registration first, then requests and answers.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use protos::peer::chaincode_message::Type;
use protos::peer::{ChaincodeAdditionalParams, ChaincodeId, ChaincodeMessage};
use protos::wire_message;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Status};

use crate::config::{MAX_BATCH_RECORDS, REGISTER_TIMEOUT};
use crate::handler::{ChaincodeHandler, Outbound, SendError};
use crate::launch_state::LaunchFailure;
use crate::registry::RegisterError;
use crate::requests;
use crate::stream_state::{OutOfTurn, StreamState, Turn};
use crate::support::ChaincodeSupport;
use crate::tls::AccessError;

/// SHA-256 of the client certificate that a stream came with.
pub type CertificateHash = [u8; 32];

/// Why a stream ended, other than by the chaincode closing it.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The transport failed; a killed process looks like this.
    #[error(
        "receive from chaincode support stream failed: rpc error: code = {:?} desc = {}",
        .0.code(),
        .0.message()
    )]
    Receive(Box<Status>),
    /// A message came that the state does not accept.
    #[error("error handling message, ending stream")]
    OutOfTurn(#[source] OutOfTurn),
    /// The certificate does not belong to the chaincode.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// REGISTER is not a `ChaincodeID`.
    #[error("error in received REGISTER, could NOT unmarshal registration info")]
    Undecodable(#[source] prost::DecodeError),
    /// The chaincode may not register.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// A message could not be sent.
    #[error("received error while sending message, ending chaincode support stream")]
    Send(#[source] SendError),
    /// The stream stayed silent.
    #[error("no REGISTER within {} s", REGISTER_TIMEOUT.as_secs())]
    Silent,
    /// The stream was ended from the peer's side.
    #[error("chaincode {0} has been deregistered")]
    Deregistered(String),
}

impl StreamError {
    /// What the chaincode is told. As in Go, an error that is none of gRPC's has no code of its own.
    fn status(&self) -> Status {
        let code = match self {
            Self::Receive(status) => status.code(),
            _ => Code::Unknown,
        };
        Status::new(code, wire_message(self))
    }

    fn receive(status: Status) -> Self {
        Self::Receive(Box::new(protos::in_grpc_gos_words(status)))
    }
}

/// One stream, from its first message to its end.
pub(crate) struct ChaincodeStream {
    support: Arc<ChaincodeSupport>,
    state: StreamState,
    handler: Option<Arc<ChaincodeHandler>>,
    outbound: Option<Outbound>,
    certificate: Option<CertificateHash>,
}

impl ChaincodeStream {
    pub fn new(
        support: Arc<ChaincodeSupport>,
        outbound: Outbound,
        certificate: Option<CertificateHash>,
    ) -> Self {
        Self {
            support,
            state: StreamState::Created,
            handler: None,
            outbound: Some(outbound),
            certificate,
        }
    }

    /// Serves the stream to its end, then releases everything that hangs on it.
    pub async fn run<S>(mut self, inbound: S) -> Result<(), StreamError>
    where
        S: Stream<Item = Result<ChaincodeMessage, Status>> + Send + Unpin,
    {
        let result = self.receive(inbound).await;
        let status = result.as_ref().err().map(StreamError::status);
        match (&self.handler, self.outbound.take()) {
            (Some(handler), _) => {
                let launch = self.support.registry().deregister_handler(handler);
                handler.end(status);
                if let Some(launch) = launch {
                    // a chaincode that went away between REGISTER and READY has failed to launch
                    launch.notify(Err(Arc::new(LaunchFailure::Registration(
                        "chaincode stream terminated".into(),
                    ))));
                }
            }
            (None, Some(outbound)) => {
                if let Some(status) = status {
                    drop(outbound.try_send(Err(status)));
                }
            }
            (None, None) => {}
        }
        self.log_end(&result);
        result
    }

    fn log_end(&self, result: &Result<(), StreamError>) {
        let chaincode = self.handler.as_ref().map_or("", |handler| handler.name());
        match result {
            Ok(()) => tracing::info!(chaincode, "chaincode stream ended"),
            Err(error) => tracing::warn!(
                chaincode,
                error = wire_message(error),
                "chaincode stream ended with an error"
            ),
        }
    }

    async fn receive<S>(&mut self, mut inbound: S) -> Result<(), StreamError>
    where
        S: Stream<Item = Result<ChaincodeMessage, Status>> + Send + Unpin,
    {
        let first = tokio::time::timeout(REGISTER_TIMEOUT, self.until_registered(&mut inbound)).await;
        match first {
            Err(_elapsed) => return Err(StreamError::Silent),
            Ok(registered) => {
                if !registered? {
                    return Ok(());
                }
            }
        }
        let Some(handler) = self.handler.clone() else {
            return Ok(());
        };
        let mut keepalive = self.support.config().keepalive.map(ticks);
        loop {
            let message = tokio::select! {
                message = inbound.next() => message,
                () = handler.sending_failed.cancelled() => {
                    return Err(handler.send_failure().map_or_else(
                        || StreamError::Deregistered(handler.name().into()),
                        StreamError::Send,
                    ));
                }
                () = handler.closed() => return Err(StreamError::Deregistered(handler.name().into())),
                () = tick(&mut keepalive) => {
                    // one that finds the queue full is not needed
                    drop(handler.try_send(plain(Type::Keepalive)));
                    continue;
                }
            };
            match message {
                None => return Ok(()),
                Some(message) => self.handle(&handler, message).await?,
            }
        }
    }

    /// Takes messages until the chaincode is registered; false if the stream ends before.
    async fn until_registered<S>(&mut self, inbound: &mut S) -> Result<bool, StreamError>
    where
        S: Stream<Item = Result<ChaincodeMessage, Status>> + Send + Unpin,
    {
        while let Some(message) = inbound.next().await {
            let message = message.map_err(StreamError::receive)?;
            if let Some(tls) = self.support.tls() {
                tls.authenticate(&message, self.certificate)?;
            }
            match self.state.accept(&message).map_err(StreamError::OutOfTurn)? {
                Turn::Register => {
                    self.register(&message).await?;
                    return Ok(true);
                }
                Turn::KeepAlive | Turn::Finish | Turn::Request(_) => {}
            }
        }
        Ok(false)
    }

    async fn handle(
        &mut self,
        handler: &Arc<ChaincodeHandler>,
        message: Result<ChaincodeMessage, Status>,
    ) -> Result<(), StreamError> {
        let message = message.map_err(StreamError::receive)?;
        match self.state.accept(&message).map_err(StreamError::OutOfTurn)? {
            Turn::KeepAlive | Turn::Register => {}
            Turn::Finish => handler.notify(message),
            Turn::Request(kind) => requests::begin(handler, kind, message).await,
        }
        Ok(())
    }

    async fn register(&mut self, message: &ChaincodeMessage) -> Result<(), StreamError> {
        let id = ChaincodeId::decode(message.payload.clone()).map_err(StreamError::Undecodable)?;
        let Some(outbound) = self.outbound.clone() else {
            return Ok(());
        };
        let support = Arc::downgrade(&self.support);
        let metrics = Arc::clone(self.support.metrics());
        let handler = Arc::new(ChaincodeHandler::new(id.name, support, metrics, outbound));
        if let Err(refused) = self.support.registry().register(&handler) {
            if matches!(refused, RegisterError::Duplicate(_)) {
                // who waits for the launch is to know; a launch that is over stays as it is
                let failure = LaunchFailure::Registration(refused.to_string());
                self.support.registry().failed(handler.name(), failure);
            }
            return Err(refused.into());
        }
        self.handler = Some(handler.clone());
        self.outbound = None;
        let welcomed = self.welcome(&handler).await;
        match welcomed {
            Ok(()) => {
                self.support.registry().ready(handler.name());
                tracing::info!(chaincode = handler.name(), "chaincode registered");
                Ok(())
            }
            Err(error) => {
                let failure = LaunchFailure::Registration(error.to_string());
                self.support.registry().failed(handler.name(), failure);
                Err(StreamError::Send(error))
            }
        }
    }

    /// REGISTERED, then READY; the state follows what has been sent.
    async fn welcome(&mut self, handler: &ChaincodeHandler) -> Result<(), SendError> {
        handler.send(plain(Type::Registered)).await?;
        self.state = StreamState::Established;
        let mut ready = plain(Type::Ready);
        if self.support.config().announce_batches {
            let limit = u32::try_from(MAX_BATCH_RECORDS).unwrap_or(u32::MAX);
            ready.payload = ChaincodeAdditionalParams {
                use_write_batch: true,
                max_size_write_batch: limit,
                use_get_multiple_keys: true,
                max_size_get_multiple_keys: limit,
            }
            .encode_to_vec()
            .into();
        }
        handler.send(ready).await?;
        self.state = StreamState::Ready;
        Ok(())
    }
}

fn plain(kind: Type) -> ChaincodeMessage {
    ChaincodeMessage {
        r#type: kind.into(),
        ..Default::default()
    }
}

fn ticks(interval: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn tick(keepalive: &mut Option<tokio::time::Interval>) {
    match keepalive {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
