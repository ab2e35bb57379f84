//! What the client gets, and what later filters do.

use crate::harness::filter;
use crate::service::{Answer, Authorization, no, yes};
use handlers::ParsedRequest;
use prost_types::value::Kind;
use prost_types::{Struct, Value};
use serde_json::json;

fn with_metadata(name: &str, text: String) -> Answer {
    let value = Value {
        kind: Some(Kind::StringValue(text)),
    };
    let mut answer = yes();
    answer.dynamic_metadata = Some(Struct {
        fields: [(name.to_owned(), value)].into(),
    });
    Answer::Says(answer)
}

#[tokio::test]
async fn a_no_is_a_grpc_status_with_the_services_text() {
    let service = Authorization::start(Answer::Says(yes())).await;
    let filter = filter(&service.url(), json!({}));
    filter.ask().await.unwrap();
    for (http, code) in [(401, 16), (403, 7), (429, 8), (404, 7), (500, 7), (0, 7)] {
        service.says(Answer::Says(no(http, "not on Sundays")));
        assert_eq!(
            filter.refusal().await,
            (
                code,
                "refused by the authorization service: not on Sundays".to_owned()
            ),
            "{http}"
        );
    }
    service.says(Answer::Says(yes()));
    filter.ask().await.expect("a no is not remembered");
    assert_eq!(service.asked().len(), 8);
}

#[tokio::test]
async fn facts_are_set_only_when_wanted() {
    let service = Authorization::start(with_metadata("user", "alice".to_owned())).await;
    let said = |seen: &ParsedRequest, name: &str| seen.said.get(name).map(|value| value.to_vec());
    let wanting = filter(&service.url(), json!({"set": ["user", "absent"]}))
        .ask()
        .await
        .unwrap();
    assert_eq!(said(&wanting, "ext-authz.user"), Some(b"alice".to_vec()));
    assert_eq!(said(&wanting, "ext-authz.absent"), None);
    let indifferent = filter(&service.url(), json!({})).ask().await.unwrap();
    assert_eq!(said(&indifferent, "ext-authz.user"), None);
}

#[tokio::test]
async fn a_fact_that_the_peer_does_not_take_is_a_refusal() {
    let service = Authorization::start(with_metadata("user", "a".repeat(70_000))).await;
    let (code, text) = filter(&service.url(), json!({"set": ["user"]})).refusal().await;
    assert_eq!(code, 8);
    assert!(text.contains("did not take user"), "{text}");
}
