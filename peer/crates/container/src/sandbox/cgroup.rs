//! Control groups for jobs: memory and process limits, and the kernel's own way to end a whole tree. Both generations:
//! v1 (one hierarchy per controller, with the unified one beside them for `cgroup.kill`) and v2.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::naming::sha256_hex;
use crate::process::Limits;

/// Where this process's groups are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Layout {
    memory_v1: Option<PathBuf>,
    pids_v1: Option<PathBuf>,
    cpu_v1: Option<PathBuf>,
    unified: Option<PathBuf>,
    /// Mount point of the unified hierarchy.
    unified_root: Option<PathBuf>,
}

/// The folder of groups that belongs to one runtime, in each hierarchy.
pub(crate) struct CgroupBase {
    memory: PathBuf,
    pids: PathBuf,
    /// Where processors can be limited, if they shall be.
    cpu: Option<PathBuf>,
    kill: Option<PathBuf>,
    v2: bool,
    next: AtomicU64,
    folders: Arc<BaseFolders>,
}

/// Removed with the last group in them.
struct BaseFolders(Vec<PathBuf>);

impl Drop for BaseFolders {
    fn drop(&mut self) {
        for folder in &self.0 {
            if let Err(error) = remove_group(folder) {
                tracing::debug!(%error, group = %folder.display(), "group of chaincodes is still busy");
            }
        }
    }
}

impl CgroupBase {
    /// Makes the folders and ends and removes what an earlier peer with the same root left in them.
    pub(crate) fn open(root: &Path, limits: &Limits) -> io::Result<Self> {
        let layout = locate(
            &fs::read_to_string("/proc/self/mountinfo")?,
            &fs::read_to_string("/proc/self/cgroup")?,
        );
        let hash = sha256_hex(root.as_os_str().as_encoded_bytes());
        let name = format!("fabric-chaincode-{}", hash.chars().take(16).collect::<String>());
        let cpu_v1 = layout.cpu_v1.as_ref().map(|cpu| cpu.join(&name));
        let (memory, pids, kill, v2) = match layout {
            Layout {
                memory_v1: Some(memory),
                pids_v1: Some(pids),
                unified,
                ..
            } => {
                let kill = unified.map(|unified| unified.join(&name));
                let kill = kill.filter(|kill| fs::create_dir_all(kill).is_ok());
                (memory.join(&name), pids.join(&name), kill, false)
            }
            Layout {
                unified: Some(own),
                unified_root: Some(top),
                ..
            } => {
                let parent = [own, top].into_iter().find(|parent| delegates(parent));
                let dir = parent
                    .ok_or_else(|| io::Error::other("no group that passes on memory and pids"))?
                    .join(&name);
                (dir.clone(), dir.clone(), Some(dir), true)
            }
            _ => return Err(io::Error::other("no memory and pids controllers")),
        };
        let cpu = if v2 { Some(memory.clone()) } else { cpu_v1 };
        let mut cpu = cpu.filter(|_| limits.cpu.is_some());
        let mut folders = vec![memory.clone(), pids.clone()];
        folders.extend(kill.clone());
        if let Some(folder) = cpu.clone().filter(|_| !v2) {
            match fs::create_dir_all(&folder) {
                Ok(()) => folders.push(folder),
                Err(_refused) => cpu = None,
            }
        }
        folders.sort();
        folders.dedup();
        for folder in &folders {
            fs::create_dir_all(folder)?;
            sweep(folder)?;
        }
        let mut base = Self {
            memory,
            pids,
            cpu,
            kill,
            v2,
            next: AtomicU64::new(0),
            folders: Arc::new(BaseFolders(folders)),
        };
        if base.v2 {
            fs::write(base.memory.join("cgroup.subtree_control"), "+memory +pids")?;
            if base.cpu.is_some() && !passes_cpu(&base.memory) {
                base.cpu = None;
            }
        }
        // Tells now, not at the first chaincode, whether limits can be set.
        let trial = base.job(limits)?;
        trial.try_remove()?;
        Ok(base)
    }

    /// Whether a limit of processors is in force, if there shall be one.
    pub(crate) fn limits_cpu(&self) -> bool {
        self.cpu.is_some()
    }

