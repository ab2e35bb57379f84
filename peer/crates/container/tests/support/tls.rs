//! An authority with a certificate for an engine on this machine and one for its client.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up fails; clippy's exemption does not reach helper functions"
)]

use std::fs;
use std::sync::Arc;

use container::EngineTls;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

pub struct Material {
    folder: TempDir,
    root: CertificateDer<'static>,
    server: (CertificateDer<'static>, PrivateKeyDer<'static>),
}

impl Material {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let issue = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.signed_by(&key, &issuer).unwrap(), key)
        };
        let (server, server_key) = issue("localhost");
        let (client, client_key) = issue("client");
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, pem: String| fs::write(folder.path().join(name), pem).unwrap();
        write("ca.pem", root.pem());
        write("cert.pem", client.pem());
        write("key.pem", client_key.serialize_pem());
        Self {
            root: root.der().clone(),
            server: (
                server.der().clone(),
                PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
            ),
            folder,
        }
    }

    /// What an engine accepts connections with: only those of its own authority.
    pub fn acceptor(&self) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let clients = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![self.server.0.clone()], self.server.1.clone_key())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// What a peer connects with.
    pub fn files(&self) -> EngineTls {
        let file = |name: &str| self.folder.path().join(name);
        EngineTls {
            ca: file("ca.pem"),
            cert: file("cert.pem"),
            key: file("key.pem"),
        }
    }
}
