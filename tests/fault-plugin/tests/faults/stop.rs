//! The peer binary stops when it is told to, whatever a plugin does.

use crate::harness::{endorses_and_validates, filter, library_dir};
use crate::refusals::replaced;
use peer::dev::network::{Network, NetworkSpec};
use protos::peer::SignedProposal;
use protos::peer::endorser_client::EndorserClient;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpSocket;

/// How long a peer may take to stop before the test kills it: its last resort, and a machine that is busy with something
/// else.
const PATIENCE: Duration = Duration::from_secs(90);

/// `peer node start` with one filter.
struct Peer {
    process: Child,
    log: Option<BufReader<ChildStderr>>,
    address: String,
    /// Bound and not listening, which keeps the ports from everybody but the peer.
    _ports: [TcpSocket; 2],
    folder: TempDir,
}

/// The binary of the same build as this test.
fn binary() -> PathBuf {
    let peer = library_dir().parent().unwrap().join("peer");
    assert!(
        peer.exists(),
        "{} is not built: run cargo build --workspace first",
        peer.display()
    );
    peer
}

/// A port where nobody listens yet.
fn port() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

/// The MSP of a peer, left behind by a development network.
async fn msp(folder: &Path) -> PathBuf {
    let nothing = |list| core_config::Override::new(format!("peer.handlers.{list}"), json!([]), "test");
    let dirs = core_config::Override::new("peer.handlers.pluginDirs", json!([library_dir()]), "test");
    let mut overrides = ["authFilters", "decorators", "platforms"].map(nothing).to_vec();
    overrides.push(dirs);
    overrides.extend(endorses_and_validates());
    let spec = NetworkSpec {
        overrides,
        ..NetworkSpec::new(folder.join("net"), "mychannel")
    };
    let network = Network::start(spec).await.unwrap();
    let msp = network.config().peer.msp_config_path.clone();
    network.shutdown().await.unwrap();
    msp
}

/// Writes core.yaml, which JSON is as well.
fn configure(folder: &Path, filters: &[&Value]) {
    let config = json!({"peer": {"handlers": {"authFilters": filters}}});
    std::fs::write(folder.join("core.yaml"), config.to_string()).unwrap();
}

