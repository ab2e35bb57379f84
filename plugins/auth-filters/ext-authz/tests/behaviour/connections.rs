//! Ways to the service, and services that come and go.

use crate::harness::{UNAVAILABLE, filter};
use crate::service::{Answer, Authorization, yes};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

#[tokio::test]
async fn a_service_may_start_late_end_and_come_back() {
    // bound and not listening: the port is nobody else's while the service is away
    let port = TcpSocket::new_v4().unwrap();
    port.set_reuseaddr(true).unwrap();
    port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = port.local_addr().unwrap();
    let filter = filter(&format!("http://{address}"), json!({}));
    assert_eq!(
        filter.refusal().await,
        (
            UNAVAILABLE,
            "the authorization service is not available".to_owned()
        )
    );
    for _ in 0..3 {
        let service = Authorization::start_at(address, Answer::Says(yes()), None).await;
        filter.will_pass().await;
        for _ in 0..10 {
            filter.ask().await.unwrap();
        }
        service.stop().await;
        assert_eq!(filter.refusal().await.0, UNAVAILABLE);
    }
}

#[tokio::test]
async fn a_socket_in_the_file_system_is_a_way() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("opa.sock");
    let filter = filter(&format!("unix://{}", socket.display()), json!({}));
    assert_eq!(filter.refusal().await.0, UNAVAILABLE);
    let _service = Authorization::start_unix(&socket, Answer::Says(yes()));
    filter.will_pass().await;
}

/// A CA with a server and a client, in files.
struct Pki {
    folder: TempDir,
    server: Identity,
    ca: String,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let issue = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(vec![name.to_owned()])
                .unwrap()
                .signed_by(&key, &ca)
                .unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = issue("client");
        for (name, content) in [
            ("ca.pem", ca.pem()),
            ("client.pem", certificate),
            ("client.key", key),
        ] {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let (certificate, key) = issue("authz.example.com");
        Self {
            folder,
            server: Identity::from_pem(certificate, key),
            ca: ca.pem(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[tokio::test]
async fn both_sides_of_a_tls_connection_are_verified() {
    let (pki, other) = (Pki::new(), Pki::new());
    let tls = ServerTlsConfig::new()
        .identity(pki.server.clone())
        .client_ca_root(Certificate::from_pem(&pki.ca));
    let service =
        Authorization::start_at("127.0.0.1:0".parse().unwrap(), Answer::Says(yes()), Some(tls)).await;
    let url = format!("https://{}", service.address.unwrap());
    let with = |own: &Pki, ca: &Pki, name: &str| {
        filter(
            &url,
            json!({"tls": {
                "caFile": ca.file("ca.pem"), "certFile": own.file("client.pem"), "keyFile": own.file("client.key"), "serverName": name
            }}),
        )
    };
    with(&pki, &pki, "authz.example.com").ask().await.unwrap();
    for wrong in [
        with(&pki, &other, "authz.example.com"),
        with(&other, &pki, "authz.example.com"),
        with(&pki, &pki, "other.example.com"),
        filter(
            &url,
            json!({"tls": {"caFile": pki.file("ca.pem"), "serverName": "authz.example.com"}}),
        ),
        filter(&url.replace("https", "http"), json!({})),
    ] {
        assert_eq!(wrong.refusal().await.0, UNAVAILABLE);
    }
    assert_eq!(service.asked().len(), 1);
}
