//! Who a certificate says that its owner is.

use quick_cache::unsync::Cache;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

/// How many certificates are remembered.
const REMEMBERED: usize = 1024;
/// Longest `id_bytes` that are kept until a record is written; real ones have one or two thousand bytes.
const MAX_PEM: usize = 16 * 1024;

/// What is recorded of a certificate; nothing when there is none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Creator {
    pub(crate) subject: Option<String>,
    /// Of the DER, in hex.
    pub(crate) sha256: Option<String>,
}

/// Certificates that were seen.
pub(crate) struct Creators(Cache<Vec<u8>, Arc<Creator>>);

impl Creators {
    pub(crate) fn new() -> Self {
        Self(Cache::new(REMEMBERED))
    }

    pub(crate) fn of(&mut self, id_bytes: &[u8]) -> Arc<Creator> {
        if let Some(known) = self.0.get(id_bytes) {
            return Arc::clone(known);
        }
        let creator = Arc::new(parse(id_bytes));
        self.0.insert(id_bytes.to_vec(), Arc::clone(&creator));
        creator
    }
}

/// What of `id_bytes` tells who it is: the endorser takes a certificate with anything before and after it, and who makes
/// that long must not stay unnamed.
pub(crate) fn without_padding(id_bytes: &[u8]) -> Vec<u8> {
    if id_bytes.len() <= MAX_PEM {
        return id_bytes.to_vec();
    }
    let block = pem::parse(id_bytes).ok();
    let certificate = block.filter(|block| block.contents().len() <= MAX_PEM / 2);
    certificate.map_or_else(Vec::new, |block| pem::encode(&block).into_bytes())
}

fn parse(id_bytes: &[u8]) -> Creator {
    let Ok(block) = pem::parse(id_bytes) else {
        return Creator::default();
    };
    let subject = X509Certificate::from_der(block.contents())
        .ok()
        .map(|(_rest, certificate)| certificate.subject().to_string());
    Creator {
        subject,
        sha256: Some(hex::encode(Sha256::digest(block.contents()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_unnamed_by_what_stands_around_a_certificate() {
        let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let (pem, padding) = (certificate.pem(), "x".repeat(MAX_PEM));
        assert_eq!(without_padding(pem.as_bytes()), pem.as_bytes());
        let expected = parse(pem.as_bytes());
        for long in [format!("{pem}{padding}"), format!("{padding}\n{pem}")] {
            let kept = without_padding(long.as_bytes());
            assert!(kept.len() <= MAX_PEM);
            assert_eq!(parse(&kept), expected);
        }
        assert_eq!(without_padding(padding.repeat(2).as_bytes()), b"");
    }

    #[test]
    fn a_certificate_has_a_subject_and_others_have_what_they_have() {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "alice");
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let mut creators = Creators::new();
        let first = creators.of(certificate.pem().as_bytes());
        assert!(first.subject.as_deref().unwrap().contains("CN=alice"));
        let digest = hex::encode(Sha256::digest(certificate.der()));
        assert_eq!(first.sha256, Some(digest));
        assert!(Arc::ptr_eq(&first, &creators.of(certificate.pem().as_bytes())));
        let odd = creators.of(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(odd.subject.is_none() && odd.sha256.is_some());
        assert_eq!(*creators.of(b"garbage"), Creator::default());
    }
}
