//! The gRPC service that chaincode connects to.

use std::sync::Arc;

use protos::MAX_MESSAGE_SIZE;
use protos::peer::ChaincodeMessage;
use protos::peer::chaincode_support_server::{
    ChaincodeSupport as ChaincodeSupportService, ChaincodeSupportServer,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::config::OUTBOUND_QUEUE;
use crate::support::ChaincodeSupport;

/// `protos.ChaincodeSupport/Register`.
#[derive(Clone)]
pub struct ChaincodeStreamService {
    support: Arc<ChaincodeSupport>,
}

impl ChaincodeStreamService {
    /// The service with Fabric's message limits, ready to be added to a server.
    #[must_use]
    pub fn server(support: Arc<ChaincodeSupport>) -> ChaincodeSupportServer<Self> {
        ChaincodeSupportServer::new(Self { support })
            .max_decoding_message_size(MAX_MESSAGE_SIZE)
            .max_encoding_message_size(MAX_MESSAGE_SIZE)
    }
}

#[tonic::async_trait]
impl ChaincodeSupportService for ChaincodeStreamService {
    type RegisterStream = ReceiverStream<Result<ChaincodeMessage, Status>>;

    async fn register(
        &self,
        request: Request<Streaming<ChaincodeMessage>>,
    ) -> Result<Response<Self::RegisterStream>, Status> {
        let certificate = request
            .peer_certs()
            .and_then(|certificates| Some(protos::sha256(&[certificates.first()?.as_ref()])));
        let (outbound, messages) = mpsc::channel(OUTBOUND_QUEUE);
        let support = self.support.clone();
        // how it ended has been logged, and said to the chaincode
        tokio::spawn(async move {
            support
                .serve_stream(request.into_inner(), outbound, certificate)
                .await
                .ok()
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

#[cfg(test)]
mod tests;
