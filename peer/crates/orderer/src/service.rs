//! `orderer.AtomicBroadcast` over the channels of this orderer.

use std::sync::Arc;

use deliver::server::{DeliverHandler, DeliverSettings, ResponseStream, client_certificate};
use protos::common::Envelope;
use protos::orderer::DeliverResponse;
use protos::orderer::atomic_broadcast_server::AtomicBroadcast;
use tonic::{Request, Response, Status, Streaming};

use crate::broadcast;
use crate::registrar::Registrar;

/// The service that clients and peers talk to.
#[derive(Clone)]
pub struct OrdererService {
    registrar: Arc<Registrar>,
    deliver: DeliverHandler,
}

impl OrdererService {
    pub(crate) fn new(registrar: Arc<Registrar>) -> Self {
        let settings = DeliverSettings {
            time_window: registrar.settings().time_window,
            mutual_tls: registrar.settings().mutual_tls,
            no_expiration_checks: registrar.settings().no_expiration_checks,
            shutdown: registrar.shutdown_token().clone(),
        };
        Self {
            deliver: DeliverHandler::new(registrar.clone(), settings),
            registrar,
        }
    }
}

#[tonic::async_trait]
impl AtomicBroadcast for OrdererService {
    type BroadcastStream = broadcast::Answers;
    type DeliverStream = ResponseStream<DeliverResponse>;

    async fn broadcast(
        &self,
        request: Request<Streaming<Envelope>>,
    ) -> Result<Response<Self::BroadcastStream>, Status> {
        Ok(Response::new(broadcast::serve(
            self.registrar.clone(),
            request.into_inner(),
        )))
    }

    async fn deliver(
        &self,
        request: Request<Streaming<Envelope>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let certificate = client_certificate(&request);
        Ok(Response::new(
            self.deliver.serve(request.into_inner(), certificate),
        ))
    }
}
