//! The connection to the service, on the plugin's own runtime.

use crate::config::{Config, Tls};
use crate::messages::{CheckRequest, CheckResponse};
use plugin_api::{Code, PluginError, rt};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code as StatusCode, Request, Status};
use tonic_prost::ProstCodec;

/// The RPC.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// How often an idle connection is tried, so that a service that is gone without a word is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The service.
pub(crate) struct Service(Arc<Shared>);

struct Shared {
    endpoint: Endpoint,
    /// Made at the first question: it needs the runtime. Connects, and connects again, by itself.
    channel: OnceLock<Channel>,
    places: Arc<Semaphore>,
    timeout: Duration,
}

impl Service {
    /// Does not connect yet: the service may start after the peer.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let timeout = Duration::try_from_secs_f64(config.timeout_seconds)
            .map_err(|error| format!("timeoutSeconds: {error}"))?;
        let failed = |error: &tonic::transport::Error| {
            format!("endpoint {:?}: {}", config.endpoint, with_causes(error))
        };
        let endpoint = Endpoint::from_shared(config.endpoint.clone()).map_err(|error| failed(&error))?;
        let encrypted = config.endpoint.starts_with("https:");
        let endpoint = match &config.tls {
            Some(of_tls) if encrypted => endpoint
                .tls_config(tls(of_tls)?)
                .map_err(|error| failed(&error))?,
            None if encrypted => return Err(format!("endpoint {:?} needs tls.caFile", config.endpoint)),
            Some(_) => {
                return Err(format!(
                    "endpoint {:?} is not https, and tls is configured",
                    config.endpoint
                ));
            }
            None => endpoint,
        };
        let endpoint = endpoint
            .connect_timeout(timeout)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(timeout.max(Duration::from_secs(1)))
            .keep_alive_while_idle(true);
        Ok(Self(Arc::new(Shared {
            endpoint,
            channel: OnceLock::new(),
            places: Arc::new(Semaphore::new(config.max_in_flight)),
            timeout,
        })))
    }

    /// Asks. Every failure is a refusal.
    pub(crate) async fn check(&self, question: CheckRequest) -> Result<CheckResponse, PluginError> {
        let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() else {
            return Err(unavailable("the authorization service is asked too much at once"));
        };
        let shared = Arc::clone(&self.0);
        let asked = rt::spawn(async move {
            let _place = place;
            tokio::time::timeout(shared.timeout, shared.ask(question)).await
        });
        match asked.await? {
            Ok(Ok(answer)) => Ok(answer),
            // the service, or tonic on either side, has ended it at the deadline that went along
            Ok(Err(status))
                if matches!(
                    status.code(),
                    StatusCode::DeadlineExceeded | StatusCode::Cancelled
                ) =>
            {
                Err(self.too_late())
            }
            Ok(Err(status)) => {
                tracing::warn!(
                    reason = reason(&status),
                    "the authorization service could not be asked"
                );
                Err(unavailable("the authorization service is not available"))
            }
            Err(_elapsed) => Err(self.too_late()),
        }
    }

    fn too_late(&self) -> PluginError {
        tracing::warn!(limit = ?self.0.timeout, "the authorization service did not answer in time");
        unavailable("the authorization service did not answer in time")
    }
}

impl Shared {
    async fn ask(&self, question: CheckRequest) -> Result<CheckResponse, Status> {
        let channel = self.channel.get_or_init(|| self.endpoint.connect_lazy()).clone();
        let mut client = Grpc::new(channel)
            .max_decoding_message_size(MAX_ANSWER)
            .max_encoding_message_size(usize::MAX);
        let not_ready = |error| Status::unavailable(with_causes(&error));
        client
            .ready()
            .await
            .map_err(|error: tonic::transport::Error| not_ready(error))?;
        let mut request = Request::new(question);
        request.set_timeout(self.timeout);
        let codec = ProstCodec::<CheckRequest, CheckResponse>::default();
        let answer = client
            .unary(request, PathAndQuery::from_static(CHECK), codec)
            .await?;
        Ok(answer.into_inner())
    }
}

fn unavailable(text: &str) -> PluginError {
    PluginError::new(Code::UNAVAILABLE, text)
}

fn tls(tls: &Tls) -> Result<ClientTlsConfig, String> {
    let read = |key: &str, file: &Path| {
        std::fs::read(file).map_err(|error| format!("tls.{key} {}: {error}", file.display()))
    };
    let ca = Certificate::from_pem(read("caFile", &tls.ca_file)?);
    let mut config = ClientTlsConfig::new().ca_certificate(ca);
    if let (Some(certificate), Some(key)) = (&tls.cert_file, &tls.key_file) {
        let identity = Identity::from_pem(read("certFile", certificate)?, read("keyFile", key)?);
        config = config.identity(identity);
    }
    if let Some(name) = &tls.server_name {
        config = config.domain_name(name);
    }
    Ok(config)
}

fn reason(status: &Status) -> String {
    format!("{:?}: {}", status.code(), with_causes(status))
}

/// An error with its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
