//! `protos.Deliver`, the peer's event service.

use std::pin::Pin;

use bytes::Bytes;
use protos::common::Envelope;
use protos::peer::DeliverResponse;
use protos::peer::deliver_server::Deliver;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::answer::{FilteredAnswer, PrivateDataAnswer};
use super::handler::{DeliverHandler, ResponseStream};

/// The TLS certificate (DER) that a client showed.
#[must_use]
pub fn client_certificate<T>(request: &Request<T>) -> Option<Bytes> {
    let certificates = request.peer_certs()?;
    certificates
        .first()
        .map(|certificate| Bytes::copy_from_slice(certificate))
}

/// Serves blocks and filtered blocks of the peer's channels.
#[derive(Clone)]
pub struct PeerDeliverService {
    handler: DeliverHandler,
}

impl PeerDeliverService {
    /// Puts the handler behind the peer's service.
    #[must_use]
    pub fn new(handler: DeliverHandler) -> Self {
        Self { handler }
    }
}

#[tonic::async_trait]
impl Deliver for PeerDeliverService {
    type DeliverStream = ResponseStream<DeliverResponse>;
    type DeliverFilteredStream = Pin<Box<dyn Stream<Item = Result<DeliverResponse, Status>> + Send>>;
    type DeliverWithPrivateDataStream = Pin<Box<dyn Stream<Item = Result<DeliverResponse, Status>> + Send>>;

    async fn deliver(
        &self,
        request: Request<Streaming<Envelope>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let certificate = client_certificate(&request);
        Ok(Response::new(
            self.handler.serve(request.into_inner(), certificate),
        ))
    }

    async fn deliver_filtered(
        &self,
        request: Request<Streaming<Envelope>>,
    ) -> Result<Response<Self::DeliverFilteredStream>, Status> {
        let certificate = client_certificate(&request);
        let answers = self
            .handler
            .serve::<FilteredAnswer, _>(request.into_inner(), certificate);
        Ok(Response::new(Box::pin(
            answers.map(|answer| answer.map(|filtered| filtered.0)),
        )))
    }

    async fn deliver_with_private_data(
        &self,
        request: Request<Streaming<Envelope>>,
    ) -> Result<Response<Self::DeliverWithPrivateDataStream>, Status> {
        let certificate = client_certificate(&request);
        let answers = self
            .handler
            .serve::<PrivateDataAnswer, _>(request.into_inner(), certificate);
        Ok(Response::new(Box::pin(answers.map(|answer| {
            answer.map(|with_private_data| with_private_data.0)
        }))))
    }
}