impl Peer {
    async fn start(filter: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = [port(), port()];
        let [address, chaincode_address] = ports
            .each_ref()
            .map(|port| port.local_addr().unwrap().to_string());
        configure(folder.path(), &[filter]);
        let mut process = Command::new(binary())
            .args(["node", "start"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir(folder.path())
            .env("CORE_PEER_MSPCONFIGPATH", msp(folder.path()).await)
            .env("CORE_PEER_LOCALMSPID", "Org1MSP")
            .env("CORE_PEER_FILESYSTEMPATH", folder.path().join("peer"))
            .env("CORE_PEER_LISTENADDRESS", &address)
            .env("CORE_PEER_ADDRESS", &address)
            .env("CORE_PEER_CHAINCODELISTENADDRESS", chaincode_address)
            .env("CORE_PEER_HANDLERS_PLUGINDIRS", library_dir())
            .env("FABRIC_CFG_PATH", folder.path())
            .env("CORE_PEER_HANDLERS_DECORATORS", "[]")
            .env("CORE_PEER_HANDLERS_PLATFORMS", "[]")
            .env("CORE_OPERATIONS_LISTENADDRESS", "127.0.0.1:0")
            .env("FABRIC_LOGGING_SPEC", "debug")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = process.stderr.take().map(BufReader::new);
        Self {
            process,
            log,
            address,
            _ports: ports,
            folder,
        }
    }

    /// Puts other filters in force.
    fn reload(&self, filters: &[&Value]) {
        configure(self.folder.path(), filters);
        let pid = self.process.id().to_string();
        let told = Command::new("kill").args(["-HUP", &pid]).status();
        assert!(told.unwrap().success());
    }

    /// Reads the log up to a line with this text.
    fn says(&mut self, text: &str) {
        let log = self.log.as_mut().unwrap();
        let mut said = String::new();
        while !said.lines().last().unwrap_or_default().contains(text) {
            assert!(log.read_line(&mut said).unwrap() > 0, "{text}: {said}");
        }
    }

    /// Tells it to stop, and waits.
    fn stop(&mut self) -> (ExitStatus, Duration) {
        let told = Instant::now();
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        // it must be able to go on printing
        let mut log = self.log.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let (over, waiting) = channel::<()>();
        let killer = std::thread::spawn(move || {
            if waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                Command::new("kill").args(["-KILL", &pid]).status().unwrap();
            }
        });
        let ended = self.process.wait().unwrap();
        drop(over);
        killer.join().unwrap();
        (ended, told.elapsed())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_starting_stops_at_once() {
    let mut seen = Vec::new();
    // a busy machine is slow at times; a peer that waits for the plugin, which may load for 10 seconds, is slow each time
    for _attempt in 0..5 {
        let mut peer = Peer::start(&filter("hanging", "hang in constructor")).await;
        peer.says("loading plugin");
        let (ended, took) = peer.stop();
        if ended.success() && took < Duration::from_secs(8) {
            return;
        }
        seen.push((ended, took));
    }
    panic!("it waited for the plugin: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_hangs_on_the_peers_own_threads_does_not_keep_it() {
    let mut hanging = filter("hanging", "block");
    hanging["executor"] = json!("inline");
    let mut peer = Peer::start(&hanging).await;
    peer.says("peer started");
    let mut client = EndorserClient::connect(format!("http://{}", peer.address))
        .await
        .unwrap();
    let call = tokio::spawn(async move { client.process_proposal(SignedProposal::default()).await });
    peer.says("entered block");
    peer.says("plugin blocks a thread of the peer");
    // orderly, or, when it holds the thread that has the timers as well, by the last resort
    let (ended, took) = peer.stop();
    assert_eq!(ended.signal(), None, "it had to be killed after {took:?}");
    assert!(call.await.unwrap().is_err());
}

/// What never ends has locked the dynamic linker, which the usual end of a process waits for.
#[test]
fn a_library_that_hangs_while_it_is_mapped_does_not_keep_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("hang.c");
    let hangs =
        "#include <unistd.h>\n__attribute__((constructor)) static void hang(void) { for (;;) pause(); }\n";
    std::fs::write(&source, hangs).unwrap();
    let api = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugin-api");
    let compiled = Command::new("gcc")
        .args(["-shared", "-fPIC", "-I"])
        .arg(api.join("include"))
        .arg("-o")
        .arg(folder.path().join("hang.so"))
        .args([&api.join("examples/c/msp_allow.c"), &source])
        .status();
    assert!(compiled.expect("gcc, which also links the peer").success());
    let filter = json!([{ "name": "hang", "library": "hang.so", "config": { "allow": "Org1MSP" } }]);
    let peer = Command::new(binary())
        .args(["plugin", "list"])
        .env_clear()
        .current_dir(folder.path())
        .env("CORE_PEER_HANDLERS_PLUGINDIRS", folder.path())
        .env("CORE_PEER_HANDLERS_AUTHFILTERS", filter.to_string())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = peer.id().to_string();
    let (over, ended) = channel();
    std::thread::spawn(move || over.send(peer.wait_with_output()));
    let Ok(output) = ended.recv_timeout(PATIENCE) else {
        Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        panic!("it did not end");
    };
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("its library took longer than 10s (msp-allow)"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(1), "{said}");
}

/// The dynamic linker is locked for ever then, and an ordinary end of a process wants that lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_hangs_while_it_is_mapped_does_not_keep_the_peer() {
    let folder = replaced("initialiser returns", "initialiser hangs  ");
    let entry = json!({
        "name": "hanging", "library": folder.path().join("plugin.so"), "config": {"mode": "pass"},
    });
    let mut peer = Peer::start(&entry).await;
    peer.says("its library took longer than 10s (Fault)");
    let waited = Instant::now();
    let ended = loop {
        if let Some(ended) = peer.process.try_wait().unwrap() {
            break ended;
        }
        assert!(waited.elapsed() < PATIENCE, "it does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(ended.code(), Some(1));
}

/// At a reload there is a peer to lose: what a new library does as it is mapped, it does to another process first.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_tries_new_libraries_out_in_a_process_of_their_own() {
    let good = filter("good", "pass");
    let mut peer = Peer::start(&good).await;
    peer.says("peer started");
    for (initialiser, end) in [
        ("initialiser aborts ", "ended with signal 6"),
        ("initialiser exits  ", "ended with code 0"),
        ("initialiser hangs  ", "took longer than 10s to map it"),
    ] {
        let folder = replaced("initialiser returns", initialiser);
        let library = folder.path().join("plugin.so");
        peer.reload(&[
            &good,
            &json!({"name": "bad", "library": library, "config": {"mode": "pass"}}),
        ]);
        peer.says(&format!("the process in which it was tried out {end}"));
    }
    // and nothing is locked: another new library is mapped
    let folder = replaced("initialiser returns", "initialiser RETURNS");
    let library = folder.path().join("plugin.so");
    peer.reload(&[
        &good,
        &json!({"name": "late", "library": library, "config": {"mode": "pass"}}),
    ]);
    peer.says("plugins are in force");
    let (status, _took) = peer.stop();
    assert!(status.success(), "{status:?}");
}
