//! The `logging`, `operations` and `metrics` sections.

use std::time::Duration;

use serde::Deserialize;

use crate::{
    tls::TlsConfig,
    typed::{duration, optional_text},
};

/// `logging`.
#[derive(Debug, Clone, Deserialize)]
pub struct LoggingConfig {
    /// `level` of 1.1.
    pub level: String,
    /// `spec`, which the variable `FABRIC_LOGGING_SPEC` sets.
    #[serde(default, deserialize_with = "optional_text")]
    spec: Option<String>,
    /// `format`, which the variable `FABRIC_LOGGING_FORMAT` sets.
    #[serde(default, deserialize_with = "optional_text")]
    pub format: Option<String>,
}

impl LoggingConfig {
    /// What to log, in Fabric's syntax (`info:gossip=warn:msp,ledger=debug`): the spec, else the level.
    pub fn spec(&self) -> &str {
        self.spec.as_deref().unwrap_or(&self.level)
    }

    /// The spec, if the operator has stated one.
    pub fn stated_spec(&self) -> Option<&str> {
        self.spec.as_deref()
    }
}

/// `operations`: the listener for health and metrics.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationsConfig {
    /// `listenAddress`; `None`: no listener.
    #[serde(deserialize_with = "optional_text")]
    pub listen_address: Option<String>,
    /// `tls`.
    pub tls: TlsConfig,
}

/// `metrics`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct MetricsConfig {
    /// `provider`.
    pub provider: MetricsProvider,
    /// `statsd`.
    pub statsd: StatsdConfig,
}

/// `metrics.provider`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsProvider {
    /// There are none.
    #[default]
    Disabled,
    /// They can be fetched from the operations server.
    Prometheus,
    /// They would be sent to a daemon.
    Statsd,
}

/// `metrics.statsd`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatsdConfig {
    /// `network`: `udp` or `tcp`.
    pub network: String,
    /// `address`: host:port.
    pub address: String,
    /// `writeInterval`.
    #[serde(deserialize_with = "duration")]
    pub write_interval: Duration,
    /// `prefix` of every name.
    pub prefix: String,
}

impl Default for StatsdConfig {
    fn default() -> Self {
        Self {
            network: "udp".to_owned(),
            address: "127.0.0.1:8125".to_owned(),
            write_interval: Duration::from_secs(10),
            prefix: String::new(),
        }
    }
}
