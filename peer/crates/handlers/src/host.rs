//! What the peer does for plugins: their log lines, their metrics, their timer.
//!
//! A panic in here would cross the border and end the process: nothing may panic.

use crate::current;
use crate::metric::count;
use crate::own_metrics::{Change, MAX_LABELS, PluginMetrics};
use abi_stable::erased_types::TD_Opaque;
use abi_stable::std_types::{RArc, RSlice, RStr, Tuple2};
use async_ffi::{FfiFuture, FutureExt};
use plugin_api::{Host, Host_TO, HostRef};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::{Level, debug, enabled, error, info, trace, warn};

/// Longest log line of a plugin, in bytes.
const MAX_LINE: usize = 8192;

#[derive(Clone)]
struct PluginHost {
    instance: &'static str,
    metrics: Arc<PluginMetrics>,
    runtime: Option<Handle>,
}

/// The host of one instance. Lines of other instances of the same library come through it as well, so the
/// instance that is running right now names them, if any is.
pub(crate) fn host(instance: &'static str, metrics: Arc<PluginMetrics>) -> HostRef {
    let runtime = Handle::try_current().ok();
    Host_TO::from_ptr(
        RArc::new(PluginHost {
            instance,
            metrics,
            runtime,
        }),
        TD_Opaque,
    )
}

type Pairs<'a> = RSlice<'a, Tuple2<RStr<'a>, RStr<'a>>>;

impl PluginHost {
    fn instance(&self) -> &'static str {
        current::current().unwrap_or(self.instance)
    }

    fn record(&self, name: &str, change: Change, labels: Pairs<'_>) {
        // one more than allowed is enough to see that there are too many
        let labels: Vec<(&str, &str)> = labels
            .iter()
            .take(MAX_LABELS + 1)
            .map(|Tuple2(key, value)| (key.as_str(), value.as_str()))
            .collect();
        self.metrics.record(self.instance(), name, &labels, change);
    }

    fn write(&self, level: u8, target: &str, message: &str, fields: Pairs<'_>) {
        let plugin = self.instance();
        let (module, said) = (target, line(message, fields));
        match level {
            1 => error!(target: "plugin", plugin, module, "{said}"),
            2 => warn!(target: "plugin", plugin, module, "{said}"),
            3 => info!(target: "plugin", plugin, module, "{said}"),
            4 => debug!(target: "plugin", plugin, module, "{said}"),
            _ => trace!(target: "plugin", plugin, module, "{said}"),
        }
    }

    fn sleep(&self, duration: Duration) -> FfiFuture<()> {
        // the peer's own timer: threads of an isolated plugin have none
        let Some(runtime) = self.runtime.clone().or_else(|| Handle::try_current().ok()) else {
            // no runtime of the peer in sight: the plugin was loaded outside of one (a tool, a test)
            return std::future::ready(()).into_ffi();
        };
        let _entered = runtime.enter();
        tokio::time::sleep(duration).into_ffi()
    }
}

/// Keeps a panic on this side of the border, where it would end the process: a subscriber, an allocator, a
/// timer of a runtime that is gone may panic.
pub(crate) fn fenced<T>(otherwise: impl FnOnce() -> T, call: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|payload| {
        // its destructor might panic as well
        std::mem::forget(payload);
        otherwise()
    })
}

fn line(message: &str, fields: Pairs<'_>) -> String {
    let mut line = message.to_owned();
    for Tuple2(name, value) in fields.iter() {
        // writing to a String cannot fail
        if write!(line, " {name}={value}").is_err() || line.len() > MAX_LINE {
            break;
        }
    }
    let mut end = line.len().min(MAX_LINE);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    line
}

impl Host for PluginHost {
    fn log_enabled(&self, level: u8, _target: RStr<'_>) -> bool {
        let written = || match level {
            1 => enabled!(target: "plugin", Level::ERROR),
            2 => enabled!(target: "plugin", Level::WARN),
            3 => enabled!(target: "plugin", Level::INFO),
            4 => enabled!(target: "plugin", Level::DEBUG),
            _ => enabled!(target: "plugin", Level::TRACE),
        };
        fenced(|| false, written)
    }

    fn log(&self, level: u8, target: RStr<'_>, message: RStr<'_>, fields: Pairs<'_>) {
        fenced(
            || (),
            || self.write(level, target.as_str(), message.as_str(), fields),
        );
    }

    fn counter_add(&self, name: RStr<'_>, value: u64, labels: Pairs<'_>) {
        let change = Change::Add(count(value));
        fenced(|| (), || self.record(name.as_str(), change, labels));
    }

    fn observe(&self, name: RStr<'_>, value: f64, labels: Pairs<'_>) {
        fenced(
            || (),
            || self.record(name.as_str(), Change::Observe(value), labels),
        );
    }

    fn sleep_ms(&self, milliseconds: u64) -> FfiFuture<()> {
        fenced(
            || std::future::ready(()).into_ffi(),
            || self.sleep(Duration::from_millis(milliseconds)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_its_fields_and_is_cut() {
        let fields = [Tuple2(RStr::from("a"), RStr::from("1"))];
        assert_eq!(line("said", RSlice::from_slice(&fields)), "said a=1");
        assert_eq!(line(&"é".repeat(MAX_LINE), RSlice::EMPTY).len(), MAX_LINE);
    }

    #[test]
    fn a_panic_stays_on_this_side() {
        assert_eq!(fenced(|| 1, || panic!("in the peer")), 1);
        assert_eq!(fenced(|| 1, || 2), 2);
    }

    #[test]
    fn metrics_get_the_instances_name() {
        let metrics = Arc::new(PluginMetrics::default());
        let host = host("one", Arc::clone(&metrics));
        let labels = [Tuple2(RStr::from("msp"), RStr::from("Org1"))];
        host.counter_add("denied".into(), 2, RSlice::from_slice(&labels));
        host.counter_add("denied".into(), 1 << 40, RSlice::from_slice(&labels));
        let seen = metrics.snapshot();
        let denied = seen.iter().find(|metric| metric.name == "plugin_one_denied");
        assert_eq!(denied.unwrap().value.total(), 1_099_511_627_778.0);
    }
}
