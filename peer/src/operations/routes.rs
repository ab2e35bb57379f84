//! The resources of the operations server, with the answers and status codes of Fabric's.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::health::Health;
use super::{Sources, exposition};
use crate::{logging, version};

/// The largest request body: a logging specification is a line.
const MAX_BODY: usize = 16 * 1024;
/// How long a client may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) type Answer = Response<Full<Bytes>>;

/// What the server answers with.
#[derive(Clone)]
pub(super) struct Routes {
    pub(super) health: Health,
    /// None: there is no `/metrics`.
    pub(super) metrics: Option<Sources>,
    /// Whether the connections have TLS, so that a client can say who it is.
    pub(super) secured: bool,
}

#[derive(Serialize)]
struct Version {
    #[serde(rename = "CommitSHA")]
    commit_sha: &'static str,
    #[serde(rename = "Version")]
    version: &'static str,
}

#[derive(Deserialize, Serialize)]
struct LogSpec {
    #[serde(default)]
    spec: String,
}

impl Routes {
    /// Answers a request; `known`: the client has shown a certificate that is trusted.
    pub(super) async fn answer(self, request: Request<Incoming>, known: bool) -> Result<Answer, Infallible> {
        let closed = self.secured && !known;
        let answer = match request.uri().path() {
            "/healthz" => self.healthz(request.method()).await,
            "/version" => version_info(request.method()),
            "/metrics" if self.metrics.is_some() && closed => unauthorized(&request),
            "/metrics" => self.metrics(request.method()),
            "/logspec" if closed => unauthorized(&request),
            "/logspec" => log_spec(request).await,
            _ => plain(StatusCode::NOT_FOUND, "404 page not found\n"),
        };
        Ok(answer)
    }

    async fn healthz(&self, method: &Method) -> Answer {
        if method != Method::GET {
            return not_allowed("GET");
        }
        let report = self.health.report().await;
        let status = if report.is_well() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        json(status, &report)
    }

    fn metrics(&self, method: &Method) -> Answer {
        let Some(sources) = &self.metrics else {
            return plain(
                StatusCode::NOT_FOUND,
                "there are no metrics: metrics.provider is not prometheus\n",
            );
        };
        if method != Method::GET && method != Method::HEAD {
            return not_allowed("GET, HEAD");
        }
        match exposition::of(sources) {
            Ok(text) => typed(StatusCode::OK, exposition::CONTENT_TYPE, text),
            Err(error) => {
                tracing::error!(%error, "metrics cannot be written");
                plain(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written\n")
            }
        }
    }
}

fn version_info(method: &Method) -> Answer {
    if method != Method::GET {
        let error = serde_json::json!({ "Error": format!("invalid request method: {method}") });
        return json(StatusCode::BAD_REQUEST, &error);
    }
    let version = Version {
        commit_sha: version::COMMIT,
        version: version::PEER,
    };
    json(StatusCode::OK, &version)
}

async fn log_spec(request: Request<Incoming>) -> Answer {
    let method = request.method().clone();
    let changed = match method {
        Method::GET => {
            let spec = logging::spec();
            return json(StatusCode::OK, &LogSpec { spec });
        }
        Method::PUT => change_log_spec(request).await,
        other => Err(format!("invalid request method: {other}")),
    };
    match changed {
        Ok(()) => plain(StatusCode::NO_CONTENT, ""),
        Err(error) => json(StatusCode::BAD_REQUEST, &serde_json::json!({ "error": error })),
    }
}

async fn change_log_spec(request: Request<Incoming>) -> Result<(), String> {
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    let body = timeout(BODY_TIMEOUT, body).await;
    let body = body
        .map_err(|elapsed| elapsed.to_string())?
        .map_err(|error| error.to_string())?
        .to_bytes();
    let wanted: LogSpec = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    logging::activate(&wanted.spec).map_err(|error| protos::wire_message(&error))?;
    tracing::info!(spec = wanted.spec, "logging specification changed");
    Ok(())
}

fn unauthorized(request: &Request<Incoming>) -> Answer {
    tracing::warn!(
        path = request.uri().path(),
        method = %request.method(),
        "an operations client has shown no certificate that is trusted, and this needs one"
    );
    plain(StatusCode::UNAUTHORIZED, "")
}

fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "");
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn json(status: StatusCode, payload: &impl Serialize) -> Answer {
    match serde_json::to_vec(payload) {
        Ok(body) => typed(status, "application/json", body),
        Err(error) => {
            tracing::error!(%error, "an answer of the operations server cannot be written");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "")
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    typed(status, "text/plain; charset=utf-8", text)
}

fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
