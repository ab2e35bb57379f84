//! Set-up of the process runtime for tests: a folder, a configuration with a fixed environment, and ways to look at
//! processes from outside.
#![allow(dead_code, missing_docs, reason = "each test binary uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up fails; clippy's exemption does not reach helper functions"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use container::fake::FakePlatform;
use container::{BuildPlan, Naming, ProcessConfig, ProcessVm};
use tempfile::TempDir;

/// How long anything may take that is not measured.
const DEADLINE: Duration = Duration::from_secs(60);

pub struct Setup {
    folder: TempDir,
    shared: TempDir,
    root: PathBuf,
}

pub async fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let shared = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    // Where both the test and what it starts may write.
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let root = folder.path().join("process");
    Setup { folder, shared, root }
}

pub fn platform(cmd: &str, launch: &[&str], adjust: impl FnOnce(&mut BuildPlan)) -> FakePlatform {
    let launch = launch.iter().map(|arg| (*arg).to_owned()).collect();
    let mut plan = BuildPlan {
        cmd: cmd.to_owned(),
        launch,
        ..BuildPlan::default()
    };
    adjust(&mut plan);
    FakePlatform {
        plan,
        ..FakePlatform::default()
    }
}

impl Setup {
    pub fn config(&self) -> ProcessConfig {
        let mut config = ProcessConfig::new(self.root.clone(), &[]);
        config.helper = Some(env!("CARGO_BIN_EXE_chaincode-sandbox").into());
        config.environment = vec![
            ("LANG".into(), "C".into()),
            ("PATH".into(), "/usr/bin:/bin".into()),
        ];
        config
    }

    pub fn naming() -> Naming {
        Naming {
            network_id: "dev".into(),
            peer_id: "peer0".into(),
        }
    }

    pub fn vm(&self, platform: FakePlatform) -> ProcessVm {
        self.vm_with(platform, |_| {})
    }

    pub fn vm_with(&self, platform: FakePlatform, adjust: impl FnOnce(&mut ProcessConfig)) -> ProcessVm {
        self.vm_shared(Arc::new(platform), adjust)
    }

    pub fn vm_shared(
        &self,
        platform: Arc<FakePlatform>,
        adjust: impl FnOnce(&mut ProcessConfig),
    ) -> ProcessVm {
        let mut config = self.config();
        adjust(&mut config);
        ProcessVm::new(config, Self::naming(), platform).unwrap()
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path outside of the runtime's folder.
    pub fn shared_file(&self, name: &str) -> PathBuf {
        self.shared.path().join(name)
    }

    /// A path in the cache that the builds of a test's only chaincode share and may write; none before the first.
    pub fn cache_file(&self, name: &str) -> Option<PathBuf> {
        Some(self.caches().first()?.join(name))
    }

    /// The caches, one for each chaincode.
    pub fn caches(&self) -> Vec<PathBuf> {
        sub_folders(&self.root)
            .into_iter()
            .filter(|path| path.display().to_string().contains("/cache-"))
            .flat_map(|caches| sub_folders(&caches))
            .collect()
    }

    /// Waits for a chaincode that makes the file `up` in its TMPDIR.
    pub async fn wait_until_up(&self) {
        let runs = || {
            sub_folders(&self.root)
                .into_iter()
                .flat_map(|chaincode| sub_folders(&chaincode))
        };
        eventually(|| runs().any(|run| run.join("tmp/up").exists())).await;
    }

    /// Processes of this set-up have it in their environment.
    pub fn marker(&self) -> String {
        self.root.display().to_string()
    }

    /// No folder of a build at work.
    pub fn assert_no_work_left(&self) {
        for chaincode in sub_folders(&self.root) {
            let left = sub_folders(&chaincode)
                .into_iter()
                .filter(|path| path.display().to_string().contains("/new-"));
            assert_eq!(left.collect::<Vec<_>>(), Vec::<PathBuf>::new());
        }
    }
}

pub fn sub_folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

/// Polls until it holds; fails at the deadline.
pub async fn eventually(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(DEADLINE, wait)
        .await
        .expect("did not happen in time");
}

pub fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

pub fn alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Processes with `marker` in their environment.
pub fn processes_with(marker: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let marked = |pid: &u32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ
            .windows(marker.len())
            .any(|window| window == marker.as_bytes())
    };
    pids.filter(|pid| alive(*pid)).filter(marked).collect()
}

pub fn kill_all(pids: &[u32]) {
    for pid in pids {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(*pid).unwrap());
        if let Err(error) = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL) {
            eprintln!("{error}");
        }
    }
}

/// The control groups of the runtime with that folder.
pub fn groups_of(root: &Path) -> Vec<PathBuf> {
    let root = fs::canonicalize(root).unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, root.as_os_str().as_encoded_bytes());
    let name = format!("fabric-chaincode-{}", &hex::encode(hash)[..16]);
    let mut open = vec![PathBuf::from("/sys/fs/cgroup")];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for sub in sub_folders(&folder) {
            if sub.file_name().is_some_and(|n| *n == *name) {
                found.push(sub);
            } else {
                open.push(sub);
            }
        }
    }
    found
}
