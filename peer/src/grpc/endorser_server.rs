//! `protos.Endorser`: one proposal, once through the auth chain, once through the endorser.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use deliver::server::client_certificate;
use endorser::Endorser;
use handlers::{Metadata, ParsedRequest, PluginSet, Registry, Rejection};
use prost::Message;
use protos::msp::SerializedIdentity;
use protos::peer::SignedProposal;
use protos::{UnpackError, UnpackedProposal, clamped};
use tokio::sync::OwnedSemaphorePermit;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Code, Request, Response, Status};
use tracing::Instrument as _;

use super::guarded::Slots;
use super::proposal_codec::ProposalCodec;
use super::request_plugins::{RequestDecorators, RequestEndorsers};

const PROCESS_PROPOSAL: &str = "/protos.Endorser/ProcessProposal";

/// The plugins' name for the client's TLS certificate, as DER.
const PEER_CERT: &str = "tls.peer-cert";
/// The plugins' name for the W3C trace context that the client sent.
const TRACE_PARENT: &str = "trace.parent";
/// Longest trace context that is handed on; version 00 has 55 bytes, later ones may append.
const MAX_TRACE_PARENT: usize = 512;

/// What the service is made of.
#[derive(Debug)]
pub struct EndorserParts {
    /// The auth filters before the endorser, the decorators between it and the chaincode.
    pub plugins: Registry,
    /// What they guard.
    pub endorser: Arc<Endorser>,
    /// Proposals at a time (`peer.limits.concurrency.endorserService`), 0 is no limit.
    pub concurrency: usize,
    /// Largest request in bytes.
    pub max_recv: usize,
    /// Largest response in bytes.
    pub max_send: usize,
}

/// The `protos.Endorser` service.
#[derive(Clone, Debug)]
pub struct EndorserServer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    parts: EndorserParts,
    slots: Slots,
}

impl EndorserServer {
    /// The service around an endorser.
    #[must_use]
    pub fn new(parts: EndorserParts) -> Self {
        let slots = Slots::new(parts.concurrency);
        Self {
            inner: Arc::new(Inner { parts, slots }),
        }
    }
}

impl Inner {
    async fn process_proposal(
        self: Arc<Self>,
        request: Request<SignedProposal>,
    ) -> Result<Response<Bytes>, Status> {
        let slot = self.slots.take(EndorserServer::NAME)?;
        let connection = of_connection(&request);
        let (metadata, _extensions, signed) = request.into_parts();
        let connection = ParsedRequest {
            metadata: Metadata(Some(Arc::new(move |name| header(&metadata, name)))),
            ..connection
        };
        let unpacked = UnpackedProposal::try_from(signed.clone());
        let facts = facts(connection, signed, unpacked.as_ref().ok());
        let span = tracing::info_span!(
            "proposal",
            channel = &*clamped(&facts.channel_id),
            tx = facts.tx_id.chars().take(8).collect::<String>(),
            chaincode = &*clamped(&facts.chaincode_name)
        );
        // A client that hangs up drops this future, not the transaction: it runs to its end in its own task, and
        // takes up its slot until then.
        let inner = Arc::clone(&self);
        let running = tokio::spawn(
            async move { inner.through_the_chain(facts, unpacked, slot).await }.instrument(span),
        );
        match running.await {
            Ok(Ok(bytes)) => Ok(Response::new(bytes)),
            Ok(Err(rejection)) => Err(Status::new(code(rejection.code), rejection.message)),
            Err(broken) => {
                let id = uuid::Uuid::new_v4();
                tracing::error!(%id, error = %broken, "a proposal's task broke down");
                Err(Status::new(Code::Unknown, format!("internal error {id}")))
            }
        }
    }

    async fn through_the_chain(
        &self,
        facts: ParsedRequest,
        unpacked: Result<UnpackedProposal, UnpackError>,
        _slot: Option<OwnedSemaphorePermit>,
    ) -> Result<Bytes, Rejection> {
        let facts = Arc::new(facts);
        // taken once: a reload in between concerns the next request
        let plugins = self.parts.plugins.current();
        let endorse = || self.endorse(&facts, &plugins, unpacked);
        let outcome = plugins.auth.run(Arc::clone(&facts), endorse).await;
        if let Err(rejection) = &outcome {
            tracing::warn!(
                tx_id = &*clamped(&facts.tx_id),
                reason = rejection.message,
                "proposal rejected"
            );
        }
        outcome
    }

    /// The innermost of the chain: every filter has let the proposal through.
    async fn endorse(
        &self,
        facts: &Arc<ParsedRequest>,
        plugins: &PluginSet,
        unpacked: Result<UnpackedProposal, UnpackError>,
    ) -> Result<Bytes, Rejection> {
        let tx_id = facts.tx_id.as_str();
        let decorators = RequestDecorators {
            chain: &plugins.decorators,
            facts,
        };
        let endorsers = Arc::new(RequestEndorsers {
            plugins: plugins.endorsers.clone(),
            facts: Arc::clone(facts),
        });
        let answer = self
            .parts
            .endorser
            .process_proposal(unpacked, &decorators, endorsers);
        let answer = answer.await;
        let answer =
            answer.map_err(|error| Rejection::new(Code::Unknown as u32, protos::wire_message(&error)))?;
        let status = answer.response.as_ref().map_or(0, |response| response.status);
        let tx_id = &*clamped(tx_id);
        if answer.endorsement.is_some() {
            tracing::info!(tx_id, status, filters = %plugins.auth.names(), "proposal endorsed");
        } else {
            tracing::info!(tx_id, status, "proposal answered without endorsement");
        }
        Ok(answer.encode_to_vec().into())
    }
}

