//! What the service sees.

use crate::harness::filter;
use crate::messages::{
    AttributeContext, ChaincodeInput, ChaincodeInvocationSpec, ChaincodeProposalPayload, ChaincodeSpec,
    HttpRequest, Proposal,
};
use crate::service::{Answer, Authorization, yes};
use bytes::Bytes;
use handlers::{Metadata, ParsedRequest};
use prost::Message;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::json;
use std::sync::Arc;

fn proposal(args: &[&str]) -> Bytes {
    let args = args
        .iter()
        .map(|arg| Bytes::copy_from_slice(arg.as_bytes()))
        .collect();
    let invocation = ChaincodeInvocationSpec {
        chaincode_spec: Some(ChaincodeSpec {
            input: Some(ChaincodeInput { args }),
        }),
    };
    let payload = ChaincodeProposalPayload {
        input: invocation.encode_to_vec().into(),
    };
    Proposal {
        payload: payload.encode_to_vec().into(),
    }
    .encode_to_vec()
    .into()
}

fn creator() -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationalUnitName, "client");
    params.distinguished_name.push(DnType::CommonName, "alice");
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

fn request() -> ParsedRequest {
    let headers = [
        ("authorization", "Bearer x"),
        ("x-tenant", "acmé"),
        ("cookie", "private"),
    ];
    let lookup = move |asked: &str| {
        let found = headers.iter().find(|(name, _)| *name == asked)?;
        Some(Bytes::from_static(found.1.as_bytes()))
    };
    ParsedRequest {
        proposal_bytes: proposal(&["transfer", "secret argument"]),
        channel_id: "mychannel".to_owned(),
        chaincode_name: "asset".to_owned(),
        tx_id: "aabbcc".to_owned(),
        msp_id: "Org1MSP".to_owned(),
        creator_cert: creator().into(),
        remote_addr: "[2001:db8::7]:4711".to_owned(),
        metadata: Metadata(Some(Arc::new(lookup))),
        ..ParsedRequest::default()
    }
}

fn last(service: &Authorization) -> (AttributeContext, HttpRequest) {
    let (question, _) = service.asked().pop().unwrap();
    let attributes = question.attributes.unwrap();
    let http = attributes.request.clone().unwrap().http.unwrap();
    (attributes, http)
}

#[tokio::test]
async fn the_service_sees_who_calls_what_and_the_headers_that_it_should() {
    let service = Authorization::start(Answer::Says(yes())).await;
    let more =
        json!({"headers": ["authorization", "x-tenant", "absent"], "contextExtensions": {"peer": "peer0"}});
    let filter = filter(&service.url(), more);
    let sent = request();
    let pem = String::from_utf8(sent.creator_cert.to_vec()).unwrap();
    let size = i64::try_from(sent.proposal_bytes.len()).unwrap();
    filter.send(sent).await.unwrap();
    let (attributes, http) = last(&service);
    assert_eq!(
        (
            http.method.as_str(),
            http.path.as_str(),
            http.protocol.as_str(),
            http.id.as_str(),
            http.size
        ),
        (
            "POST",
            "/protos.Endorser/ProcessProposal",
            "HTTP/2",
            "aabbcc",
            size
        )
    );
    assert_eq!(http.raw_body, Bytes::new());
    assert_eq!(
        json!(http.headers),
        json!({"authorization": "Bearer x", "x-tenant": "acm!!"})
    );
    let extensions = json!({
        "channel": "mychannel", "chaincode": "asset", "function": "transfer", "mspid": "Org1MSP", "txid": "aabbcc",
        "peer": "peer0"
    });
    assert_eq!(json!(attributes.context_extensions), extensions);
    let source = attributes.source.unwrap();
    assert_eq!(source.principal, "OU=client, CN=alice");
    let certificate = percent_encoding::percent_decode_str(&source.certificate)
        .decode_utf8()
        .unwrap();
    assert_eq!(certificate.trim(), pem.trim());
    let address = source.address.unwrap().socket_address.unwrap();
    assert_eq!(
        (address.address.as_str(), address.port_value),
        ("2001:db8::7", Some(4711))
    );
    assert!(attributes.request.unwrap().time.unwrap().seconds > 1_700_000_000);
    let (_, metadata) = service.asked().pop().unwrap();
    assert!(
        metadata.contains_key("grpc-timeout"),
        "the service need not work longer than somebody waits"
    );
}

#[tokio::test]
async fn the_whole_proposal_is_sent_if_asked_for_and_never_a_part() {
    let service = Authorization::start(Answer::Says(yes())).await;
    let size = request().proposal_bytes.len();
    let enough = filter(&service.url(), json!({ "maxBodyBytes": size }));
    let sent = request();
    let bytes = sent.proposal_bytes.clone();
    enough.send(sent).await.unwrap();
    assert_eq!(last(&service).1.raw_body, bytes);
    let too_little = filter(&service.url(), json!({ "maxBodyBytes": size - 1 }));
    let rejection = too_little.send(request()).await.unwrap_err();
    assert_eq!(rejection.code, 8);
    assert!(rejection.message.contains("longer than"), "{}", rejection.message);
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test]
async fn a_proposal_that_says_nothing_is_asked_about_too() {
    let service = Authorization::start(Answer::Says(yes())).await;
    filter(&service.url(), json!({"headers": ["authorization"]}))
        .ask()
        .await
        .unwrap();
    let (attributes, http) = last(&service);
    assert!(http.headers.is_empty());
    assert!(!attributes.context_extensions.contains_key("function"));
    let source = attributes.source.unwrap();
    assert_eq!(
        (source.principal, source.certificate, source.address),
        (String::new(), String::new(), None)
    );
}
