//! The creator as the service sees it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use x509_parser::pem::Pem;

/// Longest `id_bytes` that are looked at; certificates are a tenth of this.
const MAX_CREATOR: usize = 64 * 1024;
/// What need not be encoded in a URL.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A creator with an X.509 certificate.
pub(crate) struct Creator {
    /// The certificate's subject, such as `C=US, O=Org1, CN=alice`.
    pub(crate) subject: String,
    /// The certificate in PEM, percent-encoded, which is how Envoy sends one.
    pub(crate) certificate: String,
}

impl Creator {
    /// Reads `id_bytes`; `None` for what is not exactly one certificate in PEM. With anything around it, the service and
    /// the endorser might see two different certificates.
    pub(crate) fn from_pem(id_bytes: &[u8]) -> Option<Self> {
        if id_bytes.len() > MAX_CREATOR {
            return None;
        }
        let text = std::str::from_utf8(id_bytes).ok()?.trim_ascii();
        let body = text.strip_prefix(BEGIN)?.strip_suffix(END)?;
        if body.contains(['-', ':']) {
            return None;
        }
        let pem = Pem::iter_from_buffer(text.as_bytes()).next()?.ok()?;
        let parsed = pem.parse_x509().ok()?;
        Some(Self {
            subject: parsed.subject().to_string(),
            certificate: utf8_percent_encode(&format!("{text}\n"), RESERVED).to_string(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    /// A self-signed certificate.
    pub(crate) fn certificate(name: &str) -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Org1");
        params.distinguished_name.push(DnType::CommonName, name);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_certificate_is_named_and_encoded() {
        let pem = certificate("alice");
        let creator = Creator::from_pem(pem.as_bytes()).unwrap();
        assert_eq!(creator.subject, "O=Org1, CN=alice");
        assert!(
            creator.certificate.starts_with("-----BEGIN%20CERTIFICATE-----%0"),
            "{}",
            creator.certificate
        );
        let decoded = percent_encoding::percent_decode_str(&creator.certificate)
            .decode_utf8()
            .unwrap();
        assert_eq!(decoded.trim(), pem.trim());
    }

    #[test]
    fn anything_but_one_certificate_is_nobody() {
        let (one, two) = (certificate("a"), certificate("b"));
        let headed = one.replacen("-----\n", "-----\nProc-Type: 4\n\n", 1);
        let garbage = format!("{BEGIN}\nAAAA\n{END}\n");
        for bad in [
            "",
            "x",
            &format!("{one}{two}"),
            &format!("a\n{one}"),
            &headed,
            &garbage,
            &"x".repeat(MAX_CREATOR + 1),
        ] {
            assert!(Creator::from_pem(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
