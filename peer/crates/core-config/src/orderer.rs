//! The `orderer` section, not Fabric's: the small ordering service inside the peer's process.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{
    tls::TlsConfig,
    typed::{optional_path, optional_text},
};

/// `orderer`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrdererConfig {
    /// `enabled`.
    pub enabled: bool,
    /// `listenAddress`: host:port.
    pub listen_address: String,
    /// `bootstrapFile`: the genesis block of the system channel.
    #[serde(default, deserialize_with = "optional_path")]
    pub bootstrap_file: Option<PathBuf>,
    /// `localMspDir`: the identity that signs blocks.
    #[serde(default, deserialize_with = "optional_path")]
    pub local_msp_dir: Option<PathBuf>,
    /// `localMspId`.
    #[serde(default, deserialize_with = "optional_text")]
    pub local_msp_id: Option<String>,
    /// `fileSystemPath`: where blocks are kept.
    pub file_system_path: PathBuf,
    /// `tls`.
    pub tls: TlsConfig,
}
