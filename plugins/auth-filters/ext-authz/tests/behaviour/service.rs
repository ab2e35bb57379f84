//! An authorization service that does what a test wants.

use crate::messages::{CheckRequest, CheckResponse, DeniedHttpResponse, HttpResponse, HttpStatus, Status};
use prost::Message;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::codegen::{Context, Pin, Poll, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::{Server, ServerTlsConfig};
use tonic_prost::ProstCodec;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What the service says.
#[derive(Clone)]
pub enum Answer {
    /// This.
    Says(CheckResponse),
    /// This, after a while.
    Late(Duration, CheckResponse),
    /// This, once the semaphore lets it.
    Held(Arc<Semaphore>, CheckResponse),
    /// A gRPC error.
    Fails(tonic::Code),
    /// A message of another type.
    Wrong,
}

/// Something that is no `CheckResponse`.
#[derive(Clone, PartialEq, Message)]
struct Wrong {
    #[prost(uint64, tag = "1")]
    status: u64,
}

/// A yes.
pub fn yes() -> CheckResponse {
    CheckResponse {
        status: Some(Status::default()),
        ..CheckResponse::default()
    }
}

/// A no with this HTTP status and body.
pub fn no(http: i32, body: &str) -> CheckResponse {
    CheckResponse {
        status: Some(Status {
            code: 7,
            message: String::new(),
        }),
        http_response: Some(HttpResponse::Denied(DeniedHttpResponse {
            status: Some(HttpStatus { code: http }),
            body: body.to_owned(),
        })),
        dynamic_metadata: None,
    }
}

/// The service; it ends when this is dropped.
pub struct Authorization {
    shared: Shared,
    serving: JoinHandle<()>,
    end: Option<oneshot::Sender<()>>,
    /// Where it listens, unless that is a file.
    pub address: Option<SocketAddr>,
}

#[derive(Clone)]
struct Shared(Arc<Mutex<State>>);

struct State {
    answer: Answer,
    asked: Vec<(CheckRequest, tonic::metadata::MetadataMap)>,
}

impl Drop for Authorization {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Authorization {
    /// Starts on a free port.
    pub async fn start(answer: Answer) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), answer, None).await
    }

    /// Starts on this port, maybe with TLS.
    pub async fn start_at(address: SocketAddr, answer: Answer, tls: Option<ServerTlsConfig>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared::new(answer);
        let server = Server::builder();
        let mut server = match tls {
            Some(tls) => server.tls_config(tls).unwrap(),
            None => server,
        };
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let router = server.add_service(shared.clone());
        let (end, ended) = oneshot::channel();
        let serving = tokio::spawn(async move {
            // ends with a word to its clients
            let ended = async { drop(ended.await) };
            router
                .serve_with_incoming_shutdown(incoming, ended)
                .await
                .unwrap();
        });
        Self {
            shared,
            serving,
            end: Some(end),
            address: Some(address),
        }
    }

    /// Starts on a socket in the file system.
    pub fn start_unix(socket: &Path, answer: Answer) -> Self {
        let incoming = tokio_stream::wrappers::UnixListenerStream::new(UnixListener::bind(socket).unwrap());
        let shared = Shared::new(answer);
        let router = Server::builder().add_service(shared.clone());
        let (end, ended) = oneshot::channel();
        let serving = tokio::spawn(async move {
            // ends with a word to its clients
            let ended = async { drop(ended.await) };
            router
                .serve_with_incoming_shutdown(incoming, ended)
                .await
                .unwrap();
        });
        Self {
            shared,
            serving,
            end: Some(end),
            address: None,
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address.unwrap())
    }

    /// Says something else from now on.
    pub fn says(&self, answer: Answer) {
        self.shared.0.lock().unwrap().answer = answer;
    }

    /// What it was asked, with the metadata that came along.
    pub fn asked(&self) -> Vec<(CheckRequest, tonic::metadata::MetadataMap)> {
        self.shared.0.lock().unwrap().asked.clone()
    }

    /// Ends it, and every connection to it.
    pub async fn stop(mut self) -> SocketAddr {
        drop(self.end.take());
        (&mut self.serving).await.unwrap();
        self.address.unwrap()
    }
}

impl Shared {
    fn new(answer: Answer) -> Self {
        Self(Arc::new(Mutex::new(State {
            answer,
            asked: Vec::new(),
        })))
    }
}

impl NamedService for Shared {
    const NAME: &'static str = "envoy.service.auth.v3.Authorization";
}

impl Service<http::Request<Body>> for Shared {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        assert_eq!(request.uri().path(), "/envoy.service.auth.v3.Authorization/Check");
        let shared = self.clone();
        let wrong = matches!(shared.0.lock().unwrap().answer, Answer::Wrong);
        Box::pin(async move {
            Ok(match wrong {
                true => Grpc::new(ProstCodec::default()).unary(Garbage, request).await,
                false => Grpc::new(ProstCodec::default()).unary(shared, request).await,
            })
        })
    }
}

impl UnaryService<CheckRequest> for Shared {
    type Response = CheckResponse;
    type Future = Boxed<Result<tonic::Response<CheckResponse>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<CheckRequest>) -> Self::Future {
        let (metadata, _, question) = request.into_parts();
        let mut state = self.0.lock().unwrap();
        state.asked.push((question, metadata));
        let answer = state.answer.clone();
        drop(state);
        Box::pin(async move {
            match answer {
                Answer::Says(answer) => Ok(tonic::Response::new(answer)),
                Answer::Late(by, answer) => {
                    tokio::time::sleep(by).await;
                    Ok(tonic::Response::new(answer))
                }
                Answer::Held(until, answer) => {
                    until.acquire().await.unwrap().forget();
                    Ok(tonic::Response::new(answer))
                }
                Answer::Fails(code) => Err(tonic::Status::new(code, "as asked")),
                Answer::Wrong => Err(tonic::Status::internal("changed meanwhile")),
            }
        })
    }
}

struct Garbage;

impl UnaryService<CheckRequest> for Garbage {
    type Response = Wrong;
    type Future = Boxed<Result<tonic::Response<Wrong>, tonic::Status>>;

    fn call(&mut self, _request: tonic::Request<CheckRequest>) -> Self::Future {
        Box::pin(async { Ok(tonic::Response::new(Wrong { status: u64::MAX })) })
    }
}
