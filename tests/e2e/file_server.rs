//! A server of files, over HTTP or TLS, that may want a login and remembers what it was asked.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A running server; it ends with the test's process.
pub struct FileServer {
    pub url: String,
    /// The authority of its certificate, as PEM; empty without TLS.
    pub ca: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// One request that was answered.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub status: u16,
}

/// What is served, and to whom.
struct Served {
    folder: PathBuf,
    /// The value of the header that everybody must show.
    login: Option<String>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FileServer {
    /// Serves a folder; `login` is the user and the password that it wants.
    pub fn start(folder: &Path, login: Option<(&str, &str)>, tls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let login = login.map(|(user, password)| {
            let pair = STANDARD.encode(format!("{user}:{password}"));
            format!("Basic {pair}")
        });
        let served = Arc::new(Served {
            folder: folder.to_owned(),
            login,
            asked: Arc::clone(&asked),
        });
        let (ca, config) = match tls {
            true => certificate(),
            false => (String::new(), None),
        };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, served, config) = (stream.unwrap(), Arc::clone(&served), config.clone());
                thread::spawn(move || served.connection(stream, config));
            }
        });
        let scheme = if tls { "https" } else { "http" };
        Self {
            url: format!("{scheme}://{address}/"),
            ca,
            asked,
        }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Whether a file with such an end was given out.
    pub fn gave(&self, end: &str) -> bool {
        let asked = self.asked();
        asked
            .iter()
            .any(|asked| asked.status == 200 && asked.path.ends_with(end))
    }
}

fn certificate() -> (String, Option<Arc<ServerConfig>>) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (made.cert.pem(), Some(Arc::new(config)))
}

impl Served {
    fn connection(&self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) {
        match tls {
            None => self.answer(stream),
            Some(config) => {
                let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                self.answer(&mut stream);
                stream.conn.send_close_notify();
                stream.flush().ok();
            }
        }
    }

    /// One request; whoever wants more connects again.
    fn answer(&self, stream: impl Read + Write) {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or_default() == 0 {
                return;
            }
        }
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let header = |wanted: &str| {
            head.lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.to_owned())
        };
        let (status, body) = match fs::read(self.folder.join(path.trim_start_matches('/'))) {
            _ if self.login.is_some() && header("authorization") != self.login => (401, Vec::new()),
            Ok(content) => (200, content),
            Err(_none) => (404, Vec::new()),
        };
        self.asked.lock().unwrap().push(Asked {
            path: path.to_owned(),
            status,
        });
        let head = format!(
            "HTTP/1.1 {status} X\r\nwww-authenticate: Basic realm=\"files\"\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        let stream = reader.get_mut();
        stream.write_all(head.as_bytes()).ok();
        if method != "HEAD" {
            stream.write_all(&body).ok();
        }
        stream.flush().ok();
    }
}
