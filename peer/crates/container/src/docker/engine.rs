//! The connection to the engine: found when first needed, version agreed on, every answer waited for with a limit.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion, Docker};
use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use super::endpoint::{Endpoint, EngineHints, EngineTls};
use super::error::DockerError;

/// For answers that cost an engine nothing: its version, what it knows of a container, removing one.
pub(super) const SHORT: Duration = Duration::from_secs(30);
/// The first answer of an engine.
const FIRST: Duration = Duration::from_secs(10);
/// The oldest API that has all that is asked for here; Docker 1.12.
const OLDEST_API: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 24,
};
/// The client's own limit for an answer to begin. Limits are set here, by what is asked: old engines answer a
/// "wait" only once the container has ended.
const CLIENT_LIMIT_SECONDS: u64 = 365 * 24 * 3600;

/// Who to connect to.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    configured: Endpoint,
    tls: Option<EngineTls>,
    hints: EngineHints,
}

/// A connection; requests of their own go over connections of their own.
#[derive(Clone)]
pub(super) struct Session {
    docker: Docker,
    endpoint: Arc<str>,
    /// Has a receiver for everything on the engine that is still to be removed.
    unfinished: Arc<watch::Sender<()>>,
    /// Containers that could not be removed because the engine was gone.
    left: Arc<Mutex<BTreeSet<String>>>,
}

impl Engine {
    pub(super) fn new(configured: Endpoint, tls: Option<EngineTls>, hints: EngineHints) -> Self {
        Self {
            configured,
            tls,
            hints,
        }
    }

    /// Looks for the engine and agrees on a version of the API.
    pub(super) async fn connect(&self) -> Result<Session, DockerError> {
        let endpoint = self
            .configured
            .clone()
            .or_discovered(self.tls.clone(), &self.hints);
        let shown: Arc<str> = endpoint.to_string().into();
        let action = "Error creating docker client";
        let agreed = Arc::new(OnceLock::new());
        let docker = client(&endpoint).map_err(|error| DockerError::of(&shown, action, error))?;
        let session = Session {
            docker: docker.with_request_modifier(as_engines_read(Arc::clone(&agreed))),
            endpoint: shown,
            unfinished: Arc::new(watch::Sender::new(())),
            left: Arc::default(),
        };
        let version = session
            .call(action, FIRST, "10s, fixed", session.docker.version())
            .await?;
        let offered = version.api_version.unwrap_or_default();
        let least = version.min_api_version.unwrap_or_default();
        let chosen = agree(&offered, &least)?;
        tracing::info!(
            endpoint = %session.endpoint,
            version = version.version.unwrap_or_default(),
            api = %chosen,
            "docker engine found"
        );
        agreed.get_or_init(|| chosen);
        Ok(session)
    }
}

fn client(endpoint: &Endpoint) -> Result<Docker, EngineError> {
    match endpoint {
        Endpoint::Unix(path) => Docker::connect_with_unix(
            &path.display().to_string(),
            CLIENT_LIMIT_SECONDS,
            API_DEFAULT_VERSION,
        ),
        Endpoint::Tcp(address, None) => {
            Docker::connect_with_http(address, CLIENT_LIMIT_SECONDS, API_DEFAULT_VERSION)
        }
        Endpoint::Tcp(address, Some(EngineTls { ca, cert, key })) => {
            Docker::connect_with_ssl(address, key, cert, ca, CLIENT_LIMIT_SECONDS, API_DEFAULT_VERSION)
        }
    }
}

/// Puts the agreed version in front of the path: the client leaves it out, and an engine then takes its newest. And
/// writes logins in the alphabet of URLs: the client takes the other, an engine then silently does without the login.
fn as_engines_read(
    agreed: Arc<OnceLock<ClientVersion>>,
) -> impl Fn(BollardRequest) -> BollardRequest + Send + Sync {
    move |mut request| {
        for name in ["x-registry-auth", "x-registry-config"] {
            if let Some(value) = request.headers_mut().get_mut(name) {
                let text = value.to_str().unwrap_or_default();
                let text = text.replace('+', "-").replace('/', "_");
                if let Ok(rewritten) = text.parse() {
                    *value = rewritten;
                    value.set_sensitive(true);
                }
            }
        }
        let Some(version) = agreed.get() else {
            return request;
        };
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let path = format!("/v{version}{path}");
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = path.parse().ok();
        if let Ok(uri) = parts.try_into() {
            *request.uri_mut() = uri;
        }
        request
    }
}

