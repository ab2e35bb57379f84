//! What a creator's certificate says.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use x509_parser::der_parser::oid;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Longest certificate that is looked at, in bytes of PEM; real ones have one or two thousand.
const MAX_PEM: usize = 64 * 1024;

/// The parts of a certificate that policies see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Creator {
    /// Of the DER, in hex.
    pub(crate) sha256: String,
    pub(crate) common_name: String,
    pub(crate) organizational_units: Vec<String>,
    /// Common name of the issuer.
    pub(crate) issuer: String,
    /// What Fabric CA has put into the certificate.
    pub(crate) attributes: BTreeMap<String, String>,
}

/// Value of Fabric CA's extension.
#[derive(Deserialize)]
struct Attributes {
    attrs: BTreeMap<String, String>,
}

/// Reads a creator's `id_bytes`: the first PEM block, as the endorser takes it, so that both see one certificate.
pub(crate) fn parse(id_bytes: &[u8]) -> Result<Creator, String> {
    if id_bytes.is_empty() {
        return Err("there is none".to_owned());
    }
    if id_bytes.len() > MAX_PEM {
        return Err(format!("it is longer than {MAX_PEM} bytes"));
    }
    let block = pem::parse(id_bytes).map_err(|error| format!("it is no PEM: {error}"))?;
    let (rest, certificate) = X509Certificate::from_der(block.contents())
        .map_err(|error| format!("it is no X.509 certificate: {error}"))?;
    if !rest.is_empty() {
        return Err("something follows the certificate".to_owned());
    }
    Ok(Creator {
        sha256: hex::encode(Sha256::digest(block.contents())),
        common_name: common_name(certificate.subject())?,
        organizational_units: certificate
            .subject()
            .iter_organizational_unit()
            .map(text)
            .collect::<Result<_, _>>()?,
        issuer: common_name(certificate.issuer())?,
        attributes: attributes(&certificate)?,
    })
}

/// The last one, as Go's `pkix.Name` has it; empty without one.
fn common_name(name: &X509Name<'_>) -> Result<String, String> {
    name.iter_common_name()
        .last()
        .map_or_else(|| Ok(String::new()), text)
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> Result<String, String> {
    let text = attribute.as_str();
    text.map(str::to_owned)
        .map_err(|error| format!("a name in it is no text: {error}"))
}

fn attributes(certificate: &X509Certificate<'_>) -> Result<BTreeMap<String, String>, String> {
    let fabric_ca = oid!(1.2.3.4.5.6.7.8.1);
    let extension = certificate
        .get_extension_unique(&fabric_ca)
        .map_err(|_several| "it has Fabric CA's attributes twice".to_owned())?;
    let Some(extension) = extension else {
        return Ok(BTreeMap::new());
    };
    let attributes: Attributes = serde_json::from_slice(extension.value)
        .map_err(|error| format!("Fabric CA's attributes in it cannot be read: {error}"))?;
    Ok(attributes.attrs)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair};

    const FABRIC_CA: [u64; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 1];

    pub(crate) fn certificate(common_name: &str, unit: &str, extensions: &[&str]) -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params
            .distinguished_name
            .push(DnType::OrganizationalUnitName, unit);
        params.custom_extensions = extensions
            .iter()
            .map(|json| CustomExtension::from_oid_content(&FABRIC_CA, json.as_bytes().to_vec()))
            .collect();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn a_certificate_says_its_names_and_attributes() {
        let json = r#"{"attrs": {"hf.Affiliation": "org1.sales", "department": "sales"}, "more": 1}"#;
        let pem = certificate("alice", "client", &[json]);
        let creator = parse(pem.as_bytes()).unwrap();
        assert_eq!(creator.common_name, "alice");
        assert_eq!(creator.organizational_units, ["client"]);
        assert_eq!(creator.issuer, "alice", "it has signed itself");
        assert_eq!(creator.attributes["department"], "sales");
        assert_eq!(creator.attributes.len(), 2);
        assert_eq!(creator.sha256.len(), 64);
        // what follows the first block is not looked at, by the endorser neither
        let second = certificate("admin", "admin", &[]);
        assert_eq!(parse(format!("{pem}{second}").as_bytes()).unwrap(), creator);
        let plain = parse(second.as_bytes()).unwrap();
        assert!(plain.attributes.is_empty());
    }

    #[test]
    fn what_cannot_be_read_has_a_reason() {
        let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let long = "x".repeat(MAX_PEM + 1);
        for (id_bytes, text) in [
            ("", "there is none"),
            ("garbage", "it is no PEM: "),
            (not_x509, "it is no X.509 certificate: "),
            (&long, "it is longer than 65536 bytes"),
        ] {
            let reason = parse(id_bytes.as_bytes()).unwrap_err();
            assert!(reason.starts_with(text), "{reason}");
        }
        let twice = certificate("a", "b", &[r#"{"attrs": {}}"#, r#"{"attrs": {"role": "admin"}}"#]);
        assert_eq!(
            parse(twice.as_bytes()).unwrap_err(),
            "it has Fabric CA's attributes twice"
        );
        for json in ["", "{}", r#"{"attrs": {"a": 1}}"#, r#"{"attrs": []}"#, "[["] {
            let pem = certificate("a", "b", &[json]);
            let reason = parse(pem.as_bytes()).unwrap_err();
            assert!(
                reason.starts_with("Fabric CA's attributes in it cannot be read: "),
                "{reason}"
            );
        }
    }
}
