//! What the creator's certificate says.

use crate::config::Fact;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use std::collections::BTreeMap;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::{Oid, oid};
use x509_parser::prelude::FromDer;

/// Longest `id_bytes` that are looked at; certificates are a tenth of this.
const MAX_CREATOR: usize = 64 * 1024;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
/// Where Fabric CA puts an identity's attributes.
const ATTRIBUTES: Oid<'static> = oid!(1.2.3.4.5.6.7.8.1);
const ENROLLMENT_ID: &str = "hf.EnrollmentID";

/// Attributes as Fabric CA writes them.
#[derive(Deserialize)]
struct Attributes {
    attrs: BTreeMap<String, serde_json::Value>,
}

/// A creator's certificate, in DER.
pub(crate) struct Creator(Vec<u8>);

impl Creator {
    /// Reads `id_bytes`; `None` for what is not exactly one certificate in PEM.
    ///
    /// Stricter than Fabric, on purpose: with anything around the block, this reader and the endorser's might see two
    /// different certificates.
    pub(crate) fn from_pem(id_bytes: &[u8]) -> Option<Self> {
        if id_bytes.len() > MAX_CREATOR {
            return None;
        }
        let text = std::str::from_utf8(id_bytes).ok()?.trim_ascii();
        let body = text.strip_prefix(BEGIN)?.strip_suffix(END)?;
        if body.contains(['-', ':']) {
            return None;
        }
        let block = pem::parse(text).ok()?;
        let creator = Self(block.into_contents());
        creator.parsed().is_some().then_some(creator)
    }

    fn parsed(&self) -> Option<X509Certificate<'_>> {
        let (rest, parsed) = X509Certificate::from_der(&self.0).ok()?;
        rest.is_empty().then_some(parsed)
    }

    /// A fact that the certificate says by itself.
    pub(crate) fn fact(&self, fact: Fact) -> Option<String> {
        match fact {
            Fact::CommonName => self.common_name(),
            Fact::EnrollmentId => self.enrollment_id(),
            Fact::CertificateSha256 => Some(URL_SAFE_NO_PAD.encode(digest(&SHA256, &self.0))),
            Fact::MspId => None,
        }
    }

    /// The common name; `None` when there are several.
    fn common_name(&self) -> Option<String> {
        let parsed = self.parsed()?;
        let mut names = parsed.subject().iter_common_name();
        let name = names.next()?.as_str().ok()?.to_owned();
        names.next().is_none().then_some(name)
    }

    fn enrollment_id(&self) -> Option<String> {
        let parsed = self.parsed()?;
        let extension = parsed.get_extension_unique(&ATTRIBUTES).ok()??;
        let attributes: Attributes = serde_json::from_slice(extension.value).ok()?;
        let id = attributes.attrs.get(ENROLLMENT_ID)?.as_str()?;
        Some(id.to_owned())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair};

    /// A self-signed certificate as Fabric CA would make it.
    pub(crate) fn certificate(names: &[&str], attributes: Option<&str>) -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        // a map: the second name needs another key, which is written the same
        let keys = [DnType::CommonName, DnType::CustomDnType(vec![2, 5, 4, 3])];
        for (key, name) in keys.into_iter().zip(names) {
            params.distinguished_name.push(key, *name);
        }
        params.custom_extensions = attributes
            .map(|json| {
                CustomExtension::from_oid_content(&[1, 2, 3, 4, 5, 6, 7, 8, 1], json.as_bytes().to_vec())
            })
            .into_iter()
            .collect();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_certificate_of_fabric_ca_says_who_it_is_for() {
        let json = r#"{"attrs":{"hf.Affiliation":"","hf.EnrollmentID":"alice","hf.Type":"client"}}"#;
        let creator = Creator::from_pem(certificate(&["Alice"], Some(json)).as_bytes()).unwrap();
        assert_eq!(creator.fact(Fact::CommonName).as_deref(), Some("Alice"));
        assert_eq!(creator.fact(Fact::EnrollmentId).as_deref(), Some("alice"));
        let thumbprint = creator.fact(Fact::CertificateSha256).unwrap();
        assert_eq!(thumbprint.len(), 43, "256 bits in base64url, unpadded");
        assert_eq!(creator.fact(Fact::MspId), None);
    }

    #[test]
    fn what_a_certificate_does_not_say_clearly_it_does_not_say() {
        let two = Creator::from_pem(certificate(&["a", "b"], None).as_bytes()).unwrap();
        assert_eq!(two.parsed().unwrap().subject().iter_common_name().count(), 2);
        assert_eq!(two.fact(Fact::CommonName), None, "which of the two?");
        let nameless = Creator::from_pem(certificate(&[], None).as_bytes()).unwrap();
        assert_eq!(nameless.fact(Fact::CommonName), None);
        assert_eq!(nameless.fact(Fact::EnrollmentId), None);
        for json in ["", "{}", "[]", r#"{"attrs":{"hf.EnrollmentID":7}}"#] {
            let creator = Creator::from_pem(certificate(&["a"], Some(json)).as_bytes()).unwrap();
            assert_eq!(creator.fact(Fact::EnrollmentId), None, "{json}");
        }
    }

    #[test]
    fn anything_but_one_certificate_is_none() {
        let (one, two) = (certificate(&["a"], None), certificate(&["b"], None));
        assert!(Creator::from_pem(format!("\n{one}\n ").as_bytes()).is_some());
        let headed = one.replacen("-----\n", "-----\nProc-Type: 4\n\n", 1);
        let key = one.replace("CERTIFICATE", "PUBLIC KEY");
        for bad in [
            String::new(),
            "garbage".to_owned(),
            format!("{one}{two}"),
            format!("-----BEGIN X-----\n{one}"),
            format!("note\n{one}"),
            format!("{one}note"),
            format!("{BEGIN}\nAAAA\n{END}\n"),
            headed,
            key,
            "x".repeat(MAX_CREATOR + 1),
        ] {
            assert!(Creator::from_pem(bad.as_bytes()).is_none(), "{bad}");
        }
        let der = pem::parse(&one).unwrap().into_contents();
        let trailing = pem::encode(&pem::Pem::new("CERTIFICATE", [der, vec![0]].concat()));
        assert!(Creator::from_pem(trailing.as_bytes()).is_none());
    }
}
