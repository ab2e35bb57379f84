//! TLS of the operations server. It has nothing to do with the network's organisations: only the configured roots count.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use core_config::TlsConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// The only protocol; clients that offer more take it.
const PROTOCOL: &[u8] = b"http/1.1";

/// The settings; none where TLS is off. A certificate that a client shows is always checked, whether or not it has to
/// show one. Reads files.
///
/// # Errors
/// When a file cannot be read, or they do not fit together.
pub(super) fn server_config(tls: &TlsConfig) -> Result<Option<Arc<ServerConfig>>> {
    if !tls.enabled {
        return Ok(None);
    }
    let material = tls.load()?;
    let mut roots = RootCertStore::empty();
    for pem in tls.load_client_roots()? {
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots
                .add(certificate.context("error loading client root CAs")?)
                .context("error loading client root CAs")?;
        }
    }
    ensure!(
        !(tls.client_auth_required && roots.is_empty()),
        "clientAuthRequired needs clientRootCAs.files, or no client could connect"
    );
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = if roots.is_empty() {
        builder.with_no_client_auth()
    } else {
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        let verifier = if tls.client_auth_required {
            verifier
        } else {
            verifier.allow_unauthenticated()
        };
        builder.with_client_cert_verifier(verifier.build().context("error loading client root CAs")?)
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&material.certificate).collect();
    let key = PrivateKeyDer::from_pem_slice(&material.key).context("error loading TLS key")?;
    let mut config = builder
        .with_single_cert(chain.context("error loading TLS certificate")?, key)
        .context("TLS certificate and key do not fit")?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Some(Arc::new(config)))
}
