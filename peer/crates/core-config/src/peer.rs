//! The `peer` section.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    tls::TlsConfig,
    typed::{duration, optional_path, optional_text},
};

/// `peer`: this peer, its listeners and its identity.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerConfig {
    /// `id`: part of the names of chaincode processes.
    pub id: String,
    /// `networkId`: the same.
    pub network_id: String,
    /// `listenAddress`: where clients connect, host:port.
    pub listen_address: String,
    /// `chaincodeListenAddress`; see [`PeerConfig::chaincode_endpoint`].
    #[serde(default, deserialize_with = "optional_text")]
    pub chaincode_listen_address: Option<String>,
    /// `chaincodeAddress`; see [`PeerConfig::chaincode_endpoint`].
    #[serde(default, deserialize_with = "optional_text")]
    pub chaincode_address: Option<String>,
    /// `address` as stated; see [`PeerConfig::effective_address`].
    #[serde(default)]
    pub address: String,
    /// `addressAutoDetect`: use a local IP instead of the host in `address`.
    pub address_auto_detect: bool,
    /// `keepalive`.
    pub keepalive: KeepaliveConfig,
    /// `tls`: the listener for clients, and the switch for the one for chaincode.
    pub tls: TlsConfig,
    /// `authentication.timewindow`: how far the clock of a signed Deliver request may be off.
    #[serde(rename = "authentication", deserialize_with = "timewindow")]
    pub authentication_timewindow: Duration,
    /// `fileSystemPath`: the root of all data.
    pub file_system_path: PathBuf,
    /// `BCCSP.SW.FileKeyStore.KeyStore`: the folder of private keys when it is not the MSP's own.
    #[serde(rename = "BCCSP", default, deserialize_with = "key_store")]
    pub key_store: Option<PathBuf>,
    /// `mspConfigPath`: the folder of the local MSP.
    pub msp_config_path: PathBuf,
    /// `localMspId`.
    pub local_msp_id: String,
    /// `client.connTimeout`: limit for outgoing connections of the command line.
    #[serde(rename = "client", deserialize_with = "conn_timeout")]
    pub client_conn_timeout: Duration,
    /// `deliveryclient`: pulling blocks from the orderer.
    pub deliveryclient: DeliveryClientConfig,
    /// `handlers`: plugins, as JSON with the keys spelled as documented. The crate that loads plugins reads it.
    pub handlers: Value,
    /// `validatorPoolSize`: transactions validated at a time; `None`: the number of processors.
    #[serde(default)]
    pub validator_pool_size: Option<usize>,
    /// `limits.concurrency`.
    #[serde(rename = "limits", deserialize_with = "concurrency")]
    pub limits: LimitsConfig,
    /// `maxRecvMsgSize` in bytes.
    pub max_recv_msg_size: usize,
    /// `maxSendMsgSize` in bytes.
    pub max_send_msg_size: usize,
}

/// How often to ping an idle connection and how long to wait for the answer.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct PingConfig {
    /// `interval`.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// `timeout`.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
}

/// `peer.keepalive`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeepaliveConfig {
    /// `interval`: pings of this server.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// `timeout`: for their answer.
    #[serde(deserialize_with = "duration")]
    pub timeout: Duration,
    /// `minInterval`: clients that ping more often are cut off.
    #[serde(deserialize_with = "duration")]
    pub min_interval: Duration,
    /// `client`: connections to other peers.
    pub client: PingConfig,
    /// `deliveryClient`: connections to orderers.
    pub delivery_client: PingConfig,
}

/// `peer.deliveryclient`.
#[derive(Debug, Clone, Deserialize)]
pub struct DeliveryClientConfig {
    /// `reconnectTotalTimeThreshold`: how long to go on reconnecting.
    #[serde(rename = "reconnectTotalTimeThreshold", deserialize_with = "duration")]
    pub reconnect_total_time_threshold: Duration,
    /// `connTimeout`: for one connection.
    #[serde(rename = "connTimeout", deserialize_with = "duration")]
    pub conn_timeout: Duration,
    /// `reConnectBackoffThreshold`: the longest wait between two attempts.
    #[serde(rename = "reConnectBackoffThreshold", deserialize_with = "duration")]
    pub reconnect_backoff_threshold: Duration,
    /// `addressOverrides`: orderer addresses of the channel configuration to replace.
    #[serde(rename = "addressOverrides", default)]
    pub address_overrides: Vec<AddressOverride>,
}

/// One of `peer.deliveryclient.addressOverrides`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressOverride {
    /// `from`: the address in the channel configuration.
    pub from: String,
    /// `to`: the address to use.
    pub to: String,
    /// `caCertsFile`: the roots to trust there.
    #[serde(default, deserialize_with = "optional_path")]
    pub ca_certs_file: Option<PathBuf>,
}

/// `peer.limits.concurrency`: requests of a service at a time, 0 is no limit.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitsConfig {
    /// `endorserService`.
    pub endorser_service: usize,
    /// `deliverService`.
    pub deliver_service: usize,
}

fn timewindow<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    struct Authentication {
        #[serde(deserialize_with = "duration")]
        timewindow: Duration,
    }
    Ok(Authentication::deserialize(deserializer)?.timewindow)
}

fn conn_timeout<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Client {
        #[serde(deserialize_with = "duration")]
        conn_timeout: Duration,
    }
    Ok(Client::deserialize(deserializer)?.conn_timeout)
}

fn concurrency<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<LimitsConfig, D::Error> {
    #[derive(Deserialize)]
    struct Limits {
        concurrency: LimitsConfig,
    }
    Ok(Limits::deserialize(deserializer)?.concurrency)
}

fn key_store<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let bccsp = Value::deserialize(deserializer)?;
    let path = bccsp.pointer("/SW/FileKeyStore/KeyStore").and_then(Value::as_str);
    Ok(path.filter(|path| !path.is_empty()).map(PathBuf::from))
}
