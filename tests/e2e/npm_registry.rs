//! A private npm registry that wants a token, and dependencies that come with the package.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use integration::binaries::root;
use integration::ports::Reserved;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::dev::{Dev, node_is_here};
use crate::docker::{OnEngine, docker, docker_is_here};

/// A package that exists in the private registry alone.
const PACKAGE: &str = "fx-money-zq7";

/// A running registry that nobody may read without a token.
struct Registry {
    process: Child,
    url: String,
    token: String,
    folder: TempDir,
    _port: Reserved,
}

impl Registry {
    /// Everything but the private package comes from where this machine's npm gets it.
    fn start() -> Self {
        let program = installed();
        let folder = tempfile::tempdir().unwrap();
        let upstream = npm(&["config", "get", "registry"], folder.path());
        let config = json!({
            "storage": folder.path().join("storage"),
            "auth": { "htpasswd": { "file": folder.path().join("users"), "max_users": 10 } },
            "uplinks": { "upstream": { "url": upstream.trim(), "timeout": "60s" } },
            "packages": {
                PACKAGE: { "access": "$authenticated", "publish": "$authenticated" },
                "**": { "access": "$authenticated", "publish": "$authenticated", "proxy": "upstream" },
            },
            "log": { "type": "stdout", "format": "pretty", "level": "warn" },
        });
        // JSON is YAML
        fs::write(folder.path().join("config.yaml"), config.to_string()).unwrap();
        let reserved = Reserved::any();
        let port = reserved.number();
        let mut process = Command::new("node")
            .arg(program)
            .args(["--listen", &format!("127.0.0.1:{port}"), "--config"])
            .arg(folder.path().join("config.yaml"))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains("http address") {
            let read = output.read_line(&mut said).unwrap();
            assert!(read > 0, "the registry did not come up: {said}");
        }
        // it must be able to go on printing
        thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let token = sign_up(port);
        let registry = Self {
            process,
            url: format!("http://127.0.0.1:{port}/"),
            token,
            folder,
            _port: reserved,
        };
        registry.publish();
        registry
    }

    fn publish(&self) {
        let package = self.folder.path().join("package");
        fs::create_dir(&package).unwrap();
        let manifest = json!({ "name": PACKAGE, "version": "1.0.0", "main": "index.js" });
        fs::write(package.join("package.json"), manifest.to_string()).unwrap();
        fs::write(package.join("index.js"), "module.exports = () => 'private';\n").unwrap();
        let host = self.url.trim_start_matches("http:");
        fs::write(
            package.join(".npmrc"),
            format!("{host}:_authToken={}\n", self.token),
        )
        .unwrap();
        npm(&["publish", "--registry", &self.url], &package);
    }

