//! Registries of fault plugins.

use handlers::{Config, PluginStats, Registry};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Name of the fixture's file.
pub const LIBRARY: &str = "libfault_plugin.so";

/// Where cargo puts the libraries that belong to this test binary: beside it.
pub fn library_dir() -> PathBuf {
    let binary = std::env::current_exe().unwrap();
    binary.parent().unwrap().to_owned()
}

/// How long calls may take that no test wants to be late: the machine may be busy with something else.
pub const PATIENT: u64 = 60_000;

/// An entry for the fault plugin; filters and decorators look the same.
pub fn filter(name: &str, mode: &str) -> Value {
    json!({ "name": name, "library": LIBRARY, "config": { "mode": mode }, "timeoutMs": PATIENT })
}

/// One whose calls are soon too late, for modes that never answer.
pub fn hasty(name: &str, mode: &str) -> Value {
    let mut entry = filter(name, mode);
    entry["timeoutMs"] = json!(20);
    entry
}

/// Settings for a whole peer: this fixture endorses and validates, since the shipped plugins may not be built.
pub fn endorses_and_validates() -> [core_config::Override; 2] {
    let entry = filter("Fault", "pass");
    [("endorsers", "escc"), ("validators", "vscc")].map(|(map, name)| {
        let entries = json!({ name: entry });
        core_config::Override::new(format!("peer.handlers.{map}"), entries, "test")
    })
}

/// Loads `peer.handlers`; the built libraries stand for the configured folders where there are none.
pub fn load(handlers: Value) -> Result<Registry, handlers::LoadErrors> {
    let config: Config = serde_json::from_value(handlers).unwrap();
    let own: &[_] = if config.plugin_dirs.is_empty() {
        &[library_dir()]
    } else {
        &[]
    };
    Registry::load(&config, own)
}

/// Loads auth filters.
pub fn auth(entries: Value) -> Registry {
    load(json!({ "authFilters": entries })).unwrap()
}

/// Loads one auth filter whose calls may take so long.
pub fn one_filter(mode: &str, executor: &str, timeout_ms: u64) -> Registry {
    let mut entry = filter("faulty", mode);
    entry["executor"] = json!(executor);
    entry["timeoutMs"] = json!(timeout_ms);
    auth(json!([entry]))
}

/// How the only instance fares.
pub fn stats(registry: &Registry) -> PluginStats {
    registry.stats().remove(0)
}

/// The sum of a metric without regard to its labels; zero without it. Of a histogram, what was recorded.
pub fn metric(registry: &Registry, name: &str) -> f64 {
    let metrics = registry.metrics();
    let named = metrics.iter().filter(|metric| metric.name == name);
    named.map(|metric| metric.value.total()).sum()
}

/// Loads decorators.
pub fn decorators(entries: Value) -> Registry {
    load(json!({ "decorators": entries })).unwrap()
}
