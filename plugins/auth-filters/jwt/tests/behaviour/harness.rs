//! The filter, loaded as the peer loads it, and requests for it.

use bytes::Bytes;
use handlers::{AuthChain, LoadErrors, Metadata, ParsedRequest, Registry, Rejection};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Who the issuer is.
pub const ISSUER: &str = "https://idp.example.com";
/// Who we are.
pub const AUDIENCE: &str = "fabric-peer";

/// gRPC `PERMISSION_DENIED`.
pub const DENIED: u32 = 7;
/// gRPC `UNAVAILABLE`.
pub const UNAVAILABLE: u32 = 14;
/// gRPC `UNAUTHENTICATED`.
pub const UNAUTHENTICATED: u32 = 16;

/// A configuration with these keys, whose tokens are not bound, and with further settings.
pub fn config(keys: Value, more: Value) -> Value {
    let mut config = json!({ "issuer": ISSUER, "audience": AUDIENCE, "keys": keys, "bind": "none" });
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

/// Loads the library with the peer's loader.
pub fn load(config: Value) -> Result<Filter, LoadErrors> {
    let library = conformance::library("jwt").unwrap();
    let folder: PathBuf = library.parent().unwrap().to_owned();
    let entry = json!({ "name": "jwt", "library": library, "timeoutMs": 60_000, "config": config });
    let section = json!({ "pluginDirs": [folder], "authFilters": [entry] });
    let registry = Registry::load(&serde_json::from_value(section).unwrap(), &[])?;
    Ok(Filter(registry.auth_chain()))
}

/// A chain of the filter alone.
pub struct Filter(AuthChain);

impl Filter {
    /// Sends a request; the answer is what a decorator would know of it.
    pub async fn send(&self, request: ParsedRequest) -> Result<Arc<ParsedRequest>, Rejection> {
        let request = Arc::new(request);
        let endorser = || async { Ok(Bytes::from("endorsed")) };
        self.0.run(Arc::clone(&request), endorser).await?;
        Ok(request)
    }

    /// Sends a proposal of nobody in particular with this header.
    pub async fn header(&self, value: &str) -> Result<Arc<ParsedRequest>, Rejection> {
        self.send(with_header("authorization", value)).await
    }

    /// Sends it with this token.
    pub async fn token(&self, token: &str) -> Result<Arc<ParsedRequest>, Rejection> {
        self.header(&format!("Bearer {token}")).await
    }

    /// The code and text of a refusal; none may repeat the token.
    pub async fn refusal(&self, token: &str) -> (u32, String) {
        let rejection = self.token(token).await.unwrap_err();
        let repeats = token
            .split('.')
            .any(|part| part.len() > 8 && rejection.message.contains(part));
        assert!(!repeats, "{}", rejection.message);
        (rejection.code, rejection.message)
    }
}

/// A request with one header.
pub fn with_header(name: &'static str, value: &str) -> ParsedRequest {
    let value = Bytes::copy_from_slice(value.as_bytes());
    ParsedRequest {
        metadata: Metadata(Some(Arc::new(move |asked| {
            (asked == name).then(|| value.clone())
        }))),
        ..ParsedRequest::default()
    }
}

/// What the filter has said.
pub fn fact(request: &ParsedRequest, name: &str) -> Option<String> {
    let value = request.said.get(name)?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}
