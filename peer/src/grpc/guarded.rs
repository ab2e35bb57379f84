//! What surrounds a service: a limit on its calls at a time, grpc-go's words about messages beyond the size limit, and
//! the counting of its calls.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::codegen::{Body as HttpBody, Service};
use tonic::server::NamedService;

use super::metrics::{Call, GrpcMetrics, Shape};

/// Code OUT_OF_RANGE, as a header.
const OUT_OF_RANGE: &str = "11";

/// Calls of one service at a time. Cloning counts references.
#[derive(Clone, Debug)]
pub struct Slots(Option<(Arc<Semaphore>, usize)>);

impl Slots {
    /// So many calls at a time; 0 is no limit.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let slots = (limit > 0).then(|| Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))));
        Self(slots.map(|slots| (slots, limit)))
    }

    /// A slot, to be held as long as the call is at work; none where there is no limit.
    ///
    /// # Errors
    /// Fabric's status when all slots are taken.
    pub fn take(&self, service: &str) -> Result<Option<OwnedSemaphorePermit>, Status> {
        let Some((slots, limit)) = &self.0 else {
            return Ok(None);
        };
        let Ok(slot) = Arc::clone(slots).try_acquire_owned() else {
            return Err(Status::unknown(format!(
                "too many requests for /{service}, exceeding concurrency limit ({limit})"
            )));
        };
        Ok(Some(slot))
    }
}

/// A service with its guard.
#[derive(Clone)]
pub struct Guarded<S> {
    service: S,
    streams: Slots,
    counted: Option<(Arc<GrpcMetrics>, Shape)>,
}

impl<S> Guarded<S> {
    /// A service that sees to its limit itself.
    #[must_use]
    pub fn new(service: S) -> Self {
        Self::streams(service, 0)
    }

    /// A service with so many streams at a time, each from its request to the end of its response; 0 is no limit.
    #[must_use]
    pub fn streams(service: S, limit: usize) -> Self {
        Self {
            service,
            streams: Slots::new(limit),
            counted: None,
        }
    }

    /// The same, with its calls counted.
    #[must_use]
    pub fn counted(mut self, metrics: &Arc<GrpcMetrics>, shape: Shape) -> Self {
        self.counted = Some((Arc::clone(metrics), shape));
        self
    }
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = self.counted.as_ref();
        let mut call = call.and_then(|(metrics, shape)| metrics.begin(*shape, request.uri().path()));
        let slot = match self.streams.take(S::NAME) {
            Ok(slot) => slot,
            Err(refused) => {
                let refused = refused.into_http();
                ends(&mut call, refused.headers());
                return Box::pin(ready(Ok(refused)));
            }
        };
        let answer = self.service.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            reword(answer.headers_mut());
            ends(&mut call, answer.headers());
            Ok(answer.map(|body| {
                Body::new(GuardedBody {
                    body,
                    call,
                    _slot: slot,
                })
            }))
        })
    }
}

/// A response on its way; the slot of its call is free again when it is gone.
struct GuardedBody {
    body: Body,
    call: Option<Call>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl HttpBody for GuardedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let call = &mut self.call;
        polled.map(|frame| {
            frame.map(|frame| {
                let mut frame = frame?;
                if let Some(trailers) = frame.trailers_mut() {
                    reword(trailers);
                    ends(call, trailers);
                }
                Ok(frame)
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn ends(call: &mut Option<Call>, headers: &HeaderMap) {
    if let Some(call) = call {
        call.ends(headers);
    }
}

fn reword(headers: &mut HeaderMap) {
    if headers
        .get(Status::GRPC_STATUS)
        .is_none_or(|code| code != OUT_OF_RANGE)
    {
        return;
    }
    let status = Status::from_header_map(headers).map(protos::in_grpc_gos_words);
    if let Some(Err(unfit)) = status.map(|status| status.add_header(headers)) {
        tracing::debug!(%unfit, "a status does not fit into headers");
    }
}
