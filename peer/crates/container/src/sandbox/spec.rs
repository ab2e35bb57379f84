//! What the peer tells the helper, as one JSON argument. Nothing in it is secret; the environment travels as such.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::job::Job;
use crate::process::{Limits, ProcessConfig};

/// Exit code of a helper that could not set up the sandbox, and of one that found no program, as container engines use them.
pub(super) const SETUP_FAILED: u8 = 125;
pub(super) const NOT_STARTED: u8 = 127;

/// How the job is cut off from other processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Isolation {
    /// It is not, and keeps its rights: limits only.
    Limits,
    /// It is not.
    None,
    /// Namespaces made as root; the job runs as another user.
    Root { user: u32, group: u32 },
    /// Namespaces inside a user namespace; the job keeps the peer's ids.
    UserNamespace { uid: u32, gid: u32 },
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits => f.write_str("limits only"),
            Self::None => f.write_str("none"),
            Self::Root { user, .. } => write!(f, "namespaces, user {user}"),
            Self::UserNamespace { .. } => f.write_str("user namespace"),
        }
    }
}

/// One job for the helper.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JobSpec {
    /// Process id of the peer: the helper ends when this is no longer its parent.
    pub parent: u32,
    pub isolation: Isolation,
    /// `cgroup.procs` files to join.
    pub cgroups: Vec<PathBuf>,
    pub nofile: u64,
    /// Limits per process and user, for want of a cgroup.
    pub memory_bytes: Option<u64>,
    pub pids: Option<u64>,
    pub readable: Vec<PathBuf>,
    pub writable: Vec<PathBuf>,
    pub hidden: Vec<PathBuf>,
    pub cwd: PathBuf,
    pub argv: Vec<String>,
    /// Whether other machines can be reached; without namespaces they can in any case.
    pub network: bool,
    /// Only set the sandbox up and say so.
    pub probe: bool,
}

impl JobSpec {
    pub(super) fn new(
        job: &Job,
        config: &ProcessConfig,
        isolation: Isolation,
        cgroups: Vec<PathBuf>,
    ) -> Self {
        let Limits {
            memory_bytes,
            pids,
            nofile,
            cpu: _,
        } = job.limits;
        let no_cgroup = cgroups.is_empty();
        let path = job
            .env
            .iter()
            .find(|(key, _)| key == "PATH")
            .map_or("", |(_, path)| path);
        let readable = job
            .readable
            .iter()
            .chain(&config.readable)
            .cloned()
            .chain(program_roots(path));
        Self {
            parent: std::process::id(),
            isolation,
            cgroups,
            nofile,
            memory_bytes: no_cgroup.then_some(memory_bytes),
            pids: no_cgroup.then_some(pids),
            readable: readable.collect(),
            writable: job.writable.clone(),
            hidden: config.hidden.clone(),
            cwd: job.cwd.clone(),
            argv: job.argv.clone(),
            network: job.network,
            probe: false,
        }
    }

    pub(super) fn probe(config: &ProcessConfig, isolation: Isolation) -> Self {
        Self {
            parent: std::process::id(),
            isolation,
            cgroups: Vec::new(),
            nofile: config.limits.nofile,
            memory_bytes: None,
            pids: None,
            readable: config.readable.clone(),
            writable: vec![config.root.clone()],
            hidden: config.hidden.clone(),
            cwd: PathBuf::from("/"),
            argv: Vec::new(),
            network: true,
            probe: true,
        }
    }

    pub(super) fn to_json(&self) -> io::Result<String> {
        serde_json::to_string(self).map_err(io::Error::from)
    }
}

/// Where programs on PATH and what belongs to them lie, for those installed outside the system's folders:
/// `/home/u/.nvm/v20/bin` means all of `/home/u/.nvm/v20`.
fn program_roots(path: &str) -> Vec<PathBuf> {
    let root = |folder: &Path| match (folder.file_name(), folder.parent()) {
        (Some(name), Some(parent)) if name == "bin" && parent != Path::new("/") => parent.to_owned(),
        _ => folder.to_owned(),
    };
    let outside = |folder: &&Path| {
        folder.is_absolute() && !folder.starts_with("/usr") && folder.components().count() > 2
    };
    path.split(':')
        .map(Path::new)
        .filter(outside)
        .map(root)
        .filter(|root| root.components().count() > 2)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_outside_the_system_are_readable_with_what_belongs_to_them() {
        let roots = program_roots(
            "/usr/local/bin:/bin:/home/u/.nvm/v20/bin:relative/bin:/opt/go/bin:/srv/tools:/root/bin:",
        );
        let roots: Vec<_> = roots.iter().map(|root| root.to_str().unwrap()).collect();
        // Never a whole home folder for its `bin`.
        assert_eq!(roots, ["/home/u/.nvm/v20", "/opt/go", "/srv/tools"]);
    }
}
