//! Settings of chaincode support, already typed, and the named limits of the chaincode stream.

use std::time::Duration;

use container::ChaincodeLogging;

/// Messages waiting to be sent on one stream. Enough that replies never wait while the chaincode reads,
/// few enough that a chaincode that does not read cannot pile up memory in the peer.
pub const OUTBOUND_QUEUE: usize = 128;

/// How long a message may wait for its place in the queue; then the chaincode has stopped reading and the
/// stream ends.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a new stream may stay without a REGISTER.
pub const REGISTER_TIMEOUT: Duration = Duration::from_secs(60);

/// Queries that one transaction may have open at a time. Queries that were read to their end do not count.
pub const MAX_OPEN_QUERIES: usize = 512;

/// Records of one WRITE_BATCH_STATE and keys of one GET_STATE_MULTIPLE (what Fabric 3 announces).
pub const MAX_BATCH_RECORDS: usize = 1000;

/// Longest name a chaincode may register with.
pub const MAX_REGISTERED_NAME: usize = 512;

/// A transaction may not be timed out sooner than this; a smaller setting means the default.
const MIN_EXECUTE_TIMEOUT: Duration = Duration::from_secs(1);
const DEFAULT_EXECUTE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for an installation to say that it is not done in time, and why.
const INSTALL_ANSWER: Duration = Duration::from_secs(5);
/// A start is given at least this long.
const MIN_STARTUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of chaincode support (`chaincode.*`, `ledger.state.totalQueryLimit` and a few of `peer.*`).
#[derive(Clone, Debug)]
pub struct Config {
    /// `chaincode.executetimeout`: how long one transaction may run.
    pub execute_timeout: Duration,
    /// `chaincode.startuptimeout`: how long start and registration of what is built may take together.
    pub startup_timeout: Duration,
    /// `chaincode.installTimeout`: how long an installation may run.
    pub install_timeout: Duration,
    /// `chaincode.keepalive`: interval of KEEPALIVE messages; none by default, since Node's shim dies of them.
    pub keepalive: Option<Duration>,
    /// `chaincode.mode: dev`: the user starts the chaincode.
    pub dev_mode: bool,
    /// `ledger.state.totalQueryLimit`: records that one query returns at most.
    pub total_query_limit: u32,
    /// The address that chaincode is told to connect to, as `host:port`.
    pub chaincode_address: String,
    /// `peer.localMspId`.
    pub local_msp_id: String,
    /// `chaincode.logging`.
    pub logging: ChaincodeLogging,
    /// Whether READY announces the batch requests of the 3.x shims. Off keeps READY empty, which every shim
    /// understands; the requests are answered either way.
    pub announce_batches: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            execute_timeout: DEFAULT_EXECUTE_TIMEOUT,
            startup_timeout: Duration::from_secs(300),
            install_timeout: Duration::from_secs(300),
            keepalive: None,
            dev_mode: false,
            total_query_limit: 10_000,
            chaincode_address: "127.0.0.1:7052".into(),
            local_msp_id: String::new(),
            logging: ChaincodeLogging::default(),
            announce_batches: false,
        }
    }
}

impl Config {
    /// The settings with Fabric's lower bounds applied.
    #[must_use]
    pub fn with_fabrics_bounds(mut self) -> Self {
        if self.execute_timeout < MIN_EXECUTE_TIMEOUT {
            self.execute_timeout = DEFAULT_EXECUTE_TIMEOUT;
        }
        self.startup_timeout = self.startup_timeout.max(MIN_STARTUP_TIMEOUT);
        self.keepalive = self.keepalive.filter(|interval| !interval.is_zero());
        self
    }

    /// How long an installer waits for the build.
    #[must_use]
    pub fn install_limit(&self) -> Duration {
        self.install_timeout.max(self.execute_timeout)
    }

    /// How long an execution may take (Fabric gives installations more).
    pub(crate) fn timeout_of(&self, chaincode: &str, function: &[u8]) -> Duration {
        match (chaincode, function) {
            ("lscc", b"install") | ("_lifecycle", b"InstallChaincode") => {
                self.install_limit().saturating_add(INSTALL_ANSWER)
            }
            _ => self.execute_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_small_timeouts_become_fabrics() {
        let config = Config {
            execute_timeout: Duration::from_millis(999),
            startup_timeout: Duration::from_secs(1),
            keepalive: Some(Duration::ZERO),
            ..Config::default()
        }
        .with_fabrics_bounds();
        assert_eq!(config.execute_timeout, Duration::from_secs(30));
        assert_eq!(config.startup_timeout, Duration::from_secs(5));
        assert_eq!(config.keepalive, None);
    }

    #[test]
    fn only_installations_get_the_install_timeout() {
        let config = Config::default();
        assert_eq!(
            config.timeout_of("lscc", b"install"),
            config.install_timeout + INSTALL_ANSWER
        );
        assert_eq!(config.timeout_of("lscc", b"deploy"), config.execute_timeout);
        assert_eq!(config.timeout_of("mycc", b"install"), config.execute_timeout);
    }
}
