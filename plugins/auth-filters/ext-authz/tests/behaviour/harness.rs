//! The filter, loaded as the peer loads it, and requests for it.

use bytes::Bytes;
use handlers::{AuthChain, LoadErrors, ParsedRequest, Registry, Rejection};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// gRPC `UNAVAILABLE`.
pub const UNAVAILABLE: u32 = 14;
/// How long a test waits for what must happen, on a machine that may be busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Loads the library with the peer's loader.
pub fn load(config: Value) -> Result<Filter, LoadErrors> {
    let library = conformance::library("ext-authz").unwrap();
    let folder = library.parent().unwrap().to_owned();
    let entry = json!({ "name": "ext-authz", "library": library, "timeoutMs": 60_000, "config": config });
    let section = json!({ "pluginDirs": [folder], "authFilters": [entry] });
    let registry = Registry::load(&serde_json::from_value(section).unwrap(), &[])?;
    Ok(Filter(registry.auth_chain()))
}

/// The filter for this service, with further settings. Patient, unless they say otherwise.
pub fn filter(endpoint: &str, more: Value) -> Filter {
    let mut config = json!({ "endpoint": endpoint, "timeoutSeconds": 30 });
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    load(config).unwrap()
}

/// A chain of the filter alone.
pub struct Filter(AuthChain);

impl Filter {
    /// Sends a request; what comes back is what a decorator would know of it.
    pub async fn send(&self, request: ParsedRequest) -> Result<Arc<ParsedRequest>, Rejection> {
        let request = Arc::new(request);
        let endorser = || async { Ok(Bytes::from("endorsed")) };
        self.0.run(Arc::clone(&request), endorser).await?;
        Ok(request)
    }

    /// Sends a request that says nothing.
    pub async fn ask(&self) -> Result<Arc<ParsedRequest>, Rejection> {
        self.send(ParsedRequest::default()).await
    }

    /// The code and text of a refusal.
    pub async fn refusal(&self) -> (u32, String) {
        let rejection = self.ask().await.unwrap_err();
        (rejection.code, rejection.message)
    }

    /// Waits until requests pass.
    pub async fn will_pass(&self) {
        let start = Instant::now();
        while let Err(rejection) = self.ask().await {
            assert!(start.elapsed() < PATIENCE, "{rejection}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
