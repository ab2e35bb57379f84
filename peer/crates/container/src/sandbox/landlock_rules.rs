//! What a job may read and write, as Landlock rules: the system's programs and libraries, its own folders, nothing else.

use std::fs;
use std::io;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::spec::JobSpec;

/// Programs and libraries. No `/home`, `/var`, `/root`, `/srv`.
const SYSTEM: [&str; 13] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/sys",
    "/proc",
    "/run/systemd/resolve",
    "/run/NetworkManager",
];
/// From `/etc` only what programs need: the peer's own configuration and keys may lie there, too.
const ETC: [&str; 28] = [
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "gai.conf",
    "gradle",
    "group",
    "host.conf",
    "hostname",
    "hosts",
    "inputrc",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "maven",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "pki",
    "protocols",
    "resolv.conf",
    "services",
    "ssl",
    "timezone",
];
const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// Whether `/tmp` and `/dev/shm` are the job's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TmpFolder {
    Private,
    Shared,
}

/// Rules ready to be enforced; they hold the folders open.
pub(super) struct Rules(RulesetCreated);

impl Rules {
    pub(super) fn collect(spec: &JobSpec, tmp: TmpFolder) -> io::Result<Self> {
        let mut readable: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        readable.extend(etc());
        readable.extend(spec.readable.iter().cloned());
        let mut writable = spec.writable.clone();
        writable.extend(DEVICES.iter().map(PathBuf::from));
        if tmp == TmpFolder::Private {
            writable.extend(["/tmp", "/dev/shm"].map(PathBuf::from));
        }
        ruleset(&readable, &writable).map(Self).map_err(io::Error::other)
    }

    /// Puts this process and all it starts under the rules. False on a kernel without Landlock.
    pub(super) fn enforce(self) -> io::Result<bool> {
        let status = self.0.restrict_self().map_err(io::Error::other)?;
        Ok(status.ruleset != RulesetStatus::NotEnforced)
    }
}

fn ruleset(readable: &[PathBuf], writable: &[PathBuf]) -> Result<RulesetCreated, RulesetError> {
    // V4: what came later (device ioctls) would get in the way of terminals without protecting anything here.
    let files = ABI::V4;
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(files))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .add_rules(path_beneath_rules(readable, AccessFs::from_read(files)))?
        .add_rules(path_beneath_rules(writable, AccessFs::from_all(files)))
}

/// The listed names, and Java's, which carry their version.
fn etc() -> Vec<PathBuf> {
    let java = fs::read_dir("/etc")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("java"))
        });
    ETC.iter()
        .map(|name| PathBuf::from("/etc").join(name))
        .chain(java)
        .collect()
}
