//! The operations server of a peer that works: its metrics, its health, its port.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use core_config::Override;
use integration::binaries;
use integration::exposition::Exposition;
use integration::http;
use integration::network::{CHAINCODE, Harness};
use peer::dev::network::{Network, NetworkSpec};
use serde_json::{Value, json};
use tokio::sync::watch;

fn address(network: &Network) -> SocketAddr {
    network.node().operations_address().expect("an operations server")
}

async fn measured() -> Harness {
    Harness::start_with([
        ("operations.listenAddress", "127.0.0.1:0".into()),
        ("metrics.provider", "prometheus".into()),
    ])
    .await
}

async fn scrape(server: SocketAddr) -> Exposition {
    let answer = http::get(server, "/metrics").await;
    assert_eq!(answer.status, 200);
    let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
    assert!(answer.head.contains(kind), "{}", answer.head);
    Exposition::read(&answer.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn proposals_blocks_and_plugins_are_measured_while_they_run() {
    let harness = measured().await;
    let _shim = harness.connect("kv:1").await;
    let server = address(&harness.network);
    let before = scrape(server).await;
    let done = Arc::new(AtomicBool::new(false));
    let (scraped, mut scrapes) = watch::channel(0);
    let scraping = {
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                scrape(server).await;
                scraped.send_modify(|scrapes| *scrapes += 1);
            }
        })
    };
    scrapes.changed().await.expect("a scrape");
    for _ in 0..20 {
        let answer = harness.call(&["put", "a"]).await.expect("an answer");
        assert!(answer.endorsement.is_some());
    }
    done.store(true, Ordering::Relaxed);
    scraping.await.expect("scrapes");

    let after = scrape(server).await;
    let grown = |name: &str, labels: &[(&str, &str)]| after.sum(name, labels) - before.sum(name, labels);
    assert_eq!(after.kind("endorser_proposals_received"), Some("counter"));
    assert_eq!(grown("endorser_proposals_received", &[]), 20.0);
    assert_eq!(grown("endorser_successful_proposals", &[]), 20.0);
    let of_chaincode = [
        ("channel", "mychannel"),
        ("chaincode", CHAINCODE),
        ("success", "true"),
    ];
    assert_eq!(grown("endorser_proposal_duration_count", &of_chaincode), 20.0);
    let puts = [
        ("type", "PUT_STATE"),
        ("channel", "mychannel"),
        ("chaincode", "kv:1"),
    ];
    assert_eq!(grown("chaincode_shim_requests_received", &puts), 20.0);
    for name in [
        "chaincode_shim_requests_completed",
        "chaincode_shim_request_duration_count",
    ] {
        assert_eq!(grown(name, &[&puts[..], &[("success", "true")]].concat()), 20.0);
    }
    let proposals = [("service", "protos_Endorser"), ("method", "ProcessProposal")];
    assert_eq!(grown("grpc_server_unary_requests_received", &proposals), 20.0);
    all_are_completed(server, &proposals, &before).await;
    let height = after.all("ledger_blockchain_height", &[("channel", "mychannel")]);
    assert_eq!(height[0].value as u64, harness.height());
    let blocks = after.sum("ledger_block_processing_time_count", &[("channel", "mychannel")]);
    assert!(blocks > 0.0, "blocks came after the first one");
    let valid = [("channel", "mychannel"), ("validation_code", "VALID")];
    assert!(after.sum("ledger_transaction_count", &valid) > 0.0);
    for info in after.all("plugin_info", &[("kind", "authFilters")]) {
        let instance = [("instance", info.labels["instance"].as_str())];
        let ok = [instance[0], ("hook", "before"), ("result", "ok")];
        assert_eq!(grown("plugin_calls_total", &ok), 20.0, "{instance:?}");
        assert_eq!(
            grown("plugin_call_seconds_count", &[instance[0], ("hook", "before")]),
            20.0
        );
        assert_eq!(info.labels["sha256"].len(), 64);
    }
    assert!(!after.all("plugin_info", &[("kind", "platforms")]).is_empty());
    assert!(after.sum("plugin_loaded_bytes", &[]) > 0.0);
    assert_eq!(
        after
            .all("fabric_version", &[("version", peer::version::PEER)])
            .len(),
        1
    );
}

