//! A small Docker Engine made of recorded answers, on a socket of its own. It remembers what was created, so that
//! tests see what is left behind; any single answer can be replaced by a fault.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up fails; clippy's exemption does not reach helper functions"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// One request, its body read to the end.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Without the version of the API.
    pub path: String,
    /// `v1.41`; empty if the client named none.
    pub version: String,
    /// Decoded.
    pub query: BTreeMap<String, String>,
    /// What the login header says, decoded as an engine does it; none without a header.
    pub login: Option<Value>,
    pub body: Vec<u8>,
}

impl Request {
    /// `path` is the end of one, or with a star behind it the beginning.
    pub fn is(&self, method: &str, path: &str) -> bool {
        let fits = match path.strip_suffix('*') {
            Some(beginning) => self.path.starts_with(beginning),
            None => self.path.ends_with(path),
        };
        self.method == method && fits
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An answer.
pub enum Reply {
    Json(u16, Value),
    Raw(Vec<u8>),
    /// Lines of a stream of JSON records, then the end.
    Records(Vec<Value>),
    /// The beginning of an answer, then the connection ends.
    BreakOff(&'static str),
    /// Nothing, ever.
    Hang,
    /// Frames of an attached stream, then its end.
    Attached(Vec<String>),
    /// Held back until the container ends.
    Exit(String),
}

pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

type Fault = Box<dyn Fn(&Request) -> Option<Reply> + Send + Sync>;

#[derive(Default)]
pub struct State {
    pub requests: Vec<Request>,
    /// Containers that were created and not removed: their ids, and what they were created with.
    pub containers: BTreeMap<String, Value>,
    /// Labels of the images that were built, by name.
    pub images: BTreeMap<String, Value>,
    pub removed_images: Vec<String>,
    /// Images that are on the engine without having been built.
    pub bases: BTreeSet<String>,
    ended: BTreeMap<String, watch::Sender<bool>>,
    hung_up: watch::Sender<bool>,
    created: usize,
}

pub struct FakeEngine {
    folder: TempDir,
    pub state: Arc<Mutex<State>>,
}

impl FakeEngine {
    /// An engine that speaks up to this version and does as it is told, but for `fault`.
    pub fn start(
        api: &'static str,
        fault: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let engine = Self::idle();
        let listener = UnixListener::bind(engine.socket()).unwrap();
        let shared = Arc::clone(&engine.state);
        let fault: Arc<Fault> = Arc::new(Box::new(fault));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, api, Arc::clone(&fault), Arc::clone(&shared)));
            }
        });
        engine
    }

    /// An obedient engine on a TCP port, with TLS if there is an acceptor; returns its `host:port`.
    pub async fn start_tcp(api: &'static str, tls: Option<TlsAcceptor>) -> (Self, String) {
        let engine = Self::idle();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let shared = Arc::clone(&engine.state);
        tokio::spawn(async move {
            let fault: Arc<Fault> = Arc::new(Box::new(|_| None));
            while let Ok((stream, _)) = listener.accept().await {
                let (fault, shared, tls) = (Arc::clone(&fault), Arc::clone(&shared), tls.clone());
                tokio::spawn(secured(stream, tls, api, fault, shared));
            }
        });
        (engine, address)
    }

    fn idle() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            state: Arc::new(Mutex::new(State {
                bases: BTreeSet::from(["builder:1".to_owned(), "runtime:1".to_owned()]),
                ..State::default()
            })),
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Requests of that kind.
    pub fn requests(&self, method: &str, path: &str) -> Vec<Request> {
        let state = self.state.lock();
        state
            .requests
            .iter()
            .filter(|request| request.is(method, path))
            .cloned()
            .collect()
    }

    /// Closes the connections that wait for an answer that never comes.
    pub fn hang_up(&self) {
        self.state.lock().hung_up.send_replace(true);
    }

    /// How many containers there are.
    pub fn live(&self) -> usize {
        self.state.lock().containers.len()
    }
}

async fn secured(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    api: &str,
    fault: Arc<Fault>,
    state: Arc<Mutex<State>>,
) {
    let Some(tls) = tls else {
        return serve(stream, api, fault, state).await;
    };
    if let Ok(stream) = tls.accept(stream).await {
        serve(stream, api, fault, state).await;
    }
}

async fn serve(mut stream: impl Connection, api: &str, fault: Arc<Fault>, state: Arc<Mutex<State>>) {
    let Some(request) = read_request(&mut stream).await else {
        return;
    };
    state.lock().requests.push(request.clone());
    let reply = match fault(&request) {
        Some(reply) => reply,
        None => usual(&request, api, &mut state.lock()),
    };
    answer(stream, reply, &state).await;
}

