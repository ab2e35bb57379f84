//! Every misbehaviour that a plugin can show, put into one running peer after the other. Each costs what it must, and the
//! peer serves again as soon as its configuration is good again.

use crate::harness::{LIBRARY, endorses_and_validates, filter, hasty, library_dir};
use core_config::Override;
use peer::dev::network::{Network, NetworkSpec};
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a bad plugin does to a request, or to the reload that would bring it in.
enum Costs {
    /// The reload is refused with this text; the good plugins go on.
    Reload(&'static str),
    /// The request is refused with this text.
    Request(&'static str),
    /// Nothing that its client would notice.
    Nothing,
}

/// A running peer with a core.yaml that changes.
struct Peer {
    folder: tempfile::TempDir,
    network: Network,
}

impl Peer {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config");
        fs::create_dir(&config).unwrap();
        fs::create_dir(folder.path().join("plugins")).unwrap();
        write(&config, &good(), folder.path());
        let mut overrides = vec![Override::new("peer.handlers.platforms", json!([]), "test")];
        overrides.extend(endorses_and_validates());
        let spec = NetworkSpec {
            tls: false,
            overrides,
            variables: vec![("FABRIC_CFG_PATH".to_owned(), config.display().to_string())],
            ..NetworkSpec::new(folder.path().join("net"), "mychannel")
        };
        let network = Network::start(spec).await.unwrap();
        Self { folder, network }
    }

    /// Where libraries of a bad kind can be put.
    fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    async fn reload(&self, handlers: &Value) -> Result<(), String> {
        write(&self.folder.path().join("config"), handlers, self.folder.path());
        let reloaded = self.network.node().reloader().reload().await;
        reloaded.map(drop).map_err(|error| format!("{error:#}"))
    }

    async fn ask(&self) -> Result<(), String> {
        let answer = self.network.query("cscc", ["GetChannels"]).await;
        answer.map(drop).map_err(|error| format!("{error:#}"))
    }

    /// Shows one plugin, and that everything is well afterwards.
    async fn shows(&self, what: &str, handlers: &Value, costs: Costs) {
        let reloaded = self.reload(handlers).await;
        match costs {
            Costs::Reload(text) => {
                let refused = reloaded.expect_err(what);
                assert!(refused.contains(text), "{what}: {refused}");
                assert_eq!(self.ask().await, Ok(()), "{what}: the former plugins go on");
            }
            Costs::Request(text) => {
                reloaded.expect(what);
                let refused = self.ask().await.expect_err(what);
                assert!(refused.contains(text), "{what}: {refused}");
            }
            Costs::Nothing => {
                reloaded.expect(what);
                assert_eq!(self.ask().await, Ok(()), "{what}");
            }
        }
        self.reload(&good()).await.expect(what);
        assert_eq!(self.ask().await, Ok(()), "{what}: afterwards");
    }
}

fn write(config: &Path, handlers: &Value, folder: &Path) {
    let mut handlers = handlers.clone();
    handlers["pluginDirs"] = json!([library_dir(), folder.join("plugins")]);
    let document = json!({"peer": {"handlers": handlers}});
    fs::write(config.join("core.yaml"), document.to_string()).unwrap();
}

fn good() -> Value {
    json!({"authFilters": [filter("good", "pass")], "decorators": []})
}

fn filters(bad: Value) -> Value {
    json!({"authFilters": [filter("good", "pass"), bad], "decorators": []})
}

fn decorator(bad: Value) -> Value {
    json!({"authFilters": [], "decorators": [bad]})
}

/// The bad one. Only what never answers gets a deadline that a busy machine may miss.
fn bad(mode: &str) -> Value {
    match mode {
        "hang" | "hang in after" | "block" => hasty("bad", mode),
        _ => filter("bad", mode),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_go_wrong_cost_their_request() {
    let peer = Peer::start().await;
    for (mode, costs) in [
        ("panic in before", Costs::Request("auth filter bad failed")),
        ("panic in after", Costs::Request("auth filter bad failed")),
        ("panic in state drop", Costs::Request("auth filter bad failed")),
        ("hang", Costs::Request("did not answer in time")),
        ("hang in after", Costs::Request("did not answer in time")),
        ("block", Costs::Request("did not answer in time")),
        (
            "respond too much",
            Costs::Request("more than a message may carry"),
        ),
        ("answer too much", Costs::Request("more than a message may carry")),
        ("untouchable payload", Costs::Request("auth filter bad failed")),
        ("panic in a text", Costs::Request("auth filter bad failed")),
        ("long text", Costs::Request("xxxx")),
        // its destructor hangs on a thread of the plugin
        ("cling", Costs::Request("did not answer in time")),
        ("odd code", Costs::Request("odd")),
        ("deny", Costs::Request("denied by bad")),
        // its destructor runs when it is exchanged
        ("panic in drop", Costs::Nothing),
    ] {
        peer.shows(mode, &filters(bad(mode)), costs).await;
    }
    for (mode, costs) in [
        ("panic", Costs::Request("decorator bad failed")),
        ("deny", Costs::Request("denied by bad")),
        ("block", Costs::Request("did not answer in time")),
        ("set nothing", Costs::Request("decorator bad")),
    ] {
        peer.shows(mode, &decorator(bad(mode)), costs).await;
    }
    peer.network.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn constructors_and_files_that_go_wrong_cost_their_reload() {
    let peer = Peer::start().await;
    for (mode, text) in [
        ("panic in constructor", "peer.handlers.authFilters[1]"),
        ("fail in constructor", "no licence"),
        ("refuse config", "mode is not to my taste"),
        ("hang in constructor", "peer.handlers.authFilters[1]"),
    ] {
        peer.shows(mode, &filters(bad(mode)), Costs::Reload(text)).await;
    }
    let original = fs::read(library_dir().join(LIBRARY)).unwrap();
    let place = |name: &str, bytes: &[u8], mode: u32| {
        let file = peer.plugins().join(name);
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        json!({"name": "bad", "library": file, "config": {"mode": "pass"}})
    };
    let outside = peer.folder.path().join("outside.so");
    fs::write(&outside, &original).unwrap();
    symlink(&outside, peer.plugins().join("link.so")).unwrap();
    let open = peer.plugins().join("open");
    fs::create_dir(&open).unwrap();
    fs::write(open.join("in.so"), &original).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    let mut pinned = filter("bad", "pass");
    pinned["sha256"] = json!("0".repeat(64));
    let mut unknown_key = filter("bad", "pass");
    unknown_key["config"] = json!({"mood": "good"});
    for (what, entry, text) in [
        ("text", place("text.so", b"#!/bin/sh\n", 0o644), "text.so"),
        ("empty", place("empty.so", b"", 0o644), "empty.so"),
        (
            "half a file",
            place("half.so", &original[..original.len() / 2], 0o644),
            "half.so",
        ),
        (
            "a file for everybody to write",
            place("writable.so", &original, 0o666),
            "mode 0666",
        ),
        (
            "a folder for everybody to write",
            json!({"name": "bad", "library": open.join("in.so"), "config": {"mode": "pass"}}),
            "mode 0777",
        ),
        (
            "a link that leads out",
            json!({"name": "bad", "library": "link.so", "config": {"mode": "pass"}}),
            "outside.so",
        ),
        ("another hash", pinned, "00000000"),
        ("another schema", unknown_key, "mood"),
        (
            "nothing",
            json!({"name": "bad", "library": "nothing.so"}),
            "nothing.so",
        ),
    ] {
        peer.shows(what, &filters(entry), Costs::Reload(text)).await;
    }
    peer.network.shutdown().await.unwrap();
}

/// Two administrators, or one and a signal: what is written counts, whoever asked first.
#[tokio::test(flavor = "multi_thread")]
async fn of_reloads_at_once_each_reads_what_is_written_when_its_turn_has_come() {
    let peer = Peer::start().await;
    let named = |name: &str, mode: &str| {
        let mut entry = filter("good", "pass");
        entry["name"] = json!(name);
        entry["config"] = json!({ "mode": mode });
        json!({"authFilters": [entry], "decorators": []})
    };
    let config = peer.folder.path().join("config");
    let put = |handlers: &Value| write(&config, handlers, peer.folder.path());
    let reloader = peer.network.node().reloader();
    put(&named("slow", "slow constructor"));
    let slow = reloader.reload();
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        put(&named("former", "pass"));
        let second = reloader.reload();
        let then = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            put(&named("latest", "pass"));
        };
        tokio::join!(second, then).0
    };
    let (slow, second) = tokio::join!(slow, meanwhile);
    let brought = |reload: handlers::Reload| {
        let now = reload.changes.into_iter().filter_map(|change| change.to);
        let filters = now.filter(|info| info.kind == handlers::Kind::AuthFilter);
        filters.map(|info| info.instance).collect::<Vec<_>>()
    };
    assert_eq!(brought(slow.unwrap()), ["slow"]);
    assert_eq!(brought(second.unwrap()), ["latest"]);
    peer.network.shutdown().await.unwrap();
}
