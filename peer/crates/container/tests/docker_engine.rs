//! The Docker runtime against a real engine, with chaincode of plain shell: what only a kernel can show.
//! `cargo xtask docker` sets the engine up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot be set up fails; clippy's exemption does not reach helper functions"
)]

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use container::fake::{self, FakePlatform};
use container::{BuildPlan, DockerConfig, DockerVm, Endpoint, ExitInfo, Naming, StartRequest, TlsFiles, Vm};
use protos::wire_message;
use serde_json::{Value, json};
use tempfile::TempDir;

const IMAGE: &str = "hyperledger/fabric-baseos:2.5";

fn docker(args: &[&str]) -> Option<String> {
    let output = Command::new("docker").args(args).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

#[expect(clippy::disallowed_methods, reason = "CI says by a variable that it is one")]
fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// Whether the test can run here. In CI it must.
fn engine_is_here() -> bool {
    let here = docker(&["version", "--format", "{{.Server.Version}}"]).is_some()
        && docker(&["image", "inspect", IMAGE]).is_some();
    assert!(
        here || !in_ci(),
        "CI without a Docker Engine and its images: run cargo xtask docker"
    );
    if !here {
        eprintln!("skipped: no Docker Engine with {IMAGE} (cargo xtask docker makes both)");
    }
    here
}

/// One peer on the engine; dropping it removes all that it made.
struct Peer {
    naming: Naming,
    folder: TempDir,
}

impl Peer {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            naming: Naming {
                network_id: format!("test{}", std::process::id()),
                peer_id: format!("peer{number}"),
            },
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn vm(&self, chaincode: &Shell, host: Value) -> DockerVm {
        let endpoint = Endpoint::parse("unix:///var/run/docker.sock", None)
            .unwrap()
            .unwrap();
        let mut config = DockerConfig::new(endpoint, self.folder.path().join("work"));
        config.host_config = host;
        config.attach_stdout = false;
        DockerVm::new(config, self.naming.clone(), Arc::new(chaincode.platform())).unwrap()
    }

    fn filter(&self) -> String {
        format!("label=org.hyperledger.fabric.peer.id={}", self.naming.peer_id)
    }

    fn containers(&self) -> Vec<String> {
        let network = format!(
            "label=org.hyperledger.fabric.peer.networkId={}",
            self.naming.network_id
        );
        let args = ["ps", "-aq", "--filter", &self.filter(), "--filter", &network];
        docker(&args).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for container in self.containers() {
            docker(&["rm", "-fv", &container]);
        }
        let network = format!(
            "label=org.hyperledger.fabric.peer.networkId={}",
            self.naming.network_id
        );
        let images = docker(&["images", "-q", "--filter", &self.filter(), "--filter", &network]);
        for image in images.unwrap_or_default().lines() {
            docker(&["rmi", "-f", image]);
        }
    }
}

/// Chaincode that is a line of shell.
struct Shell {
    build: &'static str,
    run: &'static str,
    /// Further lines of the Dockerfile.
    image: &'static str,
}

impl Shell {
    fn runs(run: &'static str) -> Self {
        Self {
            build: "cp /chaincode/input/src/package.json /chaincode/output/",
            run,
            image: "",
        }
    }

    fn platform(&self) -> FakePlatform {
        FakePlatform {
            dockerfile: format!("FROM {IMAGE}\nADD binpackage.tar /usr/local/src\n{}", self.image),
            plan: BuildPlan {
                image: IMAGE.into(),
                cmd: self.build.into(),
                container_launch: ["/bin/sh", "-c", self.run].map(str::to_owned).into(),
                ..BuildPlan::default()
            },
            ..FakePlatform::default()
        }
    }
}

fn hardened() -> Value {
    json!({
        "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"], "ReadonlyRootfs": true, "Init": true,
        "PidsLimit": 64, "Memory": 67_108_864, "Tmpfs": {"/tmp": "size=1m"}
    })
}

fn request() -> StartRequest {
    let mut request = fake::request("mycc:1.0");
    request.tls = Some(TlsFiles {
        client_cert_pem: b"CERT\n".to_vec(),
        client_key_pem: b"KEY\n".to_vec(),
        root_cert_pem: b"ROOT\n".to_vec(),
    });
    request
}

async fn exit_of(vm: &DockerVm) -> ExitInfo {
    let started = vm.start(&request()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(120), started.exit.wait())
        .await
        .expect("the container ends")
}

async fn eventually(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .unwrap();
}

