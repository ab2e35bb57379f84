//! core.yaml: its layers, its typed values and where each value came from.
//!
//! [`CoreConfig::load`] stacks four layers, later ones win: the shipped `config/core.yaml` (embedded), the
//! `core.yaml` of the operator, the `CORE_*` variables, and overrides from the command line. Lists and maps
//! with free keys are replaced as a whole. Keys match without regard to case in every layer: `respell`
//! brings them to the spelling of the table in `known`, which also says what each value must look like.
//! This is the only crate that reads the process environment.
#![forbid(unsafe_code)]

mod address;
mod chaincode;
mod effective;
mod environment;
mod go_values;
mod known;
mod layers;
mod ledger;
mod load;
mod local_ip;
mod orderer;
mod peer;
mod read;
mod respell;
mod runtime_services;
mod tls;
mod typed;
mod unsupported;
mod vm;
mod yaml;

pub use address::{AddressError, ChaincodeEndpoint, split_host_port};
pub use chaincode::{
    ChaincodeConfig, ChaincodeLoggingConfig, GolangConfig, JavaConfig, NodeConfig, OwnLimits, ProcessConfig,
    RuntimeImage, Sandbox,
};
pub use effective::EffectiveValue;
pub use go_values::duration as parse_duration;
pub use layers::{InvalidValue, InvalidValues, Override, Source};
pub use ledger::{CouchDbConfig, LedgerConfig, StateConfig, StateDatabase};
pub use load::{CoreConfig, LoadError, LoadOptions, MACHINE_VARIABLES};
pub use local_ip::{NoLocalIp, first_local_ip};
pub use orderer::OrdererConfig;
pub use peer::{
    AddressOverride, DeliveryClientConfig, KeepaliveConfig, LimitsConfig, PeerConfig, PingConfig,
};
pub use runtime_services::{LoggingConfig, MetricsConfig, MetricsProvider, OperationsConfig, StatsdConfig};
pub use tls::{FileProblem, TlsConfig, TlsError, TlsMaterial};
pub use vm::{
    DockerConfig, DockerTlsConfig, PullPolicy, RegistryAuthConfig, RegistryLoginConfig, VmConfig, VmRuntime,
};

/// The shipped `core.yaml`, the lowest layer: every default of the peer is in this file.
pub const SHIPPED_CORE_YAML: &str = include_str!("../../../../config/core.yaml");
