//! `vm.docker.hostConfig` as the engine's HostConfig: only keys that are set are passed on.

use std::collections::HashMap;

use bollard::models::{HostConfig, HostConfigLogConfig};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A key that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("vm.docker.hostConfig: {0}")]
pub struct HostConfigError(String);

/// Fabric's keys, and three of Docker's own that Fabric's file does not know.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct Settings {
    network_mode: Option<String>,
    dns: Option<Vec<String>>,
    dns_search: Option<Vec<String>>,
    extra_hosts: Option<Vec<String>>,
    cap_add: Option<Vec<String>>,
    cap_drop: Option<Vec<String>>,
    ipc_mode: Option<String>,
    pid_mode: Option<String>,
    #[serde(rename = "UTSMode")]
    uts_mode: Option<String>,
    log_config: Option<LogConfig>,
    readonly_rootfs: Option<bool>,
    security_opt: Option<Vec<String>>,
    cgroup_parent: Option<String>,
    memory: Option<i64>,
    memory_swap: Option<i64>,
    memory_swappiness: Option<i64>,
    oom_kill_disable: Option<bool>,
    cpu_shares: Option<i64>,
    cpuset: Option<String>,
    #[serde(rename = "CpusetCPUs")]
    cpuset_cpus: Option<String>,
    #[serde(rename = "CpusetMEMs")]
    cpuset_mems: Option<String>,
    cpu_quota: Option<i64>,
    cpu_period: Option<i64>,
    blkio_weight: Option<u16>,
    pids_limit: Option<i64>,
    init: Option<bool>,
    tmpfs: Option<HashMap<String, String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct LogConfig {
    r#type: Option<String>,
    config: Option<HashMap<String, LogOption>>,
}

/// The engine takes texts alone; people also write numbers and flags.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum LogOption {
    Text(String),
    Number(serde_json::Number),
    Flag(bool),
}