#[tokio::test]
async fn chaincode_reads_its_keys_whoever_it_is_and_writes_nothing_but_tmp() {
    if !engine_is_here() {
        return;
    }
    let shows = "cat \"$CORE_TLS_CLIENT_KEY_FILE\" \"$CORE_PEER_TLS_ROOTCERT_FILE\"; id -u; \
                 touch /usr/local/src/x 2>&1; touch /tmp/x && echo tmp; test -f /usr/local/src/package.json && exit 3";
    for (image, user) in [("", "0"), ("USER 65534:65534", "65534")] {
        let peer = Peer::new();
        let chaincode = Shell {
            image,
            ..Shell::runs(shows)
        };
        let exit = exit_of(&peer.vm(&chaincode, hardened())).await;
        let lines: Vec<&str> = exit.last_lines.iter().map(String::as_str).collect();
        assert_eq!((lines[0], lines[1], lines[2]), ("KEY", "ROOT", user), "{lines:?}");
        assert!(lines[3].contains("Read-only file system"), "{lines:?}");
        assert_eq!((lines[4], exit.code), ("tmp", Some(3)));
        eventually(|| peer.containers().is_empty()).await;

        let open = json!({"ReadonlyRootfs": false, "CapDrop": ["ALL"]});
        let exit = exit_of(&peer.vm(&chaincode, open)).await;
        assert_eq!(
            exit.last_lines[0], "KEY",
            "uploaded into the container's own file system"
        );
    }
}

#[tokio::test]
async fn memory_that_runs_out_is_told_for_builds_and_for_chaincode() {
    if !engine_is_here() {
        return;
    }
    let peer = Peer::new();
    let exit = exit_of(&peer.vm(&Shell::runs("echo begins; exec tail /dev/zero"), hardened())).await;
    assert!(exit.out_of_memory, "{exit:?}");
    assert_eq!((exit.code, exit.last_lines[0].as_str()), (Some(137), "begins"));

    let hungry = Shell {
        build: "echo \"${CHAINCODE_PHASE_MARK}compile\"; echo compiling; tail /dev/zero; exit $?",
        ..Shell::runs("true")
    };
    let error = peer
        .vm(&hungry, hardened())
        .deploy(&fake::source("hungry:1.0"))
        .await
        .unwrap_err();
    let told = wire_message(&error);
    assert!(told.contains("phase compile of hungry:1.0"), "{told}");
    assert!(
        told.contains("137 (signal 9, out of memory)") && told.contains("compiling"),
        "{told}"
    );
    eventually(|| peer.containers().is_empty()).await;
}

#[tokio::test]
async fn a_stop_is_gentle_and_quick_and_a_flood_of_output_harms_nobody() {
    if !engine_is_here() {
        return;
    }
    let peer = Peer::new();
    let vm = peer.vm(
        &Shell::runs("yes | head -c 50000000; echo end; sleep 1000"),
        hardened(),
    );
    let started = vm.start(&request()).await.unwrap();
    eventually(|| !peer.containers().is_empty()).await;
    vm.stop("mycc:1.0").await.unwrap();
    let exit = started.exit.wait().await;
    assert!(matches!(exit.code, Some(143 | 137)), "{exit:?}");
    assert!(exit.last_lines.iter().map(String::len).sum::<usize>() <= 8 * 1024);
    assert!(peer.containers().is_empty());

    let sleeping = peer.vm(&Shell::runs("exec sleep 1000"), hardened());
    let started = sleeping.start(&request()).await.unwrap();
    sleeping.shutdown().await;
    assert_eq!(
        started.exit.wait().await.signal,
        Some(15),
        "no need for the second signal"
    );
}

#[tokio::test]
async fn what_a_killed_peer_leaves_goes_at_its_next_start() {
    if !engine_is_here() {
        return;
    }
    let peer = Peer::new();
    let chaincode = Shell::runs("sleep 1000");
    let killed = peer.vm(&chaincode, hardened());
    killed.start(&request()).await.unwrap();
    assert_eq!(peer.containers().len(), 1);
    let next = peer.vm(&chaincode, hardened());
    eventually(|| peer.containers().is_empty()).await;
    next.start(&request()).await.unwrap();
    assert_eq!(peer.containers().len(), 1);
    next.shutdown().await;
    assert!(peer.containers().is_empty());
    drop(killed);
}

/// The engine refuses such an upload before it has read it.
#[tokio::test]
async fn a_large_package_is_built_in_an_image_without_folders_for_it() {
    if !engine_is_here() {
        return;
    }
    let peer = Peer::new();
    let bare = format!("{}-bare:1", peer.naming.network_id);
    let mut made = Command::new("docker")
        .args(["build", "-q", "--network=none", "-t", &bare, "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let dockerfile = format!("FROM {IMAGE}\nRUN rm -rf /chaincode\n");
    std::io::Write::write_all(&mut made.stdin.take().unwrap(), dockerfile.as_bytes()).unwrap();
    assert!(made.wait().unwrap().success());
    let chaincode = Shell {
        build: "cp /chaincode/input/src/* /chaincode/output/",
        ..Shell::runs("wc -c < /usr/local/src/large")
    };
    let mut platform = chaincode.platform();
    platform.plan.image.clone_from(&bare);
    let endpoint = Endpoint::parse("unix:///var/run/docker.sock", None);
    let config = DockerConfig::new(endpoint.unwrap().unwrap(), peer.folder.path().join("work"));
    let vm = DockerVm::new(config, peer.naming.clone(), Arc::new(platform)).unwrap();
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b' ' + (state >> 24) as u8 % 94)
    });
    let large: String = noise.take(12_000_000).collect();
    let mut request = request();
    request.source.code_package = fake::package(&[("large", &large)]);
    let started = vm.start(&request).await;
    docker(&["rmi", "-f", &bare]);
    assert_eq!(started.unwrap().exit.wait().await.last_lines, ["12000000"]);
}

