//! Tokens and the creators they belong to.

use crate::harness::{DENIED, Filter, config, load, with_header};
use crate::issuer::{Signer, claims, jwks};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use handlers::{ParsedRequest, Rejection};
use jsonwebtoken::Algorithm;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Creator {
    msp_id: &'static str,
    pem: String,
    thumbprint: String,
}

fn creator(msp_id: &'static str, name: &str, enrollment_id: &str) -> Creator {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let attributes = json!({"attrs": {"hf.EnrollmentID": enrollment_id}}).to_string();
    params.custom_extensions = vec![CustomExtension::from_oid_content(
        &[1, 2, 3, 4, 5, 6, 7, 8, 1],
        attributes.into_bytes(),
    )];
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    Creator {
        msp_id,
        pem: certificate.pem(),
        thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate.der())),
    }
}

struct Fixture {
    filter: Filter,
    signer: Signer,
    _folder: TempDir,
}

impl Fixture {
    fn new(bind: Value) -> Self {
        let signer = Signer::new("k", Algorithm::ES256);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jwks.json");
        std::fs::write(&file, jwks([&signer])).unwrap();
        let filter = load(config(json!({ "file": file }), json!({ "bind": bind }))).unwrap();
        Self {
            filter,
            signer,
            _folder: folder,
        }
    }

    async fn send(&self, creator: &Creator, more: Value) -> Result<(), Rejection> {
        let token = self.signer.token(&claims(more));
        let request = ParsedRequest {
            msp_id: creator.msp_id.to_owned(),
            creator_cert: Bytes::from(creator.pem.clone()),
            ..with_header("authorization", &format!("Bearer {token}"))
        };
        self.filter.send(request).await.map(|_seen| ())
    }

    async fn denied(&self, creator: &Creator, more: Value, says: &str) {
        let rejection = self.send(creator, more).await.unwrap_err();
        assert_eq!((rejection.code, rejection.message.as_str()), (DENIED, says));
    }
}

#[tokio::test]
async fn a_stolen_token_does_not_pass_with_the_thiefs_proposal() {
    let fixture =
        Fixture::new(json!([{"claim": "sub", "to": "enrollmentId"}, {"claim": "mspid", "to": "mspId"}]));
    let token = json!({"sub": "alice", "mspid": "Org1MSP"});
    fixture
        .send(&creator("Org1MSP", "x", "alice"), token.clone())
        .await
        .unwrap();
    fixture
        .denied(
            &creator("Org1MSP", "alice", "mallory"),
            token.clone(),
            "claim sub of the bearer token is not the enrollment id of the proposal's creator",
        )
        .await;
    fixture
        .denied(
            &creator("Org2MSP", "alice", "alice"),
            token.clone(),
            "claim mspid of the bearer token is not the MSP id of the proposal's creator",
        )
        .await;
    let idemix = Creator {
        msp_id: "Org1MSP",
        pem: "no certificate".to_owned(),
        thumbprint: String::new(),
    };
    let says = "the bearer token must belong to the proposal's creator, who has no enrollment id";
    fixture.denied(&idemix, token, says).await;
}

#[tokio::test]
async fn the_common_name_and_the_certificate_can_be_bound() {
    let alice = creator("Org1MSP", "alice", "");
    let named = Fixture::new(json!([{"claim": ["user", "name"], "to": "commonName"}]));
    named
        .send(&alice, json!({"user": {"name": "alice"}}))
        .await
        .unwrap();
    let says = "claim user.name of the bearer token is not the common name of the proposal's creator";
    named.denied(&alice, json!({"user": {"name": "bob"}}), says).await;
    let by_certificate = Fixture::new(json!([{"to": "certificateSha256"}]));
    let confirmed = json!({"cnf": {"x5t#S256": alice.thumbprint}});
    by_certificate.send(&alice, confirmed.clone()).await.unwrap();
    let says = "claim cnf.x5t#S256 of the bearer token is not the certificate of the proposal's creator";
    by_certificate
        .denied(&creator("Org1MSP", "alice", ""), confirmed, says)
        .await;
    by_certificate.denied(&alice, json!({}), says).await;
}

#[tokio::test]
async fn two_certificates_are_nobody() {
    let (alice, mallory) = (creator("Org1MSP", "alice", ""), creator("Org1MSP", "mallory", ""));
    let fixture = Fixture::new(json!([{"claim": "sub", "to": "commonName"}]));
    let says = "the bearer token must belong to the proposal's creator, who has no common name";
    for pem in [
        format!("{}{}", alice.pem, mallory.pem),
        format!("{}{}", mallory.pem, alice.pem),
    ] {
        let both = Creator {
            msp_id: "Org1MSP",
            pem,
            thumbprint: String::new(),
        };
        fixture.denied(&both, json!({"sub": "alice"}), says).await;
    }
}