impl LogOption {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

/// Drivers whose output the engine can read back.
const READABLE_LOGS: [&str; 3] = ["json-file", "local", "journald"];
/// What a build needs of root's powers: packages are unpacked with owners and modes of their own.
const BUILD_CAPABILITIES: [&str; 4] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"];
/// Compilers and package managers have more processes than a running chaincode.
const BUILD_PIDS: i64 = 4096;

/// The configured host config, with a chaincode's own keys above it.
pub(crate) fn host_config(base: &Value, own: Option<&Value>) -> Result<HostConfig, HostConfigError> {
    let mut merged = base.as_object().cloned().unwrap_or_default();
    for (key, value) in own.and_then(Value::as_object).into_iter().flat_map(Map::iter) {
        merged.insert(key.clone(), value.clone());
    }
    let settings: Settings =
        serde_json::from_value(Value::Object(merged)).map_err(|error| HostConfigError(error.to_string()))?;
    Ok(settings.into())
}

/// The same for the container that a build runs in: it writes its own file system, and it is root.
pub(crate) fn builder_host_config(host: &HostConfig) -> HostConfig {
    let pids = host.pids_limit.map(|limit| limit.max(BUILD_PIDS));
    let drops_all = host
        .cap_drop
        .iter()
        .flatten()
        .any(|dropped| dropped.eq_ignore_ascii_case("ALL"));
    let added = BUILD_CAPABILITIES
        .into_iter()
        .filter(|_| drops_all)
        .map(str::to_owned);
    let added: Vec<String> = host.cap_add.iter().flatten().cloned().chain(added).collect();
    HostConfig {
        readonly_rootfs: None,
        tmpfs: None,
        pids_limit: pids,
        cap_add: (!added.is_empty()).then_some(added),
        ..host.clone()
    }
}

/// Whether attaching may ask for what was printed before.
pub(crate) fn has_readable_logs(host: &HostConfig) -> bool {
    host.log_config
        .as_ref()
        .and_then(|log| log.typ.as_deref())
        .is_none_or(|driver| READABLE_LOGS.contains(&driver))
}

impl From<Settings> for HostConfig {
    fn from(settings: Settings) -> Self {
        // Fabric's: an empty network mode means the host's network.
        let network = settings.network_mode.filter(|mode| !mode.is_empty());
        let text = |value: Option<String>| value.filter(|text| !text.is_empty());
        Self {
            network_mode: Some(network.unwrap_or_else(|| "host".to_owned())),
            dns: settings.dns,
            dns_search: settings.dns_search,
            extra_hosts: settings.extra_hosts,
            cap_add: settings.cap_add,
            cap_drop: settings.cap_drop,
            ipc_mode: text(settings.ipc_mode),
            pid_mode: text(settings.pid_mode),
            uts_mode: text(settings.uts_mode),
            log_config: settings.log_config.map(|log| HostConfigLogConfig {
                typ: log.r#type,
                config: log.config.map(|options| {
                    let text = |(name, option): (String, LogOption)| (name, option.text());
                    options.into_iter().map(text).collect()
                }),
            }),
            readonly_rootfs: settings.readonly_rootfs,
            security_opt: settings.security_opt,
            cgroup_parent: text(settings.cgroup_parent),
            memory: settings.memory,
            memory_swap: settings.memory_swap,
            memory_swappiness: settings.memory_swappiness,
            oom_kill_disable: settings.oom_kill_disable,
            cpu_shares: settings.cpu_shares,
            // `Cpuset` is what Docker called CpusetCpus before API 1.18
            cpuset_cpus: text(settings.cpuset_cpus).or(text(settings.cpuset)),
            cpuset_mems: text(settings.cpuset_mems),
            cpu_quota: settings.cpu_quota,
            cpu_period: settings.cpu_period,
            blkio_weight: settings.blkio_weight,
            pids_limit: settings.pids_limit,
            init: settings.init,
            tmpfs: settings.tmpfs,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(host: &HostConfig) -> Value {
        serde_json::to_value(host).unwrap()
    }

    /// Acceptance 16.
    #[test]
    fn only_what_is_set_reaches_the_engine_and_the_network_is_the_hosts() {
        assert_eq!(
            sent(&host_config(&json!(null), None).unwrap()),
            json!({"NetworkMode": "host"})
        );
        let empty = json!({"NetworkMode": "", "IpcMode": "", "Cpuset": ""});
        assert_eq!(
            sent(&host_config(&empty, None).unwrap()),
            json!({"NetworkMode": "host"})
        );
    }

    #[test]
    fn every_key_has_its_place() {
        let all = json!({
            "NetworkMode": "bridge", "Dns": ["1.1.1.1"], "DnsSearch": ["x"], "ExtraHosts": ["a:1.2.3.4"],
            "CapAdd": ["CHOWN"], "CapDrop": ["ALL"], "IpcMode": "private", "PidMode": "host", "UTSMode": "host",
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "50m", "max-file": "5"}},
            "ReadonlyRootfs": true, "SecurityOpt": ["no-new-privileges"], "CgroupParent": "/p", "Memory": 1,
            "MemorySwap": 2, "MemorySwappiness": 0, "OomKillDisable": false, "CpuShares": 3, "Cpuset": "9",
            "CpusetCPUs": "0-1", "CpusetMEMs": "0", "CpuQuota": 4, "CpuPeriod": 5, "BlkioWeight": 10,
            "PidsLimit": 6, "Init": true, "Tmpfs": {"/tmp": "size=1m"}
        });
        let expected = json!({
            "NetworkMode": "bridge", "Dns": ["1.1.1.1"], "DnsSearch": ["x"], "ExtraHosts": ["a:1.2.3.4"],
            "CapAdd": ["CHOWN"], "CapDrop": ["ALL"], "IpcMode": "private", "PidMode": "host", "UTSMode": "host",
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "50m", "max-file": "5"}},
            "ReadonlyRootfs": true, "SecurityOpt": ["no-new-privileges"], "CgroupParent": "/p", "Memory": 1,
            "MemorySwap": 2, "MemorySwappiness": 0, "OomKillDisable": false, "CpuShares": 3,
            "CpusetCpus": "0-1", "CpusetMems": "0", "CpuQuota": 4, "CpuPeriod": 5, "BlkioWeight": 10,
            "PidsLimit": 6, "Init": true, "Tmpfs": {"/tmp": "size=1m"}
        });
        assert_eq!(sent(&host_config(&all, None).unwrap()), expected);
    }

    #[test]
    fn a_chaincodes_own_keys_win_one_by_one() {
        let base = json!({"Memory": 1, "CapDrop": ["ALL"], "ReadonlyRootfs": true});
        let own = json!({"Memory": 2, "CapDrop": []});
        let host = sent(&host_config(&base, Some(&own)).unwrap());
        assert_eq!(
            host,
            json!({"NetworkMode": "host", "Memory": 2, "CapDrop": [], "ReadonlyRootfs": true})
        );
        let error = host_config(&json!({"Memory": "much"}), None)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("vm.docker.hostConfig: "), "{error}");
    }

    #[test]
    fn a_build_writes_its_file_system_and_keeps_the_limits() {
        let base = json!({"ReadonlyRootfs": true, "Tmpfs": {"/tmp": ""}, "CapDrop": ["ALL"], "PidsLimit": 100,
            "Memory": 7, "SecurityOpt": ["no-new-privileges"]});
        let builder = builder_host_config(&host_config(&base, None).unwrap());
        assert_eq!(
            sent(&builder),
            json!({"NetworkMode": "host", "CapDrop": ["ALL"], "CapAdd": BUILD_CAPABILITIES, "PidsLimit": BUILD_PIDS,
                "Memory": 7, "SecurityOpt": ["no-new-privileges"]})
        );
        let open = builder_host_config(&host_config(&json!({}), None).unwrap());
        assert_eq!(sent(&open), json!({"NetworkMode": "host"}));
    }

    #[test]
    fn options_of_log_drivers_may_be_numbers_and_flags() {
        let log =
            json!({"Type": "syslog", "Config": {"syslog-address": "udp://l:514", "max-file": 5, "x": true}});
        let host = sent(&host_config(&json!({"LogConfig": log}), None).unwrap());
        let expected = json!({"syslog-address": "udp://l:514", "max-file": "5", "x": "true"});
        assert_eq!(host["LogConfig"]["Config"], expected);
        let list = json!({"LogConfig": {"Config": {"a": []}}});
        assert!(host_config(&list, None).is_err());
    }

    #[test]
    fn logs_are_read_back_only_from_drivers_that_can() {
        let with = |driver: &str| host_config(&json!({"LogConfig": {"Type": driver}}), None).unwrap();
        assert!(has_readable_logs(&with("json-file")) && !has_readable_logs(&with("none")));
        assert!(has_readable_logs(&host_config(&json!({}), None).unwrap()));
    }
}
