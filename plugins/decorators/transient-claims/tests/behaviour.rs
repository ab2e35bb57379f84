//! The decorator behind the peer's own loader.

#![allow(
    clippy::unwrap_used,
    reason = "the exemptions for tests do not reach their helper functions"
)]

use bytes::Bytes;
use handlers::{Config, ParsedRequest, Registry};
use protos::peer::ChaincodeInput;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Decorates the input of a client that tries to say the claims itself.
async fn decorate(config: Value, facts: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
    let library = conformance::library("transient-claims").unwrap();
    let folder = library.parent().unwrap();
    let entry = json!({ "name": "claims", "library": library, "config": config, "timeoutMs": 60_000 });
    let section = json!({ "pluginDirs": [folder], "decorators": [entry] });
    let config: Config = serde_json::from_value(section).unwrap();
    let decorators = Registry::load(&config, &[]).unwrap().decorators();
    let fact = |(name, value): &(&str, &str)| ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes()));
    let request = Arc::new(ParsedRequest {
        attrs: facts.iter().map(fact).collect(),
        ..ParsedRequest::default()
    });
    let input = ChaincodeInput {
        args: vec![Bytes::from("get")],
        decorations: [
            ("claim.email".to_owned(), Bytes::from("forged")),
            ("claims".to_owned(), Bytes::from("{}")),
        ]
        .into(),
        ..ChaincodeInput::default()
    };
    let decorated = decorators
        .decorate(&request, input)
        .await
        .map_err(|error| error.to_string())?;
    assert_eq!(decorated.args, [Bytes::from("get")], "arguments are left alone");
    let text = |(name, value): (String, Bytes)| (name, String::from_utf8(value.to_vec()).unwrap());
    Ok(decorated.decorations.into_iter().map(text).collect())
}

fn owned<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[tokio::test]
async fn the_chaincode_gets_the_filters_word_and_never_the_clients() {
    let claims = r#"{"email": "alice@example.com", "roles": ["auditor"]}"#;
    let seen = decorate(json!({}), &[("jwt.claims", claims)]).await.unwrap();
    assert_eq!(
        seen,
        owned([
            ("claim.email", "alice@example.com"),
            ("claim.roles", r#"["auditor"]"#)
        ])
    );
    assert_eq!(decorate(json!({}), &[]).await.unwrap(), BTreeMap::new());
    let whole = decorate(json!({"decoration": "claims"}), &[("jwt.claims", claims)])
        .await
        .unwrap();
    assert_eq!(whole, owned([("claims", claims)]));
    let other = json!({"attribute": "ext-authz.user", "decoration": "user"});
    let facts = [("jwt.claims", claims), ("ext-authz.user", "alice")];
    assert_eq!(decorate(other, &facts).await.unwrap(), owned([("user", "alice")]));
}

#[tokio::test]
async fn a_proposal_without_the_fact_fails_where_it_is_required_and_garbage_fails_it_everywhere() {
    let error = decorate(json!({"required": true}), &[("jwt.sub", "alice")])
        .await
        .unwrap_err();
    assert!(error.contains("jwt.claims"), "{error}");
    for garbage in ["", "alice", "[1]"] {
        let error = decorate(json!({}), &[("jwt.claims", garbage)]).await.unwrap_err();
        assert!(error.contains("no JSON object"), "{error}");
    }
}

#[test]
fn a_clients_header_is_no_fact() {
    let library = conformance::library("transient-claims").unwrap();
    let entry =
        json!({ "name": "claims", "library": library, "config": {"attribute": "grpc.metadata.claims"} });
    let section = json!({ "pluginDirs": [library.parent().unwrap()], "decorators": [entry] });
    let refused = Registry::load(&serde_json::from_value(section).unwrap(), &[])
        .err()
        .unwrap();
    assert!(refused.to_string().contains("attribute"), "{refused}");
}
