//! Where keys come from: a file, or a server.

use crate::config::KeysConfig;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{StatusCode, Uri};
use hyper_rustls::{ConfigBuilderExt, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// Largest set of keys that is read, in bytes.
const MAX_SIZE: usize = 1 << 20;

/// Why keys could not be read or fetched.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("could not read {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    #[error("{} is longer than {MAX_SIZE} bytes", .0.display())]
    TooLong(PathBuf),
    #[error("could not reach the server")]
    Connect(#[source] hyper_util::client::legacy::Error),
    #[error("the server answered with status {0}")]
    Status(StatusCode),
    #[error("could not read the answer (it may have {MAX_SIZE} bytes)")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A place with keys.
pub(crate) enum Source {
    File(PathBuf),
    Server {
        url: Uri,
        tls: Box<ClientConfig>,
        allow_http: bool,
    },
}

impl Source {
    /// Checks what can be checked without asking the server.
    pub(crate) fn new(config: &KeysConfig) -> Result<Self, String> {
        match (&config.file, &config.url) {
            (Some(file), None) => Ok(Self::File(file.clone())),
            (None, Some(url)) => Self::server(url, config),
            _ => Err("keys: say either file or url".to_owned()),
        }
    }

    fn server(text: &str, config: &KeysConfig) -> Result<Self, String> {
        let checked = url::Url::parse(text).map_err(|error| format!("keys.url {text:?}: {error}"))?;
        match checked.scheme() {
            "https" => {}
            "http" if config.allow_http => {}
            "http" => {
                return Err(format!(
                    "keys.url {text:?}: whoever is on the way can replace keys that are fetched with http; use https, or \
                     say keys.allowHttp: true"
                ));
            }
            other => return Err(format!("keys.url {text:?}: {other} is not supported, use https")),
        }
        if !checked.username().is_empty() || checked.password().is_some() {
            return Err("keys.url: credentials in the URL are not supported".to_owned());
        }
        Ok(Self::Server {
            url: text
                .parse()
                .map_err(|error| format!("keys.url {text:?}: {error}"))?,
            tls: Box::new(tls(config.ca_file.as_deref())?),
            allow_http: config.allow_http,
        })
    }

    /// The bytes of the set. Runs on the plugin's own runtime.
    pub(crate) async fn load(&self) -> Result<Vec<u8>, FetchError> {
        match self {
            Self::File(file) => read(file),
            Self::Server { url, tls, allow_http } => get(url, tls, *allow_http).await,
        }
    }
}

/// Reads a file of keys. Blocking, for as long as a small local file takes.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, FetchError> {
    use std::io::Read;
    let failed = |error| FetchError::Read(file.to_owned(), error);
    let opened = std::fs::File::open(file).map_err(failed)?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_SIZE).unwrap_or(u64::MAX).saturating_add(1);
    opened.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_SIZE {
        return Err(FetchError::TooLong(file.to_owned()));
    }
    Ok(bytes)
}

async fn get(url: &Uri, tls: &ClientConfig, allow_http: bool) -> Result<Vec<u8>, FetchError> {
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls.clone());
    let connector = if allow_http {
        connector.https_or_http()
    } else {
        connector.https_only()
    };
    // fetches are minutes apart, so no connection is kept
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(connector.enable_http1().build());
    let response = client.get(url.clone()).await.map_err(FetchError::Connect)?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let body = Limited::new(response.into_body(), MAX_SIZE);
    Ok(body
        .collect()
        .await
        .map_err(FetchError::Body)?
        .to_bytes()
        .to_vec())
}

fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let Some(file) = ca_file else {
        let config = config
            .with_native_roots()
            .map_err(|error| format!("no CA certificates on this system ({error}): say keys.caFile"))?;
        return Ok(config.with_no_client_auth());
    };
    let failed = |error: String| format!("keys.caFile {}: {error}", file.display());
    let pem = read(file).map_err(|error| failed(with_causes(&error)))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("it holds no certificate".to_owned()));
    }
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// An error with its causes.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn source(config: Value) -> Result<Source, String> {
        Source::new(&serde_json::from_value(config).unwrap())
    }

    #[test]
    fn only_https_unless_http_is_said() {
        assert!(source(json!({"url": "https://idp.example.com/keys"})).is_ok());
        assert!(source(json!({"url": "http://idp.example.com/keys", "allowHttp": true})).is_ok());
        for (url, says) in [
            ("http://idp.example.com/keys", "allowHttp: true"),
            ("ftp://idp.example.com/keys", "ftp is not supported"),
            ("idp.example.com/keys", "relative URL"),
            ("https://user:secret@idp.example.com/", "credentials"),
        ] {
            let error = source(json!({ "url": url })).err().unwrap();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn files_are_read_within_limits() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        assert!(matches!(read(&file), Err(FetchError::Read(..))));
        std::fs::write(&file, vec![b' '; MAX_SIZE]).unwrap();
        assert_eq!(read(&file).unwrap().len(), MAX_SIZE);
        std::fs::write(&file, vec![b' '; MAX_SIZE + 1]).unwrap();
        assert!(matches!(read(&file), Err(FetchError::TooLong(_))));
        for (content, says) in [
            ("", "no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "caFile",
            ),
        ] {
            std::fs::write(&file, content).unwrap();
            let error = tls(Some(&file)).err().unwrap();
            assert!(error.contains(says), "{error}");
        }
    }
}
