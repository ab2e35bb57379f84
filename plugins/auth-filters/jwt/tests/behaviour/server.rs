//! A server of keys that does what a test wants.

use bytes::Bytes;
use rcgen::{CertificateParams, KeyPair};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// What the server says.
#[derive(Clone)]
pub enum Answer {
    /// A set of keys.
    Keys(String),
    /// This status and headers.
    Status(&'static str),
    /// More than anybody wants to read.
    Endless,
    /// Nothing, for a long time.
    Silence,
    /// Keys, after a while.
    Late(Duration, String),
    /// The connection ends.
    HangUp,
}

/// A server on this machine.
pub struct KeyServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its certificate, when it speaks TLS.
    pub certificate: Option<String>,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Mutex<Answer>,
    asked: AtomicUsize,
}

impl KeyServer {
    /// Starts without TLS.
    pub async fn http(answer: Answer) -> Self {
        Self::start(answer, None).await
    }

    /// Starts with a self-signed certificate for `localhost`.
    pub async fn https(answer: Answer) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(
            tokio_rustls::rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
        let mut server = Self::start(answer, Some(TlsAcceptor::from(Arc::new(config)))).await;
        server.certificate = Some(certificate.pem());
        server
    }

    async fn start(answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answer: Mutex::new(answer),
            asked: AtomicUsize::new(0),
        });
        let of_server = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (shared, tls) = (Arc::clone(&of_server), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer_on(connection, &shared).await,
                        Some(tls) => match tls.accept(connection).await {
                            Ok(connection) => answer_on(connection, &shared).await,
                            Err(_refused) => {}
                        },
                    }
                });
            }
        });
        Self {
            address,
            certificate: None,
            shared,
        }
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Says something else from now on.
    pub fn says(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// Its URL.
    pub fn url(&self) -> String {
        match self.certificate {
            Some(_) => format!("https://localhost:{}/keys", self.address.port()),
            None => format!("http://{}/keys", self.address),
        }
    }
}

async fn answer_on(mut connection: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(byte) = connection.read_u8().await else {
            return;
        };
        request.push(byte);
    }
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let answer = shared.answer.lock().unwrap().clone();
    let keys = |keys: &str| {
        Bytes::from(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{keys}",
            keys.len()
        ))
    };
    let bytes = match answer {
        Answer::Keys(set) => keys(&set),
        Answer::Status(status) => Bytes::from(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")),
        Answer::Late(by, set) => {
            tokio::time::sleep(by).await;
            keys(&set)
        }
        Answer::Silence => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return;
        }
        Answer::HangUp => return,
        Answer::Endless => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
            let mut alive = connection.write_all(head.as_bytes()).await;
            while alive.is_ok() {
                alive = connection.write_all(&[b' '; 4096]).await;
            }
            return;
        }
    };
    // the client may have gone, which is its business
    drop(connection.write_all(&bytes).await);
    drop(connection.shutdown().await);
}
