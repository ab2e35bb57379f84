//! Configurations that stop the peer at start.

use crate::harness::{config, load};
use crate::issuer::{Signer, jwks};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

fn refused(config: Value) -> String {
    match load(config) {
        Ok(_) => panic!("this was taken"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn a_configuration_that_would_let_tokens_pass_by_accident_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("jwks.json");
    std::fs::write(&good, jwks([&Signer::new("k", Algorithm::ES256)])).unwrap();
    let keys = json!({ "file": good });
    assert!(load(config(keys.clone(), json!({}))).is_ok());
    for missing in ["issuer", "audience", "keys", "bind"] {
        let mut config = config(keys.clone(), json!({}));
        config.as_object_mut().unwrap().remove(missing);
        assert!(refused(config).contains(missing), "{missing}");
    }
    for (more, says) in [
        (json!({"issuer": ""}), "issuer"),
        (json!({"audience": []}), "audience"),
        (json!({"bind": []}), "bind"),
        (json!({"bind": "any"}), "bind"),
        (json!({"bind": [{"to": "mspId"}]}), "MSP id"),
        (json!({"bind": [{"claim": "sub", "to": "name"}]}), "bind"),
        (json!({"algorithms": ["HS256"]}), "algorithms"),
        (json!({"algorithms": ["none"]}), "algorithms"),
        (json!({"algorithms": []}), "algorithms"),
        (json!({"algorithms": ["RS256"]}), "none of its 1 keys"),
        (json!({"leewaySeconds": 601}), "leewaySeconds"),
        (json!({"header": "Authorization"}), "header"),
        (json!({"claims": ["a.b", ["a", "b"]]}), "a.b"),
    ] {
        let text = refused(config(keys.clone(), more.clone()));
        assert!(text.contains(says), "{more}: {text}");
    }
}

#[test]
fn keys_that_cannot_be_had_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (absent, garbage) = (
        folder.path().join("absent.json"),
        folder.path().join("garbage.json"),
    );
    std::fs::write(&garbage, "{}").unwrap();
    for (keys, says) in [
        (json!({}), "keys"),
        (json!({"file": "a", "url": "https://b"}), "keys"),
        (json!({"file": absent}), "absent.json: could not read"),
        (
            json!({"file": garbage}),
            "garbage.json: it is no JSON Web Key Set",
        ),
        (json!({"url": "http://idp.example.com/keys"}), "allowHttp"),
        (
            json!({"url": "https://idp.example.com/keys", "caFile": absent}),
            "absent.json",
        ),
        (
            json!({"url": "https://idp.example.com/keys", "maxStaleSeconds": 1}),
            "maxStaleSeconds",
        ),
    ] {
        let text = refused(config(keys.clone(), json!({})));
        assert!(text.contains(says), "{keys}: {text}");
    }
}
