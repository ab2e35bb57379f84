//! `cargo xtask docker`: an engine, and images that stand in for Fabric's, made of this machine's own files.
//!
//! Test machines need no image registry: what an image holds is listed by the package manager, packed, and imported.
//! An image that is up to date is left alone, and so is one that this task did not make.

mod content;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::content::Content;
use crate::steps::{self, announce, root};

/// Says what an image was made of; images without it are somebody else's.
const LABEL: &str = "org.hyperledger.fabric.stand-in";
/// The release of Fabric whose images these stand in for.
const TAG: &str = "2.5";

/// Where an engine says which processes it is, and their programs.
const PID_FILES: [(&str, &str); 2] = [
    ("/var/run/docker.pid", "dockerd"),
    ("/var/run/docker/containerd/containerd.pid", "containerd"),
];

/// How often, and with what pause, an engine that was started is asked whether it is up.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(200);

/// An image to be made.
struct StandIn {
    name: &'static str,
    packages: &'static [&'static str],
    node: bool,
    go: bool,
    java: bool,
}

const IMAGES: &[StandIn] = &[
    StandIn {
        name: "baseos",
        packages: &[],
        node: false,
        go: false,
        java: false,
    },
    StandIn {
        name: "nodeenv",
        packages: &[],
        node: true,
        go: false,
        java: false,
    },
    StandIn {
        name: "ccenv",
        packages: &["gcc", "g++", "libc6-dev", "make"],
        node: true,
        go: true,
        java: false,
    },
    StandIn {
        name: "javaenv",
        packages: &["openjdk-17-jdk-headless", "openjdk-17-jre-headless", "maven"],
        node: false,
        go: false,
        java: true,
    },
];

/// Sees to it that an engine answers and has the images.
pub fn set_up() -> Result<()> {
    ensure_engine()?;
    let place = root().join("target/docker");
    for image in IMAGES {
        ensure_image(image, &place)
            .with_context(|| format!("the image that stands in for fabric-{}", image.name))?;
    }
    Ok(())
}

fn ensure_engine() -> Result<()> {
    if engine_answers() {
        return Ok(());
    }
    if !steps::is_root()? {
        bail!(
            "no Docker Engine answers: start one that you may use, or run this as root to have one installed"
        );
    }
    if !steps::runs("dockerd") {
        install_engine()?;
    }
    start_engine()
}

fn engine_answers() -> bool {
    let asked = Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .output();
    asked.is_ok_and(|answer| answer.status.success())
}

fn install_engine() -> Result<()> {
    announce("installing the Docker Engine (apt-get install docker.io)");
    steps::apt_install(&["docker.io", "iptables"])
}

/// An engine that was killed leaves the files with its process ids behind, and the next one takes whoever has such a
/// number by now, or has not been reaped yet, for a running engine.
fn forget_killed_engine() -> Result<()> {
    for (file, program) in PID_FILES {
        let Ok(text) = fs::read_to_string(file) else {
            continue;
        };
        let process = Path::new("/proc").join(text.trim());
        // neither a zombie nor somebody else has a program of that name
        let program_of = fs::read_link(process.join("exe")).unwrap_or_default();
        if program_of.file_name().is_none_or(|name| name != program) {
            fs::remove_file(file)
                .with_context(|| format!("could not remove {file}, left by a killed {program}"))?;
        }
    }
    Ok(())
}

fn start_engine() -> Result<()> {
    forget_killed_engine()?;
    announce("starting dockerd");
    let place = root().join("target");
    fs::create_dir_all(&place)?;
    let log = place.join("dockerd.log");
    let file = File::create(&log).with_context(|| format!("could not create {}", log.display()))?;
    // a session of its own: it outlives this task, and an interrupt of it
    let mut engine = Command::new("setsid")
        .args(["dockerd", "--log-level=warn"])
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .context("could not start dockerd")?;
    fs::write(place.join("dockerd.pid"), engine.id().to_string())?;
    for _ in 0..TRIES {
        if engine_answers() {
            announce("dockerd is up; it stays up (its process id is in target/dockerd.pid)");
            return Ok(());
        }
        if let Some(status) = engine.try_wait()? {
            bail!("dockerd ended with {status}; its log is {}", log.display());
        }
        #[expect(clippy::disallowed_methods, reason = "a task on the command line waits")]
        std::thread::sleep(PAUSE);
    }
    bail!("dockerd does not answer; its log is {}", log.display())
}

fn ensure_image(image: &StandIn, place: &Path) -> Result<()> {
    let tag = format!("hyperledger/fabric-{}:{TAG}", image.name);
    let content = Content::of(image)?;
    match label_of(&tag) {
        Some(label) if label == content.id => return Ok(()),
        Some(label) if label.is_empty() => {
            announce(&format!("{tag} is there and not a stand-in; it is used as it is"));
            return Ok(());
        }
        _ => {}
    }
    announce(&format!("making {tag} of this machine's files"));
    let overlay = place.join(format!("overlay-{}", image.name));
    let own = content.write_overlay(image, &overlay)?;
    let list = place.join(format!("{}.list", image.name));
    let own_list = place.join(format!("{}.own.list", image.name));
    let own: BTreeSet<&str> = own.iter().map(String::as_str).collect();
    let files = content.files.iter().map(String::as_str);
    fs::write(&list, lines(files.filter(|file| !own.contains(file))))?;
    fs::write(&own_list, lines(own.iter().copied()))?;
    let mut pack = Command::new("tar")
        .args(["--no-recursion", "-cf", "-", "-C", "/", "-T"])
        .arg(&list)
        .arg("-C")
        .arg(&overlay)
        .arg("-T")
        .arg(&own_list)
        .stdout(Stdio::piped())
        .spawn()
        .context("could not run tar")?;
    let packed = pack.stdout.take().context("tar has no output")?;
    let mut import = Command::new("docker");
    import.arg("import");
    for change in content.changes(image) {
        import.args(["-c", &change]);
    }
    let imported = steps::run(import.args(["-", &tag]).stdin(packed).stdout(Stdio::null()));
    let status = pack.wait()?;
    imported?;
    if !status.success() {
        bail!("tar ended with {status}");
    }
    fs::remove_dir_all(&overlay)?;
    Ok(())
}

/// The label of a tagged image: none if there is no image, empty if it has no label of ours.
fn label_of(tag: &str) -> Option<String> {
    let format = format!("{{{{index .Config.Labels \"{LABEL}\"}}}}");
    let asked = Command::new("docker")
        .args(["image", "inspect", "--format", &format, tag])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    asked.status.success().then(|| text.replace("<no value>", ""))
}

fn lines<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("{name}\n")).collect()
}