    /// A group for one job.
    pub(crate) fn job(&self, limits: &Limits) -> io::Result<JobCgroup> {
        let name = format!("job-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let job = JobCgroup {
            folders: self.folders.0.iter().map(|folder| folder.join(&name)).collect(),
            memory: self.memory.join(&name),
            kill: self.kill.as_ref().map(|kill| kill.join(&name)),
            v2: self.v2,
            _base: Arc::clone(&self.folders),
        };
        for folder in &job.folders {
            fs::create_dir_all(folder)?;
        }
        let (memory, pids) = (&job.memory, self.pids.join(&name));
        let bytes = limits.memory_bytes.to_string();
        let (limit, swap) = if self.v2 {
            ("memory.max", ("memory.swap.max", "0"))
        } else {
            (
                "memory.limit_in_bytes",
                ("memory.memsw.limit_in_bytes", bytes.as_str()),
            )
        };
        fs::write(memory.join(limit), &bytes)?;
        // Missing where the kernel does not account for swap.
        drop(fs::write(memory.join(swap.0), swap.1));
        fs::write(pids.join("pids.max"), limits.pids.to_string())?;
        if let (Some(cpu), Some(processors)) = (&self.cpu, limits.cpu) {
            let quota = cpu_quota(processors);
            if self.v2 {
                fs::write(cpu.join(&name).join("cpu.max"), format!("{quota} {CPU_PERIOD}"))?;
            } else {
                fs::write(cpu.join(&name).join("cpu.cfs_period_us"), CPU_PERIOD.to_string())?;
                fs::write(cpu.join(&name).join("cpu.cfs_quota_us"), quota.to_string())?;
            }
        }
        Ok(job)
    }
}

/// The kernel's own period of processor time, in microseconds.
const CPU_PERIOD: u32 = 100_000;
/// What the kernel takes at least.
const LEAST_CPU_QUOTA: u32 = 1_000;

/// Microseconds of each period.
fn cpu_quota(processors: f64) -> u64 {
    let micros = Duration::try_from_secs_f64(processors * f64::from(CPU_PERIOD) / 1e6).unwrap_or_default();
    u64::try_from(micros.as_micros())
        .unwrap_or(u64::MAX)
        .max(LEAST_CPU_QUOTA.into())
}

/// Switches the processor controller on for the groups of jobs: in every group from the top, as far as it is not
/// on already.
fn passes_cpu(base: &Path) -> bool {
    let on = |group: &Path| {
        let control = group.join("cgroup.subtree_control");
        let passes =
            || fs::read_to_string(&control).is_ok_and(|text| text.split_whitespace().any(|w| w == "cpu"));
        passes() || (fs::write(&control, "+cpu").is_ok() && passes())
    };
    base.parent().is_some_and(on) && on(base)
}

/// The groups of one job.
pub(crate) struct JobCgroup {
    folders: Vec<PathBuf>,
    memory: PathBuf,
    kill: Option<PathBuf>,
    v2: bool,
    _base: Arc<BaseFolders>,
}

/// A group stays busy for a moment after its last process died.
const REMOVE_TRIES: u32 = 50;
const REMOVE_PAUSE: Duration = Duration::from_millis(20);

impl JobCgroup {
    /// The files through which a process joins.
    pub(crate) fn procs(&self) -> Vec<PathBuf> {
        self.folders
            .iter()
            .map(|folder| folder.join("cgroup.procs"))
            .collect()
    }

    /// Ends every process in the group.
    pub(crate) fn kill(&self) {
        match &self.kill {
            Some(folder) => {
                if let Err(error) = fs::write(folder.join("cgroup.kill"), "1") {
                    tracing::debug!(%error, "cgroup.kill is not to be had");
                    kill_members(&self.memory);
                }
            }
            None => kill_members(&self.memory),
        }
    }

    /// The kernel ended a process of the group for want of memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let file = if self.v2 {
            "memory.events"
        } else {
            "memory.oom_control"
        };
        fs::read_to_string(self.memory.join(file)).is_ok_and(|text| oom_kills(&text) > 0)
    }

    /// Removes the group once its processes are gone.
    pub(crate) async fn remove(self) {
        for _ in 0..REMOVE_TRIES {
            if self.try_remove().is_ok() {
                return;
            }
            tokio::time::sleep(REMOVE_PAUSE).await;
        }
        tracing::warn!(group = %self.memory.display(), "group of an ended chaincode was not removed");
    }

    fn try_remove(&self) -> io::Result<()> {
        self.folders.iter().try_for_each(|folder| remove_group(folder))
    }
}

fn remove_group(folder: &Path) -> io::Result<()> {
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn oom_kills(text: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.strip_prefix("oom_kill "))
        .filter_map(|count| count.trim().parse::<u64>().ok())
        .sum()
}

fn kill_members(folder: &Path) {
    let members = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    for pid in members
        .lines()
        .filter_map(|line| line.parse().ok())
        .filter(|pid| *pid > 1)
    {
        if let Err(error) = kill(Pid::from_raw(pid), Signal::SIGKILL) {
            tracing::debug!(%error, pid, "process has gone by itself");
        }
    }
}