async fn answer(mut stream: impl Connection, reply: Reply, state: &Mutex<State>) {
    let head = |status: u16, kind: &str| {
        format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nConnection: close\r\n")
    };
    match reply {
        Reply::Json(204, _) => send(&mut stream, format!("{}\r\n", head(204, "x")).as_bytes()).await,
        Reply::Json(status, value) => {
            let body = value.to_string();
            let head = head(status, "application/json");
            send(
                &mut stream,
                format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes(),
            )
            .await;
        }
        Reply::Raw(bytes) => {
            let head = format!(
                "{}Content-Length: {}\r\n\r\n",
                head(200, "application/x-tar"),
                bytes.len()
            );
            send(&mut stream, head.as_bytes()).await;
            send(&mut stream, &bytes).await;
        }
        Reply::Records(records) => {
            let body: String = records.iter().map(|record| format!("{record}\r\n")).collect();
            let head = format!(
                "{}Transfer-Encoding: chunked\r\n\r\n",
                head(200, "application/json")
            );
            send(
                &mut stream,
                format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).as_bytes(),
            )
            .await;
        }
        Reply::BreakOff(part) => {
            let head = format!(
                "{}Transfer-Encoding: chunked\r\n\r\n",
                head(200, "application/json")
            );
            send(
                &mut stream,
                format!("{head}{:x}\r\n{part}\r\n", part.len()).as_bytes(),
            )
            .await;
        }
        Reply::Hang => {
            let mut hung_up = state.lock().hung_up.subscribe();
            tokio::select! {
                () = until_closed(&mut stream) => {}
                _ = hung_up.wait_for(|hung_up| *hung_up) => {}
            }
        }
        Reply::Attached(lines) => {
            let head = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
            send(&mut stream, head.as_bytes()).await;
            for line in lines {
                let mut frame = vec![1, 0, 0, 0];
                frame.extend(u32::try_from(line.len()).unwrap().to_be_bytes());
                frame.extend(line.as_bytes());
                send(&mut stream, &frame).await;
            }
        }
        Reply::Exit(id) => {
            let ended = state.lock().ended.get(&id).map(watch::Sender::subscribe);
            if let Some(mut ended) = ended {
                ended.wait_for(|ended| *ended).await.ok();
            }
            let body = r#"{"StatusCode":143}"#;
            let head = format!(
                "{}Content-Length: {}\r\n\r\n{body}",
                head(200, "application/json"),
                body.len()
            );
            send(&mut stream, head.as_bytes()).await;
        }
    }
}

async fn send(stream: &mut impl Connection, bytes: &[u8]) {
    // a client that has gone is what some tests are about
    stream.write_all(bytes).await.ok();
}

async fn until_closed(stream: &mut impl Connection) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

