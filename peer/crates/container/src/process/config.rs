//! Settings of the process runtime.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::log_store::LogStore;
use crate::sandbox::{Level, SandboxMode};
use crate::unpack::UnpackLimits;

/// What one build or one chaincode may use at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Memory of the whole process tree.
    pub memory_bytes: u64,
    /// Processes and threads of the tree.
    pub pids: u64,
    /// Open files per process.
    pub nofile: u64,
    /// Processors that the tree may keep busy; `None`: all.
    pub cpu: Option<f64>,
}

impl Default for Limits {
    /// The memory is that of Fabric's sample `hostConfig`.
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            pids: 1024,
            nofile: 4096,
            cpu: None,
        }
    }
}

/// The limits of one chaincode.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct OwnLimits {
    /// Instead of [`ProcessConfig::limits`].
    pub limits: Limits,
    /// Instead of [`ProcessConfig::build_limits`].
    pub build_limits: Limits,
}

/// Settings of the process runtime.
#[derive(Debug, Clone)]
pub struct ProcessConfig {
    /// Folder for builds and instances, `<fileSystemPath>/process`; made with mode 0700.
    pub root: PathBuf,
    /// Program that calls [`crate::sandbox::run_if_requested`] first. None: this program, if it did so itself.
    pub helper: Option<PathBuf>,
    /// How much sandbox is wanted.
    pub sandbox: SandboxMode,
    /// The strongest level to try, for machines where a stronger one gets in the way.
    pub strongest: Level,
    /// User id that builds and chaincode run as when the peer runs as root and has namespaces.
    pub user: u32,
    /// Their group id.
    pub group: u32,
    /// Limits of each chaincode.
    pub limits: Limits,
    /// Limits of each build.
    pub build_limits: Limits,
    /// Both for single chaincodes, by name.
    pub overrides: BTreeMap<String, OwnLimits>,
    /// Time for one build.
    pub build_timeout: Duration,
    /// Time between SIGTERM and SIGKILL.
    pub stop_grace: Duration,
    /// Limits of a code package.
    pub unpack: UnpackLimits,
    /// Variables that builds and chaincode get besides their own; PATH among them.
    pub environment: Vec<(String, String)>,
    /// Further files and folders that builds and chaincode may read.
    pub readable: Vec<PathBuf>,
    /// Folders that they must not see, such as the peer's own MSP; in force where there are mount namespaces.
    pub hidden: Vec<PathBuf>,
    /// Where all output is kept.
    pub logs: Option<LogStore>,
}

impl ProcessConfig {
    /// Defaults. Of the variables of the peer, builds and chaincode get PATH, language and time zone.
    pub fn new(root: PathBuf, variables: &[(String, String)]) -> Self {
        Self {
            root,
            helper: None,
            sandbox: SandboxMode::Auto,
            strongest: Level::Full,
            user: 65534,
            group: 65534,
            limits: Limits::default(),
            build_limits: Limits::default(),
            overrides: BTreeMap::new(),
            build_timeout: Duration::from_secs(600),
            stop_grace: Duration::from_secs(5),
            unpack: UnpackLimits::default(),
            environment: base_environment(variables.iter().cloned()),
            readable: Vec::new(),
            hidden: Vec::new(),
            logs: None,
        }
    }
}

impl ProcessConfig {
    /// Limits that have all that any chaincode needs of the machine.
    pub(crate) fn widest_limits(&self) -> Limits {
        let own = self
            .overrides
            .values()
            .flat_map(|own| [own.limits.cpu, own.build_limits.cpu]);
        Limits {
            cpu: self.limits.cpu.or_else(|| own.flatten().next()),
            ..self.limits
        }
    }

    /// The limits of this chaincode.
    pub(super) fn limits_of(&self, chaincode: &str) -> Limits {
        let own = self.overrides.get(chaincode);
        own.map_or(self.limits, |own| own.limits)
    }

    /// The limits of its builds.
    pub(super) fn build_limits_of(&self, chaincode: &str) -> Limits {
        let own = self.overrides.get(chaincode);
        own.map_or(self.build_limits, |own| own.build_limits)
    }
}

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The few variables that say how the machine is, not what the peer is.
fn base_environment(peer: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let wanted = |key: &str| matches!(key, "PATH" | "LANG" | "LC_ALL" | "LC_CTYPE" | "TZ");
    let mut chosen: Vec<_> = peer.filter(|(key, _)| wanted(key)).collect();
    if !chosen.iter().any(|(key, _)| key == "PATH") {
        chosen.push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
    }
    chosen.sort();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_variables_are_passed_on() {
        let pairs = |list: &[(&str, &str)]| {
            list.iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect::<Vec<_>>()
        };
        let peer = pairs(&[
            ("CORE_PEER_ID", "x"),
            ("TZ", "UTC"),
            ("PATH", "/p"),
            ("NODE_REGISTRY", "secret"),
            ("HOME", "/root"),
        ]);
        assert_eq!(
            base_environment(peer.into_iter()),
            pairs(&[("PATH", "/p"), ("TZ", "UTC")])
        );
        assert_eq!(
            base_environment(std::iter::empty()),
            pairs(&[("PATH", DEFAULT_PATH)])
        );
    }
}
