//! The server itself: answers, TLS, limits. What it tells of a whole peer is tested with one.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use core_config::TlsConfig;
use cryptogen::{CertificateAuthority, CertificateSpec, Curve, Subject, Validity};
use handlers::Registry;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(60);
/// What clients get in the tests of limits. Good ones need less, on a busy machine as well.
const SHORT: Limits = Limits {
    connections: 2,
    head: Duration::from_secs(1),
    connection: Duration::from_secs(4),
};

/// A server beside a peer that has one thread.
struct Place {
    address: SocketAddr,
    server: Server,
    peer: Runtime,
}

fn start(tls: &TlsConfig, limits: Limits) -> Place {
    let peer = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    let tls = tls::server_config(tls).unwrap();
    let routes = Routes {
        health: Health::new(Registry::default(), None, peer.handle().clone()),
        metrics: None,
        secured: tls.is_some(),
    };
    Place {
        address,
        server: Server::start(socket, tls, routes, limits).unwrap(),
        peer,
    }
}

fn plain() -> Place {
    start(&TlsConfig::default(), Limits::default())
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that a connection says until it ends.
fn rest(mut stream: impl std::io::Read) -> String {
    let mut text = Vec::new();
    // an end without goodbye is an end as well
    stream.read_to_end(&mut text).ok();
    String::from_utf8(text).unwrap()
}

fn ask(mut stream: impl std::io::Read + std::io::Write, method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    rest(stream)
}

impl Place {
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        ask(connect(self.address), method, path, body)
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
}

#[test]
fn the_answers_are_fabrics() {
    let place = plain();
    let health = place.ask("GET", "/healthz", "");
    assert_eq!((status(&health), &body(&health)["status"]), ("200", &"OK".into()));
    assert!(body(&health)["time"].as_str().unwrap().ends_with('Z'));
    assert!(body(&health).get("failed_checks").is_none());
    assert_eq!(status(&place.ask("POST", "/healthz", "")), "405");
    let version = place.ask("GET", "/version", "");
    assert_eq!(body(&version)["Version"], crate::version::PEER);
    assert_eq!(body(&version)["CommitSHA"], crate::version::COMMIT);
    let refused = place.ask("PUT", "/version", "");
    assert_eq!(status(&refused), "400");
    assert_eq!(body(&refused)["Error"], "invalid request method: PUT");
    let refused = place.ask("DELETE", "/logspec", "");
    assert_eq!(status(&refused), "400");
    assert_eq!(body(&refused)["error"], "invalid request method: DELETE");
    assert_eq!(status(&place.ask("GET", "/", "")), "404");
    assert_eq!(
        status(&place.ask("GET", "/metrics", "")),
        "404",
        "no provider, no metrics"
    );
}

#[test]
fn a_faulty_specification_is_refused_with_the_reason() {
    let place = plain();
    for (sent, reason) in [
        (r#"{"spec":"info:msp=loud"}"#, "found \"msp=loud\""),
        ("no JSON", "expected"),
        (r#"{"spec":7}"#, "invalid type"),
        // this process does not log
        (r#"{"spec":"info"}"#, "cannot be changed"),
    ] {
        let refused = place.ask("PUT", "/logspec", sent);
        let error = body(&refused)["error"].as_str().unwrap().to_owned();
        assert_eq!(status(&refused), "400");
        assert!(error.contains(reason), "{error}");
    }
    let refused = place.ask("PUT", "/logspec", &" ".repeat(17 * 1024));
    assert_eq!(body(&refused)["error"], "length limit exceeded");
    assert_eq!(status(&place.ask("GET", "/healthz", "")), "200");
}

#[test]
fn a_peer_whose_threads_are_all_blocked_is_ill_until_one_is_free() {
    let place = plain();
    let (release, blocked) = mpsc::channel::<()>();
    let (inside, entered) = mpsc::channel();
    place.peer.spawn(async move {
        inside.send(()).unwrap();
        blocked.recv().ok();
    });
    entered.recv().unwrap();
    let ill = place.ask("GET", "/healthz", "");
    assert_eq!(status(&ill), "503");
    assert_eq!(body(&ill)["status"], "Service Unavailable");
    assert_eq!(body(&ill)["failed_checks"][0]["component"], "threads");
    drop(release);
    assert_eq!(status(&place.ask("GET", "/healthz", "")), "200");
}

#[test]
fn slow_idle_and_large_clients_are_sent_away() {
    let place = start(&TlsConfig::default(), SHORT);
    let begun = Instant::now();
    let silent = connect(place.address);
    assert_eq!(rest(&silent), "");
    let mut slow = connect(place.address);
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhos").unwrap();
    assert!(!rest(&slow).contains("200"));
    let mut idle = connect(place.address);
    idle.write_all(b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    assert!(
        rest(&idle).starts_with("HTTP/1.1 200"),
        "it may ask again, but not for ever"
    );
    let mut endless = connect(place.address);
    endless
        .write_all(b"PUT /logspec HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        .unwrap();
    assert_eq!(rest(&endless), "", "its connection was too old");
    let mut large = connect(place.address);
    let head = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(64 * 1024));
    large.write_all(head.as_bytes()).ok();
    assert!(!rest(&large).contains("200"));
    let headers = "a: b\r\n".repeat(100);
    let mut many = connect(place.address);
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    many.write_all(head.as_bytes()).unwrap();
    assert_eq!(status(&rest(&many)), "431");
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(status(&place.ask("GET", "/healthz", "")), "200");
}

#[test]
fn connections_beyond_the_limit_wait_for_a_place() {
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let place = start(&TlsConfig::default(), limits);
    let first = connect(place.address);
    let _second = connect(place.address);
    let mut third = connect(place.address);
    third
        .write_all(b"GET /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    third.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(third.read(&mut [0; 1]).is_err(), "nobody has read its request");
    drop(first);
    third.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(status(&rest(third)), "200");
}

#[test]
fn it_ends_when_it_is_dropped() {
    let Place {
        address,
        server,
        peer,
    } = plain();
    let open = connect(address);
    drop(server);
    assert_eq!(rest(open), "");
    assert!(TcpStream::connect(address).is_err());
    drop(peer);
}

/// A CA, and the files of a server that trusts it.
struct Authority {
    ca: CertificateAuthority,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let subject = Subject::named("ops.example.com");
        let ca = CertificateAuthority::new(&subject, Validity::from_now(), Curve::P256).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let server = CertificateSpec::tls(Subject::named("127.0.0.1"), ["127.0.0.1"]);
        let server = ca.issue(&server).unwrap();
        for (name, pem) in [
            ("cert", server.certificate_pem()),
            ("key", server.key().pkcs8_pem()),
            ("ca", ca.certificate_pem()),
        ] {
            std::fs::write(folder.path().join(name), pem).unwrap();
        }
        Self { ca, folder }
    }

    fn tls(&self, required: bool) -> TlsConfig {
        let file = |name| self.folder.path().join(name);
        TlsConfig {
            enabled: true,
            client_auth_required: required,
            cert_file: Some(file("cert")),
            key_file: Some(file("key")),
            client_root_ca_files: vec![file("ca")],
            ..TlsConfig::default()
        }
    }

    /// Asks as a client with a certificate of `issuer`, or with none; empty when it is not let in.
    fn ask(&self, place: &Place, issuer: Option<&CertificateAuthority>, path: &str) -> String {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from(self.ca.certificate_der().to_vec());
        roots.add(root).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match issuer {
            None => builder.with_no_client_auth(),
            Some(issuer) => {
                let client = CertificateSpec::tls(Subject::named("scraper"), ["scraper"]);
                let client = issuer.issue(&client).unwrap();
                let chain = vec![CertificateDer::from(client.certificate_der().to_vec())];
                let key = PrivateKeyDer::from_pem_slice(client.key().pkcs8_pem().as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, connect(place.address));
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        match stream.write_all(head.as_bytes()) {
            Ok(()) => rest(stream),
            Err(_refused) => String::new(),
        }
    }
}

#[test]
fn with_tls_the_log_is_for_clients_with_a_certificate() {
    let (ours, others) = (Authority::new(), Authority::new());
    let place = start(&ours.tls(false), Limits::default());
    let us = Some(&ours.ca);
    assert_eq!(status(&ours.ask(&place, us, "/logspec")), "200");
    assert_eq!(status(&ours.ask(&place, None, "/logspec")), "401");
    assert_eq!(status(&ours.ask(&place, None, "/healthz")), "200");
    assert_eq!(status(&ours.ask(&place, None, "/version")), "200");
    assert_eq!(
        ours.ask(&place, Some(&others.ca), "/version"),
        "",
        "not one of ours"
    );
    assert!(!rest_of_plain(&place).contains("HTTP"), "not even without TLS");
}

/// What a server with TLS says to a client without.
fn rest_of_plain(place: &Place) -> String {
    let mut stream = connect(place.address);
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).ok();
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn with_client_authentication_everything_is() {
    let (ours, others) = (Authority::new(), Authority::new());
    let place = start(&ours.tls(true), Limits::default());
    assert_eq!(status(&ours.ask(&place, Some(&ours.ca), "/healthz")), "200");
    assert_eq!(ours.ask(&place, None, "/healthz"), "");
    assert_eq!(ours.ask(&place, Some(&others.ca), "/healthz"), "");
}

#[test]
fn tls_that_nobody_could_use_is_refused() {
    let authority = Authority::new();
    let tls = TlsConfig {
        client_root_ca_files: Vec::new(),
        ..authority.tls(true)
    };
    let error = tls::server_config(&tls).unwrap_err().to_string();
    assert!(
        error.starts_with("clientAuthRequired needs clientRootCAs.files"),
        "{error}"
    );
    let tls = TlsConfig {
        client_root_ca_files: vec![authority.folder.path().join("key")],
        ..authority.tls(false)
    };
    // a file without certificates trusts nobody
    assert!(tls::server_config(&tls).unwrap().is_some());
}
