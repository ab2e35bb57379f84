//! The creator as the service sees it.

use pem::{EncodeConfig, LineEnding, Pem, encode_config};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Longest `id_bytes` that are looked at; certificates are a tenth of this.
const MAX_CREATOR: usize = 64 * 1024;
/// What need not be encoded in a URL.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const LABEL: &str = "CERTIFICATE";

/// A creator with an X.509 certificate.
pub(crate) struct Creator {
    /// The certificate's subject, such as `C=US, O=Org1, CN=alice`.
    pub(crate) subject: String,
    /// The certificate in PEM, percent-encoded, which is how Envoy sends one.
    pub(crate) certificate: String,
}

impl Creator {
    /// Reads `id_bytes`: the first PEM block, by the reader that the endorser uses, so that both see one certificate. It is
    /// written anew, so that one certificate is one text, whatever a client puts around it.
    pub(crate) fn from_pem(id_bytes: &[u8]) -> Option<Self> {
        if id_bytes.len() > MAX_CREATOR {
            return None;
        }
        let block = pem::parse(id_bytes).ok()?;
        let (_rest, parsed) = X509Certificate::from_der(block.contents()).ok()?;
        let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
        let text = encode_config(&Pem::new(LABEL, block.contents()), config);
        Some(Self {
            subject: parsed.subject().to_string(),
            certificate: utf8_percent_encode(&text, RESERVED).to_string(),
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
    fn what_stands_around_a_certificate_hides_nobody() {
        let (one, two) = (certificate("a"), certificate("b"));
        let seen = |id_bytes: &[u8]| {
            let creator = Creator::from_pem(id_bytes).unwrap();
            (creator.subject, creator.certificate)
        };
        let expected = seen(one.as_bytes());
        assert_eq!(expected.0, "O=Org1, CN=a");
        for same in [
            format!("{one}{two}").into_bytes(),
            format!("a\n{one}").into_bytes(),
            one.replacen("-----\n", "-----\nProc-Type: 4\n\n", 1).into_bytes(),
            one.replace('\n', "\r\n").into_bytes(),
            [b"\xff\n", one.as_bytes()].concat(),
        ] {
            assert_eq!(seen(&same), expected, "{}", String::from_utf8_lossy(&same));
        }
    }

    #[test]
    fn what_is_no_certificate_is_nobody() {
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for bad in ["", "x", garbage, &"x".repeat(MAX_CREATOR + 1)] {
            assert!(Creator::from_pem(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