/// Ends and removes the groups of a peer that crashed. What is still busy after that is removed at the next start.
fn sweep(base: &Path) -> io::Result<()> {
    for group in fs::read_dir(base)? {
        let group = group?;
        if group.file_type()?.is_dir() {
            kill_members(&group.path());
            if let Err(error) = remove_group(&group.path()) {
                tracing::debug!(%error, group = %group.path().display(), "stale group is still busy");
            }
        }
    }
    Ok(())
}

/// Whether groups below `parent` get the controllers: switched on already, or now.
fn delegates(parent: &Path) -> bool {
    let control = parent.join("cgroup.subtree_control");
    let passes = || {
        let passed = fs::read_to_string(&control).unwrap_or_default();
        ["memory", "pids"]
            .iter()
            .all(|wanted| passed.split_whitespace().any(|word| word == *wanted))
    };
    // Refused for a group that has processes itself, unless it is the root.
    passes() || (fs::write(&control, "+memory +pids").is_ok() && passes())
}

/// Reads `/proc/self/mountinfo` and `/proc/self/cgroup`.
fn locate(mountinfo: &str, own: &str) -> Layout {
    let mut layout = Layout::default();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let mut left = left.split(' ').skip(3);
        let (Some(root), Some(at)) = (left.next(), left.next()) else {
            continue;
        };
        let mut right = right.split(' ');
        let (kind, options) = (right.next(), right.nth(1).unwrap_or_default());
        let folder = |controller: &str| {
            let path = own_group(own, controller)?;
            // A container may see only a part of the hierarchy.
            let below = if root == "/" {
                path
            } else {
                path.strip_prefix(root).unwrap_or("")
            };
            Some(Path::new(at).join(below.trim_start_matches('/')))
        };
        match kind {
            Some("cgroup") if options.split(',').any(|option| option == "memory") => {
                layout.memory_v1 = folder("memory")
            }
            Some("cgroup") if options.split(',').any(|option| option == "pids") => {
                layout.pids_v1 = folder("pids")
            }
            Some("cgroup") if options.split(',').any(|option| option == "cpu") => {
                layout.cpu_v1 = folder("cpu")
            }
            Some("cgroup2") => {
                layout.unified = folder("");
                layout.unified_root = Some(PathBuf::from(at));
            }
            _ => {}
        }
    }
    layout
}

/// The path of this process's group for a controller; the unified hierarchy has none.
fn own_group<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers
            .split(',')
            .any(|name| name == controller)
            .then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_in_both_generations() {
        let v1 = "30 28 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                  31 28 0:27 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
                  32 28 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                  34 28 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                  33 28 0:29 / /tmp rw - tmpfs tmpfs rw,size=1\n";
        let own = "8:pids:/\n5:cpu,cpuacct:/c\n4:memory:/a/b\n0::/u\n";
        assert_eq!(
            locate(v1, own),
            Layout {
                memory_v1: Some("/sys/fs/cgroup/memory/a/b".into()),
                pids_v1: Some("/sys/fs/cgroup/pids".into()),
                cpu_v1: Some("/sys/fs/cgroup/cpu,cpuacct/c".into()),
                unified: Some("/sys/fs/cgroup/unified/u".into()),
                unified_root: Some("/sys/fs/cgroup/unified".into()),
            }
        );
        let v2 = "30 28 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let layout = locate(v2, "0::/system.slice/peer.service\n");
        assert_eq!(
            layout.unified,
            Some("/sys/fs/cgroup/system.slice/peer.service".into())
        );
        assert_eq!((layout.memory_v1, layout.pids_v1), (None, None));
        // Docker with v1: the mount shows the container's own part.
        let part = "30 28 0:26 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(
            locate(part, "4:memory:/docker/x\n").memory_v1,
            Some("/sys/fs/cgroup/memory/".into())
        );
        assert_eq!(locate("", ""), Layout::default());
    }

    #[test]
    fn processors_become_a_share_of_the_period() {
        assert_eq!((cpu_quota(0.5), cpu_quota(2.0)), (50_000, 200_000));
        assert_eq!(
            (cpu_quota(0.0), cpu_quota(-1.0)),
            (1_000, 1_000),
            "what the kernel takes at least"
        );
    }

    #[test]
    fn memory_events_are_counted_in_both_forms() {
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"), 2);
        assert_eq!(oom_kills("low 0\noom 3\noom_kill 0\n"), 0);
        assert_eq!(oom_kills(""), 0);
    }
}
