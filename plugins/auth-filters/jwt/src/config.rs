//! What the operator says.

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The entry's `config`, see the schema.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) issuer: Texts,
    pub(crate) audience: Texts,
    pub(crate) keys: KeysConfig,
    pub(crate) bind: Bind,
    #[serde(default)]
    pub(crate) claims: Vec<ClaimPath>,
    #[serde(default = "authorization")]
    pub(crate) header: String,
    #[serde(default = "bearer")]
    pub(crate) scheme: String,
    #[serde(default = "asymmetric")]
    pub(crate) algorithms: Vec<Algorithm>,
    #[serde(default = "leeway")]
    pub(crate) leeway_seconds: u64,
}

fn authorization() -> String {
    "authorization".to_owned()
}

fn bearer() -> String {
    "Bearer".to_owned()
}

fn leeway() -> u64 {
    30
}

/// All that are not based on a shared secret.
pub(crate) fn asymmetric() -> Vec<Algorithm> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    vec![RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA]
}

/// One text, or alternatives.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Texts {
    One(String),
    Several(Vec<String>),
}

impl Texts {
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        }
    }
}

/// Where keys come from, and how long they are good for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct KeysConfig {
    pub(crate) file: Option<PathBuf>,
    pub(crate) url: Option<String>,
    pub(crate) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) allow_http: bool,
    #[serde(default = "refresh")]
    pub(crate) refresh_seconds: f64,
    #[serde(default = "retry")]
    pub(crate) retry_seconds: f64,
    #[serde(default = "max_stale")]
    pub(crate) max_stale_seconds: f64,
    #[serde(default = "timeout")]
    pub(crate) timeout_seconds: f64,
    #[serde(default = "wait")]
    pub(crate) wait_seconds: f64,
}

fn refresh() -> f64 {
    300.0
}

fn retry() -> f64 {
    10.0
}

fn max_stale() -> f64 {
    86_400.0
}

fn timeout() -> f64 {
    5.0
}

fn wait() -> f64 {
    0.5
}

/// The times of [`KeysConfig`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) refresh: Duration,
    pub(crate) retry: Duration,
    pub(crate) max_stale: Duration,
    pub(crate) timeout: Duration,
    pub(crate) wait: Duration,
}

impl TryFrom<&KeysConfig> for Times {
    type Error = String;

    fn try_from(keys: &KeysConfig) -> Result<Self, String> {
        let time = |name: &str, seconds: f64| {
            Duration::try_from_secs_f64(seconds).map_err(|error| format!("keys.{name}: {error}"))
        };
        let times = Self {
            refresh: time("refreshSeconds", keys.refresh_seconds)?,
            retry: time("retrySeconds", keys.retry_seconds)?,
            max_stale: time("maxStaleSeconds", keys.max_stale_seconds)?,
            timeout: time("timeoutSeconds", keys.timeout_seconds)?,
            wait: time("waitSeconds", keys.wait_seconds)?,
        };
        if times.max_stale < times.refresh {
            return Err(
                "keys.maxStaleSeconds is less than keys.refreshSeconds: keys would expire before they are \
                        fetched again"
                    .to_owned(),
            );
        }
        Ok(times)
    }
}

/// How a token belongs to a creator.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Bind {
    /// `none`, said explicitly; nothing else gets through the schema.
    Not(NoBinding),
    Rules(Vec<Rule>),
}

/// The word for "not at all".
#[derive(Debug, Deserialize)]
pub(crate) enum NoBinding {
    #[serde(rename = "none")]
    Said,
}

/// One claim that must be one fact of the creator.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) claim: Option<ClaimPath>,
    pub(crate) to: Fact,
}

/// What is known of a creator.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Fact {
    CommonName,
    EnrollmentId,
    MspId,
    CertificateSha256,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CommonName => "common name",
            Self::EnrollmentId => "enrollment id",
            Self::MspId => "MSP id",
            Self::CertificateSha256 => "certificate",
        })
    }
}

/// Leads to a claim: names from the outside in. Not split at dots, which are part of many names.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "Texts")]
pub(crate) struct ClaimPath(Vec<String>);

impl From<Texts> for ClaimPath {
    fn from(texts: Texts) -> Self {
        Self(texts.as_slice().to_vec())
    }
}

impl ClaimPath {
    pub(crate) fn of<const N: usize>(names: [&str; N]) -> Self {
        Self(names.map(str::to_owned).to_vec())
    }

    /// The claim's value.
    pub(crate) fn find<'a>(
        &self,
        claims: &'a serde_json::Map<String, serde_json::Value>,
    ) -> Option<&'a serde_json::Value> {
        let (first, inner) = self.0.split_first()?;
        inner
            .iter()
            .try_fold(claims.get(first)?, |value, name| value.get(name.as_str()))
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