/// What an engine answers that does as it is told.
#[expect(clippy::too_many_lines, reason = "a table reads best in one piece")]
fn usual(request: &Request, api: &str, state: &mut State) -> Reply {
    let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    let method = request.method.as_str();
    let gone = |what: &str| Reply::Json(404, json!({"message": what}));
    match (method, parts.as_slice()) {
        ("GET", ["version"]) => Reply::Json(
            200,
            json!({"Version": "fake", "ApiVersion": api, "MinAPIVersion": "1.12"}),
        ),
        ("GET", ["containers", "json"]) => {
            let list: Vec<Value> = state
                .containers
                .iter()
                .map(|(id, body)| json!({"Id": id, "Names": [format!("/{id}")], "Labels": body["Labels"]}))
                .collect();
            Reply::Json(200, list.into())
        }
        ("GET", ["images", name @ .., "json"]) => {
            let name = name.join("/");
            match state.images.get(&name) {
                Some(labels) => Reply::Json(
                    200,
                    json!({"Id": format!("sha256:{name}"), "Config": {"User": "500:500", "Labels": labels}}),
                ),
                None if state.bases.contains(&name) => {
                    Reply::Json(200, json!({"Id": "sha256:base", "Config": {}}))
                }
                None => gone(&format!("No such image: {name}")),
            }
        }
        ("POST", ["images", "create"]) => {
            let query = &request.query;
            state
                .bases
                .insert(format!("{}:{}", query["fromImage"], query["tag"]));
            Reply::Records(vec![json!({"status": "Pulling"}), json!({"status": "Done"})])
        }
        ("POST", ["images", .., "tag"]) => {
            state
                .bases
                .insert(format!("{}:{}", request.query["repo"], request.query["tag"]));
            Reply::Json(201, Value::Null)
        }
        ("DELETE", ["images", name @ ..]) => {
            state.removed_images.push(name.join("/"));
            Reply::Json(200, json!([]))
        }
        ("POST", ["build"]) => {
            let labels: Value = serde_json::from_str(&request.query["labels"]).unwrap();
            state.images.insert(request.query["t"].clone(), labels);
            Reply::Records(vec![
                json!({"stream": "Step 1/3 : FROM runtime:1\n"}),
                json!({"aux": {"ID": "sha256:new"}}),
                json!({"stream": "Successfully built new\n"}),
            ])
        }
        ("POST", ["containers", "create"]) => {
            let body = request.json();
            let image = body["Image"].as_str().unwrap();
            if !state.images.contains_key(image) && !state.bases.contains(image) {
                return gone(&format!("No such image: {image}:latest"));
            }
            state.created += 1;
            let id = request.query.get("name").cloned();
            let id = id.unwrap_or_else(|| format!("builder{}", state.created));
            state.containers.insert(id.clone(), body);
            state.ended.insert(id.clone(), watch::Sender::new(false));
            Reply::Json(201, json!({"Id": id, "Warnings": []}))
        }
        ("DELETE", ["containers", id]) => {
            end(state, id);
            state.containers.remove(*id);
            Reply::Json(204, Value::Null)
        }
        (_, ["containers", id, ..]) if !state.containers.contains_key(*id) => gone("No such container"),
        ("GET", ["containers", id, "json"]) => Reply::Json(
            200,
            json!({"Id": id, "State": {"OOMKilled": false}, "Config": {"Labels": state.containers[*id]["Labels"]}}),
        ),
        ("POST", ["containers", id, "attach"]) if id.starts_with("builder") => {
            // what the script of a build was told to say
            let env = state.containers[*id]["Env"].as_array().unwrap();
            let value = |name: &str| env.iter().find_map(|line| line.as_str()?.strip_prefix(name));
            let mark = value("CHAINCODE_PHASE_MARK=").unwrap();
            let phases = value("SAYS=").unwrap_or_default().split_whitespace();
            let mut said: Vec<String> = phases.map(|phase| format!("{mark}{phase}\n")).collect();
            said.extend(["one\ntw", "o\nlast"].map(str::to_owned));
            Reply::Attached(said)
        }
        ("POST", ["containers", _, "attach"]) => Reply::Attached(vec!["hello\n".to_owned()]),
        ("POST", ["containers", id, "wait"]) if id.starts_with("builder") => {
            Reply::Json(200, json!({"StatusCode": 0}))
        }
        ("POST", ["containers", id, "wait"]) => Reply::Exit((*id).to_owned()),
        ("POST", ["containers", id, "stop" | "kill"]) => {
            end(state, id);
            Reply::Json(204, Value::Null)
        }
        ("POST", ["containers", _, "start"]) => Reply::Json(204, Value::Null),
        ("PUT", ["containers", _, "archive"]) => Reply::Json(200, Value::Null),
        ("GET", ["containers", _, "archive"]) => Reply::Raw(vec![0; 1024]),
        _ => panic!("the fake engine does not know {method} {}", request.path),
    }
}

fn end(state: &mut State, id: &str) {
    if let Some(ended) = state.ended.get(id) {
        ended.send_replace(true);
    }
}

async fn read_request(stream: &mut impl Connection) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut body = bytes[end..].to_vec();
    let header = |name: &str| {
        head.lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.to_owned()))
    };
    if let Some(length) = header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        while body.len() < length {
            if stream.read_buf(&mut body).await.ok()? == 0 {
                return None;
            }
        }
    } else if header("transfer-encoding").is_some() {
        while !body.ends_with(b"0\r\n\r\n") {
            if stream.read_buf(&mut body).await.ok()? == 0 {
                return None;
            }
        }
        body = without_chunks(&body);
    }
    let mut words = head.split(' ');
    let method = words.next()?.to_owned();
    let target = words.next()?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let first = path.split('/').nth(1).unwrap_or_default();
    let versioned = first.starts_with("v1.");
    let path = if versioned { &path[first.len() + 1..] } else { path };
    let query = url_decoded_pairs(query);
    Some(Request {
        method,
        path: decoded(path),
        version: if versioned {
            first.to_owned()
        } else {
            String::new()
        },
        query,
        login: header("x-registry-auth")
            .or_else(|| header("x-registry-config"))
            .map(|text| login(&text)),
        body,
    })
}

fn without_chunks(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(line) = body.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..line]).unwrap(), 16).unwrap();
        whole.extend(&body[line + 2..line + 2 + size]);
        body = &body[line + 2 + size + 2..];
    }
    whole
}

fn login(header: &str) -> Value {
    let json = URL_SAFE.decode(header).expect("base64 in the alphabet of URLs");
    serde_json::from_slice(&json).unwrap()
}

fn url_decoded_pairs(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (decoded(key), decoded(&value.replace('+', " "))))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'%' && tail.len() >= 2)
            .then(|| {
                std::str::from_utf8(&tail[..2])
                    .ok()
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            })
            .flatten();
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}
