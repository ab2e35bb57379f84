//! TLS of a listener for clients. With mutual TLS it trusts the configured roots and the TLS CAs of the organisations
//! of all joined channels, as the channels' configurations have them at the moment of the handshake.

use std::io;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use channel::Channels;
use channelconfig::Bundle;
use core_config::TlsMaterial;
use parking_lot::Mutex;
use protos::wire_message;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// HTTP/2 is all there is.
const PROTOCOL: &[u8] = b"h2";

/// Whose certificates clients must show.
pub(super) enum ClientAuth {
    /// Clients need not show one.
    None,
    /// One that the configured roots vouch for.
    Configured,
    /// One that the configured roots or the organisations of these channels vouch for.
    Channels(Arc<Channels>),
}

/// The TLS settings of one listener.
pub(super) struct ListenerTls {
    material: TlsMaterial,
    clients: ClientAuth,
    built: Mutex<Built>,
}

/// The settings in force, and the configurations that they were made from.
struct Built {
    bundles: Vec<Arc<Bundle>>,
    /// None as long as nobody could be trusted.
    config: Option<Arc<ServerConfig>>,
}

impl ListenerTls {
    /// Settings from the listener's files.
    ///
    /// # Errors
    /// When they do not fit together.
    pub(super) fn new(material: TlsMaterial, clients: ClientAuth) -> Result<Self> {
        let built = Mutex::new(Built {
            bundles: Vec::new(),
            config: None,
        });
        let tls = Self {
            material,
            clients,
            built,
        };
        let bundles = tls.bundles();
        *tls.built.lock() = Built {
            config: tls.build(&bundles)?,
            bundles,
        };
        Ok(tls)
    }

    /// The settings for the next handshake.
    ///
    /// # Errors
    /// When no client could be trusted.
    pub(super) fn config(&self) -> io::Result<Arc<ServerConfig>> {
        let bundles = self.bundles();
        let mut built = self.built.lock();
        let same = bundles.len() == built.bundles.len()
            && bundles
                .iter()
                .zip(&built.bundles)
                .all(|(one, other)| Arc::ptr_eq(one, other));
        if !same {
            match self.build(&bundles) {
                Ok(config) => built.config = config,
                Err(error) => tracing::error!(
                    error = wire_message(&*error),
                    "the trusted roots for clients could not be updated"
                ),
            }
            built.bundles = bundles;
        }
        let config = built.config.clone();
        config.ok_or_else(|| io::Error::other("there are no roots for the certificates of clients"))
    }

    fn bundles(&self) -> Vec<Arc<Bundle>> {
        let ClientAuth::Channels(channels) = &self.clients else {
            return Vec::new();
        };
        let joined = channels.subscribe_joined();
        let joined = joined.borrow();
        joined.values().map(|channel| channel.bundle()).collect()
    }

    fn build(&self, bundles: &[Arc<Bundle>]) -> Result<Option<Arc<ServerConfig>>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match &self.clients {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Configured | ClientAuth::Channels(_) => {
                let roots = self.roots(bundles);
                if roots.is_empty() {
                    tracing::warn!("there are no roots for the certificates of clients, so none can connect");
                    return Ok(None);
                }
                builder.with_client_cert_verifier(verifier(roots, provider)?)
            }
        };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.material.certificate).collect();
        let key = PrivateKeyDer::from_pem_slice(&self.material.key).context("error loading TLS key")?;
        let mut config = builder
            .with_single_cert(chain.context("error loading TLS certificate")?, key)
            .context("TLS certificate and key do not fit")?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Some(Arc::new(config)))
    }

    fn roots(&self, bundles: &[Arc<Bundle>]) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let configured = self.material.client_root_cas.iter().cloned().map(Bytes::from);
        // as in Fabric: the peer's own root comes with the channels'
        let own = self
            .material
            .root_certificate
            .iter()
            .filter(|_| !bundles.is_empty());
        let own = own.cloned().map(Bytes::from);
        let channels = bundles.iter().flat_map(|bundle| application_cas(bundle));
        for pem in configured.chain(own).chain(channels) {
            let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
            let (_, unusable) = roots.add_parsable_certificates(certificates);
            if unusable > 0 {
                tracing::warn!(unusable, "TLS roots for clients cannot be used");
            }
        }
        roots
    }
}

/// The TLS CAs of the application organisations.
fn application_cas(bundle: &Bundle) -> Vec<Bytes> {
    let organizations = bundle
        .application()
        .map(|application| application.organizations.values());
    let msps = organizations
        .into_iter()
        .flatten()
        .map(|organization| &organization.msp);
    msps.flat_map(|msp| msp.tls_root_certs().iter().chain(msp.tls_intermediate_certs()))
        .cloned()
        .collect()
}

fn verifier(
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn tokio_rustls::rustls::server::danger::ClientCertVerifier>> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
    verifier.context("error loading client root CAs")
}