fn code(code: u32) -> Code {
    i32::try_from(code).map_or(Code::Unknown, Code::from_i32)
}

/// What the connection and the request's headers say.
fn of_connection<T>(request: &Request<T>) -> ParsedRequest {
    let header = |name: &str| request.metadata().get(name);
    let certificate = client_certificate(request).map(|der| (PEER_CERT.to_owned(), der));
    let trace = header("traceparent")
        .filter(|parent| parent.len() <= MAX_TRACE_PARENT)
        .map(|parent| (TRACE_PARENT.to_owned(), Bytes::copy_from_slice(parent.as_bytes())));
    ParsedRequest {
        remote_addr: request
            .remote_addr()
            .map(|address| address.to_string())
            .unwrap_or_default(),
        deadline_unix_ms: deadline_unix_ms(header("grpc-timeout").and_then(|value| value.to_str().ok())),
        attrs: certificate.into_iter().chain(trace).collect(),
        ..ParsedRequest::default()
    }
}

/// A header as plugins see it.
fn header(metadata: &MetadataMap, name: &str) -> Option<Bytes> {
    if name.ends_with("-bin") {
        return metadata.get_bin(name)?.to_bytes().ok();
    }
    Some(Bytes::copy_from_slice(metadata.get(name)?.as_bytes()))
}

/// What plugins may know of the request; of an undecodable proposal only its bytes.
fn facts(
    connection: ParsedRequest,
    signed: SignedProposal,
    unpacked: Option<&UnpackedProposal>,
) -> ParsedRequest {
    let mut facts = ParsedRequest {
        proposal_bytes: signed.proposal_bytes,
        signature: signed.signature,
        ..connection
    };
    if let Some(proposal) = unpacked {
        facts.channel_id = proposal.channel.to_string();
        facts.tx_id = proposal.tx_id.to_string();
        facts.chaincode_name.clone_from(&proposal.chaincode);
        facts.function = proposal.input.args.first().cloned().unwrap_or_default();
        if let Ok(creator) = SerializedIdentity::decode(proposal.signature_header.creator.clone()) {
            facts.msp_id = creator.mspid;
            facts.creator_cert = creator.id_bytes;
            facts.decoded = true;
        }
    }
    facts
}

/// When the client stops waiting, from the `grpc-timeout` header: at most eight digits and a unit.
fn deadline_unix_ms(timeout: Option<&str>) -> u64 {
    let Some((value, unit)) = timeout.and_then(|text| text.split_at_checked(text.len().saturating_sub(1)))
    else {
        return 0;
    };
    let Ok(value) = value.parse::<u32>() else { return 0 };
    let second = Duration::from_secs(1);
    let left = match unit {
        "H" => second.saturating_mul(value).saturating_mul(3600),
        "M" => second.saturating_mul(value).saturating_mul(60),
        "S" => second.saturating_mul(value),
        "m" => Duration::from_millis(value.into()),
        "u" => Duration::from_micros(value.into()),
        "n" => Duration::from_nanos(value.into()),
        _ => return 0,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.saturating_add(left).as_millis()).unwrap_or_default()
}

struct ProcessProposal(Arc<Inner>);

impl UnaryService<SignedProposal> for ProcessProposal {
    type Response = Bytes;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Status>> + Send>>;

    fn call(&mut self, request: Request<SignedProposal>) -> Self::Future {
        Box::pin(Arc::clone(&self.0).process_proposal(request))
    }
}

impl NamedService for EndorserServer {
    const NAME: &'static str = "protos.Endorser";
}

impl Service<http::Request<Body>> for EndorserServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            if request.uri().path() != PROCESS_PROPOSAL {
                return Ok(Status::unimplemented("protos.Endorser has only ProcessProposal").into_http());
            }
            let (max_recv, max_send) = (inner.parts.max_recv, inner.parts.max_send);
            let mut grpc =
                Grpc::new(ProposalCodec).apply_max_message_size_config(Some(max_recv), Some(max_send));
            Ok(grpc.unary(ProcessProposal(inner), request).await)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_trace_context_is_handed_on() {
        let with = |parent: &str| {
            let mut request = Request::new(());
            request
                .metadata_mut()
                .insert("traceparent", parent.parse().unwrap());
            of_connection(&request).attrs
        };
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(with(parent), [("trace.parent".to_owned(), Bytes::from(parent))]);
        assert_eq!(with(&"0".repeat(MAX_TRACE_PARENT + 1)), []);
        assert_eq!(of_connection(&Request::new(())).attrs, []);
    }

    #[test]
    fn the_clients_deadline_is_read_from_its_header() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let in_ten_minutes = u128::from(deadline_unix_ms(Some("10M")));
        assert!(in_ten_minutes >= now + 600_000 && in_ten_minutes < now + 660_000);
        for none in [None, Some(""), Some("S"), Some("xS"), Some("5"), Some("5é")] {
            assert_eq!(deadline_unix_ms(none), 0, "{none:?}");
        }
    }
}