    fn token_file(&self) -> PathBuf {
        let file = self.folder.path().join("token");
        fs::write(&file, format!("{}\n", self.token)).unwrap();
        file
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The registry's program, fetched by npm once: the tests run side by side, and npm wants the folder for itself.
fn installed() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let install = || {
        let folder = root().join("tests/registry");
        let program = folder.join("node_modules/verdaccio/bin/verdaccio");
        if !program.exists() {
            npm(&["ci", "--no-audit", "--no-fund", "--loglevel=error"], &folder);
        }
        program
    };
    INSTALLED.get_or_init(install).clone()
}

fn npm(args: &[&str], folder: &Path) -> String {
    let output = Command::new("npm")
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "npm {args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a user, as `npm adduser` does, and returns its token.
fn sign_up(port: u16) -> String {
    let body = json!({ "name": "peer", "password": "password of the test" }).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "PUT /-/user/org.couchdb.user:peer HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let json = answer.find('{').zip(answer.rfind('}'));
    let json = json.and_then(|(start, end)| answer.get(start..=end));
    let answer: Value = json
        .and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_else(|| panic!("{answer}"));
    answer["token"].as_str().unwrap().to_owned()
}

/// Node chaincode that needs the private package.
fn chaincode(folder: &Path) -> PathBuf {
    let source = folder.join("source");
    fs::create_dir(&source).unwrap();
    let manifest = json!({
        "name": "private", "version": "1.0.0", "private": true, "scripts": { "start": "node index.js" },
        "dependencies": { "fabric-shim": "2.5.8", PACKAGE: "1.0.0" },
    });
    fs::write(source.join("package.json"), manifest.to_string()).unwrap();
    let program = format!(
        "const shim = require('fabric-shim');\nconst money = require('{PACKAGE}');\n\
         shim.start({{ Init: async () => shim.success(), Invoke: async () => shim.success(Buffer.from(money())) }});\n"
    );
    fs::write(source.join("index.js"), program).unwrap();
    source
}

fn install(dev: &Dev, name: &str, source: &Path) {
    let path = source.to_str().unwrap();
    dev.ok(&[
        "chaincode",
        "install",
        "-n",
        name,
        "-v",
        "1",
        "-l",
        "node",
        "-p",
        path,
    ]);
}

const CTOR: &str = r#"{"Args":[]}"#;

fn instantiate(name: &str) -> [&str; 12] {
    [
        "chaincode",
        "instantiate",
        "-C",
        "mychannel",
        "-n",
        name,
        "-v",
        "1",
        "-c",
        CTOR,
        "--waitForEvent",
        "-lnode",
    ]
}

#[test]
fn a_private_registry_is_used_and_its_token_is_seen_nowhere() {
    if !node_is_here() {
        return;
    }
    let registry = Registry::start();
    // for each chaincode its own: with a token, without one, and npm's default registry
    let platforms = json!([{ "name": "node", "config": {
        "npm": { "registry": registry.url },
        "chaincodes": {
            "private": { "npm": { "registry": registry.url, "tokenFile": registry.token_file() } },
            "elsewhere": { "npm": null },
        },
    } }]);
    let dev = Dev::network(&[
        ("CORE_PEER_HANDLERS_PLATFORMS", &platforms.to_string()),
        ("FABRIC_LOGGING_SPEC", "debug"),
    ]);
    let source = chaincode(dev.folder.path());
    let watch = ProcessWatch::start(registry.token.clone());
    let strangers = dev.install_refused("stranger", &source);
    assert!(strangers.contains("E401"), "npm's reason: {strangers}");
    let elsewhere = dev.install_refused("elsewhere", &source);
    assert!(
        elsewhere.contains("E404") && elsewhere.contains(PACKAGE),
        "npm's reason: {elsewhere}"
    );
    install(&dev, "private", &source);
    dev.ok(&instantiate("private"));
    assert_eq!(dev.query("private", &["anything"]), "private");
    let (seen, commands) = watch.stop();
    assert!(
        seen.iter().any(|program| program.contains("npm")),
        "the watch saw no build: {seen:?}"
    );
    assert_eq!(
        commands,
        Vec::<String>::new(),
        "processes with the token as argument"
    );

    let token = registry.token.as_str();
    let log = dev.log();
    assert!(log.contains("build output"), "the log has the build's output");
    for text in [&log, &strangers, &elsewhere] {
        assert!(!text.contains(token));
    }
    let data = dev.folder.path().join("net");
    let holding = files_holding(&data, token.as_bytes());
    assert_eq!(holding, Vec::<PathBuf>::new(), "files of the peer with the token");
}

#[test]
fn in_containers_the_token_is_in_no_layer_log_or_error() {
    if !node_is_here() || !docker_is_here() {
        return;
    }
    let registry = Registry::start();
    let platforms = json!([{ "name": "node", "config": {
        "npm": { "registry": registry.url },
        "chaincodes": {
            "private": { "npm": { "registry": registry.url, "tokenFile": registry.token_file() } },
        },
    } }]);
    let dev = Dev::network(&[
        ("CORE_VM_RUNTIME", "docker"),
        ("CORE_PEER_HANDLERS_PLATFORMS", &platforms.to_string()),
        ("FABRIC_LOGGING_SPEC", "debug"),
    ]);
    let engine = OnEngine::of(&dev);
    let source = chaincode(dev.folder.path());
    let strangers = dev.install_refused("stranger", &source);
    assert!(strangers.contains("E401"), "npm's reason: {strangers}");
    assert_eq!(engine.images(), Vec::<String>::new(), "nothing is left of it");

    install(&dev, "private", &source);
    dev.ok(&instantiate("private"));
    assert_eq!(dev.query("private", &["anything"]), "private");
    let [image] = engine.images().try_into().unwrap();
    let [container] = engine.chaincode("private:1").try_into().unwrap();
    let token = registry.token.as_str();
    let log = dev.log();
    let printed = dev.ok(&["chaincode", "logs", "private:1"]).to_string();
    for text in [
        &strangers,
        &log,
        &printed,
        &docker(&["history", "--no-trunc", &image]),
        &docker(&["image", "inspect", &image]),
        &docker(&["inspect", &container]),
    ] {
        assert!(!text.contains(token));
    }
    let layers = dev.folder.path().join("layers");
    fs::create_dir(&layers).unwrap();
    let saved = layers.join("image.tar");
    let exported = layers.join("container.tar");
    docker(&["save", "-o", saved.to_str().unwrap(), &image]);
    docker(&["export", "-o", exported.to_str().unwrap(), &container]);
    for archive in [saved, exported] {
        let content = fs::read(&archive).unwrap();
        let holds = |text: &[u8]| content.windows(text.len()).any(|window| window == text);
        assert!(
            holds(PACKAGE.as_bytes()),
            "the program is in it: {}",
            archive.display()
        );
        assert!(!holds(token.as_bytes()), "{}", archive.display());
    }
}

/// Looks at the arguments of every process of this machine, again and again.
struct ProcessWatch {
    stop: mpsc::Sender<()>,
    watching: thread::JoinHandle<Watched>,
}

/// What ran, and what of it had the token.
type Watched = (BTreeSet<String>, Vec<String>);

/// Between two looks; the build needs the processors, too.
const PAUSE: Duration = Duration::from_millis(5);

impl ProcessWatch {
    fn start(token: String) -> Self {
        let (stop, stopped) = mpsc::channel();
        let watching = thread::spawn(move || {
            let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                for process in fs::read_dir("/proc").unwrap().flatten() {
                    let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
                    let text = String::from_utf8_lossy(&arguments).replace('\0', " ");
                    if text.contains(&token) {
                        found.push(text.clone());
                    }
                    seen.insert(text.chars().take(80).collect());
                }
            }
            (seen, found)
        });
        Self { stop, watching }
    }

    fn stop(self) -> Watched {
        drop(self.stop);
        self.watching.join().unwrap()
    }
}

/// What there is; nothing where the running peer has just removed it.
fn there<T>(read: std::io::Result<T>) -> Option<T> {
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        read => Some(read.unwrap()),
    }
}