/// An engine of the test's own, which may be killed: its socket, its images, its processes.
struct OwnEngine {
    folder: TempDir,
    process: std::process::Child,
}

impl OwnEngine {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Self::run(folder.path());
        let engine = Self { folder, process };
        engine.is_up();
        let load = format!("docker save {IMAGE} | docker --host {} load", engine.host());
        let loaded = Command::new("sh").args(["-c", &load]).output().unwrap();
        assert!(loaded.status.success(), "{loaded:?}");
        engine
    }

    fn run(folder: &std::path::Path) -> std::process::Child {
        let at = |name: &str| folder.join(name).display().to_string();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(at("log"))
            .unwrap();
        // with no bridge of its own it would remove docker0, which the machine's engine needs
        Command::new("unshare")
            .args([
                "--net",
                "dockerd",
                "--log-level=warn",
                "--bridge=none",
                "--iptables=false",
            ])
            .args(["--host", &format!("unix://{}", at("sock"))])
            .args([
                "--data-root",
                &at("data"),
                "--exec-root",
                &at("exec"),
                "--pidfile",
                &at("pid"),
            ])
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("sock").display())
    }

    fn ask(&self, args: &[&str]) -> Option<String> {
        let host = self.host();
        docker(&[&["--host", host.as_str()], args].concat())
    }

    #[expect(clippy::disallowed_methods, reason = "nobody else runs on this thread")]
    fn is_up(&self) {
        for _ in 0..600 {
            if self.ask(&["version"]).is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = std::fs::read_to_string(self.folder.path().join("log"));
        panic!("the engine does not come up: {log:?}");
    }

    /// Removes every container.
    fn clear(&self) {
        for container in self.ask(&["ps", "-aq"]).unwrap_or_default().lines() {
            self.ask(&["rm", "-fv", container]);
        }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again; what the killed one left in its files is not taken for a running engine.
    fn restart(&mut self) {
        for left in ["pid", "exec/containerd/containerd.pid"] {
            std::fs::remove_file(self.folder.path().join(left)).ok();
        }
        self.process = Self::run(self.folder.path());
        self.is_up();
    }
}

impl Drop for OwnEngine {
    /// Gently: only so does it end what it has started.
    fn drop(&mut self) {
        self.clear();
        let pid = self.process.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().ok();
        self.process.wait().ok();
        // the killed one has mounted them for itself
        for mounted in ["data", "exec/netns/default"] {
            let path = self.folder.path().join(mounted).display().to_string();
            Command::new("umount").args(["--lazy", &path]).output().ok();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_killed_in_the_middle_of_a_build_costs_that_build_alone() {
    if !engine_is_here() || !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: an engine of the test's own needs root");
        return;
    }
    let mut engine = OwnEngine::start();
    let peer = Peer::new();
    let chaincode = Shell {
        // ends by itself, if a test that fails leaves it behind
        build: "echo begun; test -e /chaincode/input/src/quick || sleep 120; cp /chaincode/input/src/* /chaincode/output/",
        ..Shell::runs("true")
    };
    let endpoint = Endpoint::Unix(engine.folder.path().join("sock"));
    let work = peer.folder.path().join("work");
    let config = DockerConfig::new(endpoint, work.clone());
    let vm = Arc::new(DockerVm::new(config, peer.naming.clone(), Arc::new(chaincode.platform())).unwrap());
    let mut tries = 0;
    let told = loop {
        let building = tokio::spawn({
            let vm = Arc::clone(&vm);
            async move { vm.deploy(&fake::source("slow:1.0")).await }
        });
        let running = || {
            engine
                .ask(&["ps", "-q"])
                .is_some_and(|running| !running.is_empty())
        };
        eventually(running).await;
        engine.kill();
        let told = wire_message(&building.await.unwrap().unwrap_err());
        assert!(told.contains("phase build of slow:1.0"), "{told}");
        tries += 1;
        // on a busy machine the engine may have died before anybody waited for the container: then once more
        if tries == 5 || !told.contains("no Docker Engine answers") {
            break told;
        }
        engine.restart();
        engine.clear();
    };
    assert!(told.contains("the connection to the engine broke off"), "{told}");
    eventually(|| std::fs::read_dir(&work).unwrap().next().is_none()).await;

    let mut source = fake::source("quick:1.0");
    source.code_package = fake::package(&[("quick", "")]);
    let absent = wire_message(&vm.deploy(&source).await.unwrap_err());
    assert!(absent.contains("no Docker Engine answers at unix://"), "{absent}");

    engine.restart();
    vm.deploy(&source).await.unwrap();
    eventually(|| engine.ask(&["ps", "-aq"]).is_some_and(|left| left.is_empty())).await;
    vm.shutdown().await;
}
