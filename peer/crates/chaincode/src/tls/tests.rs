//! The CA's certificates and the binding of a certificate to one chaincode.

use bytes::Bytes;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::GeneralName;

use super::*;

fn register(name: &str) -> ChaincodeMessage {
    let id = ChaincodeId {
        name: name.into(),
        ..Default::default()
    };
    ChaincodeMessage {
        r#type: Type::Register.into(),
        payload: id.encode_to_vec().into(),
        ..Default::default()
    }
}

fn hash(files: &TlsFiles) -> CertificateHash {
    let (_, pem) = parse_x509_pem(&files.client_cert_pem).unwrap();
    protos::sha256(&[&pem.contents])
}

fn verifies(certificate: &[u8], authority: &TlsAuthority) -> bool {
    let (_, certificate) = parse_x509_pem(certificate).unwrap();
    let ca = authority.ca_pem();
    let (_, ca) = parse_x509_pem(ca.as_bytes()).unwrap();
    let (certificate, ca) = (certificate.parse_x509().unwrap(), ca.parse_x509().unwrap());
    assert!(certificate.validity().is_valid());
    certificate.verify_signature(Some(ca.public_key())).is_ok()
}

fn names(authority: &TlsAuthority) -> Vec<String> {
    let (_, pem) = parse_x509_pem(authority.server_cert_pem().as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    let names = certificate.subject_alternative_name().unwrap().unwrap();
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => hex::encode(bytes),
        other => panic!("{other:?}"),
    };
    names.value.general_names.iter().map(name).collect()
}

#[test]
fn client_certificates_verify_against_their_own_ca_only() {
    let one = TlsAuthority::new("127.0.0.1:7052").unwrap();
    let other = TlsAuthority::new("127.0.0.1:7052").unwrap();
    let files = one.issue("mycc:1.0").unwrap();
    assert!(verifies(&files.client_cert_pem, &one));
    assert!(!verifies(&files.client_cert_pem, &other));
    assert!(verifies(one.server_cert_pem().as_bytes(), &one));
    assert_eq!(files.root_cert_pem, one.ca_pem().into_bytes());
}

#[test]
fn the_server_certificate_names_the_host_of_the_address() {
    let of = |address: &str| names(&TlsAuthority::new(address).unwrap());
    assert_eq!(of("peer0.org1.example.com:7052"), ["peer0.org1.example.com"]);
    assert_eq!(of("127.0.0.1:7052"), ["7f000001"]);
    assert_eq!(of("[::1]:7052"), ["00000000000000000000000000000001"]);
    assert_eq!(of("localhost"), ["localhost"]);
}

#[test]
fn a_certificate_lets_only_its_own_chaincode_register() {
    let authority = TlsAuthority::new("127.0.0.1:7052").unwrap();
    let certificate = Some(hash(&authority.issue("mycc:1.0").unwrap()));
    assert_eq!(authority.authenticate(&register("mycc:1.0"), certificate), Ok(()));
    let text = |message: &ChaincodeMessage, certificate| {
        authority
            .authenticate(message, certificate)
            .unwrap_err()
            .to_string()
    };
    let other = text(&register("other:1.0"), certificate);
    assert!(other.starts_with("Chaincode other:1.0 with given certificate hash "));
    assert!(other.ends_with(" belongs to a different chaincode"));
    assert!(text(&register("mycc:1.0"), Some([7; 32])).ends_with(" not found in registry"));
    assert_eq!(
        text(&register("mycc:1.0"), None),
        "TLS is active but chaincode mycc:1.0 didn't send certificate"
    );
    let mut message = register("mycc:1.0");
    message.r#type = Type::Completed.into();
    assert_eq!(
        text(&message, certificate),
        "First message needs to be a register"
    );
    let mut message = register("mycc:1.0");
    message.payload = Bytes::from_static(&[0xff]);
    assert_eq!(text(&message, certificate), "failed unmarshaling REGISTER");
}

#[tokio::test(start_paused = true)]
async fn an_unused_certificate_expires() {
    let authority = TlsAuthority::new("127.0.0.1:7052").unwrap();
    let certificate = Some(hash(&authority.issue("mycc:1.0").unwrap()));
    tokio::time::advance(REGISTRATION_TTL - Duration::from_secs(1)).await;
    assert_eq!(authority.authenticate(&register("mycc:1.0"), certificate), Ok(()));
    tokio::time::advance(Duration::from_secs(2)).await;
    let error = authority
        .authenticate(&register("mycc:1.0"), certificate)
        .unwrap_err();
    assert!(error.to_string().ends_with(" not found in registry"));
}