/// The newest version that both speak.
fn agree(offered: &str, least: &str) -> Result<ClientVersion, DockerError> {
    let newest = *API_DEFAULT_VERSION;
    let refused = || DockerError::Version {
        found: if least.is_empty() {
            offered.to_owned()
        } else {
            format!("{least} to {offered}")
        },
        spoken: format!("{OLDEST_API} to {newest}"),
    };
    let offered = parsed(offered).ok_or_else(refused)?;
    let chosen = if offered < newest { offered } else { newest };
    let too_new = parsed(least).is_some_and(|least| chosen < least);
    if chosen < OLDEST_API || too_new {
        return Err(refused());
    }
    Ok(chosen)
}

fn parsed(version: &str) -> Option<ClientVersion> {
    let (major, minor) = version.split_once('.')?;
    Some(ClientVersion {
        major_version: major.parse().ok()?,
        minor_version: minor.parse().ok()?,
    })
}

impl Session {
    pub(super) fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Marks something that has to be removed again; held until it is.
    pub(super) fn mark_unfinished(&self) -> watch::Receiver<()> {
        self.unfinished.subscribe()
    }

    /// Remembers a container that is to be removed once the engine is back.
    pub(super) fn leave(&self, container: &str) {
        self.left.lock().insert(container.to_owned());
    }

    /// What was remembered, which is the caller's task now.
    pub(super) fn take_left(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.left.lock())
    }

    /// Waits until nothing is left to be removed.
    pub(super) async fn finished(&self) {
        self.unfinished.closed().await;
    }

    /// Judges an error of the client.
    pub(super) fn error(&self, action: impl Into<String>, error: EngineError) -> DockerError {
        DockerError::of(&self.endpoint, action, error)
    }

    /// One answer within `limit`, which `key` sets.
    pub(super) async fn call<T>(
        &self,
        action: &str,
        limit: Duration,
        key: &'static str,
        answer: impl Future<Output = Result<T, EngineError>> + Send,
    ) -> Result<T, DockerError> {
        within(action, limit, key, async {
            answer.await.map_err(|error| self.error(action, error))
        })
        .await
    }

    /// An answer that costs the engine nothing.
    pub(super) async fn ask<T>(
        &self,
        action: &str,
        answer: impl Future<Output = Result<T, EngineError>> + Send,
    ) -> Result<T, DockerError> {
        self.call(action, SHORT, "30s, fixed", answer).await
    }

    /// Reads a stream to its end; the first error ends it.
    pub(super) async fn drain<T>(
        &self,
        action: &str,
        stream: impl Stream<Item = Result<T, EngineError>> + Send,
        mut each: impl FnMut(T) + Send,
    ) -> Result<(), DockerError> {
        let mut stream = std::pin::pin!(stream);
        while let Some(item) = stream.next().await {
            each(item.map_err(|error| self.error(action, error))?);
        }
        Ok(())
    }
}

/// Waits for `work`, at most `limit`.
pub(super) async fn within<T>(
    action: &str,
    limit: Duration,
    key: &'static str,
    work: impl Future<Output = Result<T, DockerError>> + Send,
) -> Result<T, DockerError> {
    match timeout(limit, work).await {
        Ok(done) => done,
        Err(_elapsed) => Err(DockerError::Late {
            action: action.to_owned(),
            limit,
            key,
            last_lines: Vec::new(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree_on_the_newest_common_version() {
        let newest = API_DEFAULT_VERSION.to_string();
        assert_eq!(agree("1.24", "1.12").unwrap().to_string(), "1.24");
        assert_eq!(agree("1.41", "").unwrap().to_string(), "1.41");
        assert_eq!(agree("1.999", "1.44").unwrap().to_string(), newest);
        for (offered, least) in [("1.23", ""), ("1.999", "1.998"), ("", ""), ("x", "1.2")] {
            let error = agree(offered, least).unwrap_err().to_string();
            assert!(
                error.contains("does not fit") && error.contains(&newest),
                "{error}"
            );
        }
    }
}