pub fn files_holding(folder: &Path, text: &[u8]) -> Vec<PathBuf> {
    let mut open = vec![folder.to_owned()];
    let (mut found, mut files) = (Vec::new(), 0);
    while let Some(path) = open.pop() {
        let Some(kind) = there(fs::symlink_metadata(&path)).map(|metadata| metadata.file_type()) else {
            continue;
        };
        if kind.is_dir() {
            let entries = there(fs::read_dir(&path)).into_iter().flatten();
            open.extend(entries.filter_map(there).map(|entry| entry.path()));
        } else if kind.is_file() {
            files += 1;
            let content = there(fs::read(&path)).unwrap_or_default();
            if content.windows(text.len()).any(|window| window == text) {
                found.push(path);
            }
        }
    }
    assert!(files > 100, "the build is among the files");
    found
}

#[test]
fn the_peers_variable_names_the_registry() {
    if !node_is_here() {
        return;
    }
    let empty = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = empty.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in empty.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while line != "\r\n" && reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let nothing = b"HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
            reader.get_mut().write_all(nothing).ok();
        }
    });
    let dev = Dev::network(&[("NODE_REGISTRY", &format!("http://{address}"))]);
    let source = chaincode(dev.folder.path());
    let said = dev.install_refused("cc", &source);
    assert!(said.contains("E404") && said.contains(&address), "{said}");
}

#[test]
fn vendored_dependencies_are_built_without_a_network() {
    if !node_is_here() {
        return;
    }
    let closed = Reserved::any();
    let dev = Dev::network(&[("NODE_REGISTRY", &format!("http://{}", closed.address()))]);
    let source = dev.folder.path().join("vendored");
    fs::create_dir(&source).unwrap();
    for file in ["index.js", "package.json", "package-lock.json"] {
        fs::copy(root().join("tests/chaincode/kv").join(file), source.join(file)).unwrap();
    }
    npm(
        &["ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"],
        &source,
    );
    let manifest = fs::read(source.join("package.json")).unwrap();
    let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
    manifest["fabric"] = json!({ "vendored": true });
    fs::write(source.join("package.json"), manifest.to_string()).unwrap();
    install(&dev, "vendored", &source);
    dev.ok(&instantiate("vendored"));
    dev.invoke("vendored", &["put", "a", "1"]);
    assert_eq!(dev.query("vendored", &["get", "a"]), "1");
}
