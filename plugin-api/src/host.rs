//! What the peer offers to plugins: logs, metrics, a timer; and what a constructor gets.

#![allow(
    missing_docs,
    clippy::all,
    elided_lifetimes_in_paths,
    non_local_definitions,
    clippy::allow_attributes_without_reason,
    reason = "code that the sabi_trait macro generates"
)]

use abi_stable::StableAbi;
use abi_stable::sabi_trait;
use abi_stable::std_types::{RArc, RSlice, RStr, Tuple2};
use async_ffi::FfiFuture;

/// A list of named texts that is borrowed for one call.
pub type Pairs<'a> = RSlice<'a, Tuple2<RStr<'a>, RStr<'a>>>;

/// The peer's services. Log levels: 1 error, 2 warn, 3 info, 4 debug, 5 trace.
#[sabi_trait]
pub trait Host: Send + Sync + Clone {
    /// Whether a line of this level and target would be written.
    fn log_enabled(&self, level: u8, target: RStr<'_>) -> bool;
    /// Writes a line to the peer's log, tagged with the plugin's instance name.
    fn log(
        &self,
        level: u8,
        target: RStr<'_>,
        message: RStr<'_>,
        fields: RSlice<'_, Tuple2<RStr<'_>, RStr<'_>>>,
    );
    /// Adds to a counter of the plugin's own.
    fn counter_add(&self, name: RStr<'_>, value: u64, labels: RSlice<'_, Tuple2<RStr<'_>, RStr<'_>>>);
    /// Records a value, for example a duration in seconds.
    fn observe(&self, name: RStr<'_>, value: f64, labels: RSlice<'_, Tuple2<RStr<'_>, RStr<'_>>>);
    /// Completes after so many milliseconds. Timers of the plugin's own tokio do not work inside hooks.
    #[sabi(last_prefix_field)]
    fn sleep_ms(&self, milliseconds: u64) -> FfiFuture<()>;
}

/// The peer as plugins hold it; cloning counts a reference.
pub type HostRef = Host_TO<'static, RArc<()>>;

/// Name of the fact that holds the part of `config` that is meant for one chaincode alone, as JSON. Only an
/// instance for one chaincode has it; its `config_json` is the entry's `config` with this part merged in.
pub const OWN_CONFIG: &str = "config.own";

/// What a constructor gets.
#[repr(C)]
#[derive(StableAbi)]
pub struct Init<'a> {
    /// The peer.
    pub host: HostRef,
    /// The instance's unique name in `peer.handlers`.
    pub instance: RStr<'a>,
    /// The entry's `config` as JSON; `{}` when the entry has none. It has passed the plugin's own schema.
    pub config_json: RStr<'a>,
    /// Further facts, see [`Init::fact`].
    pub ext: Pairs<'a>,
}

impl<'a> Init<'a> {
    /// A fact that the peer hands on to plugins beside their own configuration: [`OWN_CONFIG`], to platforms the
    /// keys below `chaincode` in core.yaml that are about one language, such as `chaincode.node.registry`, and to all
    /// `peer.authentication.timewindow`, in milliseconds as in `900000ms`.
    pub fn fact(&self, name: &str) -> Option<&'a str> {
        let facts = self.ext.as_slice();
        facts
            .iter()
            .find(|Tuple2(key, _)| key.as_str() == name)
            .map(|Tuple2(_, value)| value.as_str())
    }
}

/// Adds to a counter of the plugin's own, with labels: `Host::counter_add` without the border's types.
pub fn count(host: &HostRef, name: &str, value: u64, labels: &[(&str, &str)]) {
    let labels: Vec<_> = labels
        .iter()
        .map(|(label, value)| Tuple2(RStr::from(*label), RStr::from(*value)))
        .collect();
    host.counter_add(name.into(), value, RSlice::from_slice(&labels));
}
