use time::OffsetDateTime;
use x509_parser::prelude::{
    CertificateRevocationList, FromDer, GeneralName, ParsedExtension, X509Certificate,
};

use super::{CertificateAuthority, CertificateSpec};
use crate::{Curve, Subject, Validity, key::has_low_s};

fn root(curve: Curve) -> CertificateAuthority {
    let subject = Subject::named("ca.example.com").of_organization("example.com");
    CertificateAuthority::new(&subject, Validity::from_now(), curve).unwrap()
}

fn parse(der: &[u8]) -> X509Certificate<'_> {
    X509Certificate::from_der(der).unwrap().1
}

fn key_ids(certificate: &X509Certificate<'_>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let mut ids = (None, None);
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => ids.0 = Some(id.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                ids.1 = id.key_identifier.as_ref().map(|id| id.0.to_vec());
            }
            _ => {}
        }
    }
    ids
}

#[test]
fn a_root_is_like_cryptogens() {
    let ca = root(Curve::P256);
    let certificate = parse(ca.certificate_der());
    assert_eq!(
        certificate.subject().to_string(),
        "C=US, ST=California, L=San Francisco, O=example.com, CN=ca.example.com"
    );
    assert!(certificate.is_ca() && certificate.subject() == certificate.issuer());
    certificate.verify_signature(None).unwrap();
    assert_eq!(key_ids(&certificate).0, Some(ca.key().subject_key_id()));
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.key_cert_sign() && usage.crl_sign() && usage.digital_signature());
}

#[test]
fn certificates_chain_with_low_s_on_both_curves() {
    for curve in [Curve::P256, Curve::P384] {
        let ca = root(curve);
        let below = ca
            .intermediate(&Subject::named("ica"), Validity::from_now(), Curve::P256)
            .unwrap();
        let mut spec = CertificateSpec::signing(Subject::named("Admin@example.com").in_unit("admin"));
        spec.curve = curve;
        let admin = below.issue(&spec).unwrap();
        let (ca_cert, below_cert, leaf) = (
            parse(ca.certificate_der()),
            parse(below.certificate_der()),
            parse(admin.certificate_der()),
        );
        below_cert.verify_signature(Some(ca_cert.public_key())).unwrap();
        leaf.verify_signature(Some(below_cert.public_key())).unwrap();
        assert!(has_low_s(&below_cert.signature_value.data, curve));
        assert!(has_low_s(&leaf.signature_value.data, Curve::P256));
        assert_eq!(key_ids(&below_cert).1, key_ids(&ca_cert).0);
        assert_eq!(key_ids(&leaf).1, key_ids(&below_cert).0);
        assert!(below_cert.is_ca() && !leaf.is_ca());
        assert_eq!(leaf.raw_serial(), admin.serial());
        assert_eq!(
            leaf.subject().to_string(),
            "C=US, ST=California, L=San Francisco, OU=admin, CN=Admin@example.com"
        );
    }
}

#[test]
fn tls_certificates_name_hosts_and_addresses() {
    let names = ["peer0.example.com", "localhost", "127.0.0.1", "::1"];
    let certificate = root(Curve::P256)
        .issue(&CertificateSpec::tls(Subject::named("peer0"), names))
        .unwrap();
    let certificate = parse(certificate.certificate_der());
    let found: Vec<String> = certificate
        .subject_alternative_name()
        .unwrap()
        .unwrap()
        .value
        .general_names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(host) => (*host).to_owned(),
            GeneralName::IPAddress(bytes) => format!("{} bytes", bytes.len()),
            other => panic!("unexpected {other:?}"),
        })
        .collect();
    assert_eq!(found, ["peer0.example.com", "localhost", "4 bytes", "16 bytes"]);
    let extended = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.server_auth && extended.client_auth);
}

#[test]
fn certificates_expire_and_are_revoked() {
    let ca = root(Curve::P256);
    let mut spec = CertificateSpec::signing(Subject::named("user").in_unit("client"));
    spec.validity = Validity::expired();
    let user = ca.issue(&spec).unwrap();
    assert!(!parse(user.certificate_der()).validity().is_valid());
    assert!(parse(ca.certificate_der()).validity().is_valid());

    let list = ca
        .revocation_list([user.serial()], OffsetDateTime::now_utc())
        .unwrap();
    let der = pem::parse(list).unwrap();
    assert_eq!(der.tag(), "X509 CRL");
    let (_, list) = CertificateRevocationList::from_der(der.contents()).unwrap();
    list.verify_signature(parse(ca.certificate_der()).public_key())
        .unwrap();
    assert!(has_low_s(&list.signature_value.data, Curve::P256));
    let serials: Vec<_> = list
        .iter_revoked_certificates()
        .map(|revoked| revoked.raw_serial().to_vec())
        .collect();
    assert_eq!(serials, [user.serial().to_vec()]);
}