/// A call is over when its last frame is on its way, of which the client may know first.
async fn all_are_completed(server: SocketAddr, call: &[(&str, &str)], before: &Exposition) {
    let ok = [call, &[("code", "OK")]].concat();
    let name = "grpc_server_unary_requests_completed";
    let completed = async {
        while scrape(server).await.sum(name, &ok) - before.sum(name, &ok) < 20.0 {
            tokio::task::yield_now().await;
        }
    };
    let patience = std::time::Duration::from_secs(60);
    tokio::time::timeout(patience, completed)
        .await
        .expect("20 calls are completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_make_no_series() {
    let harness = measured().await;
    let server = address(&harness.network);
    for name in ["no\"such", "a\nb", "c\\d", "e", "f"] {
        drop(harness.send(harness.proposal(name, &["x"]).signed).await);
        let channel = peer::client::proposal::ProposalRequest::new(name, "qscc", ["x"]);
        let signer = harness.network.user().signer();
        let signed = peer::client::proposal::PreparedProposal::new(&channel, signer).expect("signs");
        drop(harness.send(signed.signed).await);
    }
    let seen = scrape(server).await;
    assert!(seen.sum("endorser_proposals_received", &[]) >= 10.0);
    let durations = seen.all("endorser_proposal_duration_count", &[]);
    for sample in durations {
        let known = ["mychannel", ""].contains(&sample.labels["channel"].as_str());
        let chaincode = sample.labels["chaincode"].as_str();
        assert!(
            known && ["kv", "lscc", "cscc", "qscc", "unknown"].contains(&chaincode),
            "{sample:?}"
        );
    }
    let unknown = [
        ("channel", "mychannel"),
        ("chaincode", "unknown"),
        ("success", "false"),
    ];
    assert!(seen.sum("endorser_proposal_duration_count", &unknown) >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named_with_its_key() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let folder = tempfile::tempdir().expect("temporary folder");
    let started = Network::start(spec(
        folder.path(),
        &[("operations.listenAddress", address.clone().into())],
    ));
    let error = started.await.err().expect("the port is taken");
    let text = format!("{error:#}");
    assert!(
        text.contains(&format!(
            "operations.listenAddress: could not listen on {address}; set a free port"
        )),
        "{text}"
    );
    drop(taken);
    let network = Network::start(spec(folder.path(), &[])).await.expect("it starts");
    assert_eq!(
        network.node().operations_address(),
        None,
        "switched off for development"
    );
    network.shutdown().await.expect("stopped");
}

fn spec(folder: &Path, settings: &[(&str, Value)]) -> NetworkSpec {
    let plugins = ("peer.handlers.pluginDirs", json!([binaries::plugin_dir()]));
    let all = std::iter::once(&plugins).chain(settings);
    NetworkSpec {
        tls: false,
        overrides: all
            .map(|(key, value)| Override::new(*key, value.clone(), "test"))
            .collect(),
        ..NetworkSpec::new(folder.join("net"), "mychannel")
    }
}

/// Plays a Docker engine that is there, and nothing more, until it is told to go.
struct Engine {
    stop: Arc<AtomicBool>,
    socket: std::path::PathBuf,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Engine {
    fn start(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).expect("a socket");
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopping.load(Ordering::Relaxed) {
                    return;
                }
                let mut stream = stream.expect("a connection");
                let mut head = [0; 4096];
                let read = stream.read(&mut head).unwrap_or_default();
                let head = String::from_utf8_lossy(&head[..read]).into_owned();
                let body = if head.contains("/version") {
                    r#"{"Version":"test","ApiVersion":"1.44","MinAPIVersion":"1.24"}"#
                } else if head.contains("/_ping") {
                    "OK"
                } else {
                    "[]"
                };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).ok();
            }
        });
        Self {
            stop,
            socket: socket.to_owned(),
            thread: Some(thread),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // wakes it
        std::os::unix::net::UnixStream::connect(&self.socket).ok();
        self.thread.take().map(std::thread::JoinHandle::join);
        std::fs::remove_file(&self.socket).ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_is_ill_without_the_engine_that_it_needs() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let socket = folder.path().join("engine.sock");
    let endpoint = format!("unix://{}", socket.display());
    let settings = [
        ("operations.listenAddress", "127.0.0.1:0".into()),
        ("vm.runtime", "docker".into()),
        ("vm.endpoint", endpoint.into()),
    ];
    let network = Network::start(spec(folder.path(), &settings))
        .await
        .expect("network");
    let server = address(&network);
    let ill = http::get(server, "/healthz").await;
    assert_eq!(ill.status, 503, "{}", ill.body);
    let report: Value = serde_json::from_str(&ill.body).expect("JSON");
    assert_eq!(report["status"], "Service Unavailable");
    assert_eq!(report["failed_checks"][0]["component"], "docker");
    let reason = report["failed_checks"][0]["reason"].as_str().expect("a reason");
    assert!(reason.contains("no Docker Engine answers at unix://"), "{reason}");

    let engine = Engine::start(&socket);
    let well = http::get(server, "/healthz").await;
    assert_eq!(well.status, 200, "{}", well.body);
    drop(engine);
    assert_eq!(
        http::get(server, "/healthz").await.status,
        503,
        "it has gone again"
    );
    assert_eq!(http::get(server, "/metrics").await.status, 404, "no provider");
    network.shutdown().await.expect("stopped");
}
