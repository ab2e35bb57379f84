//! Which tokens are valid.

use crate::harness::{Filter, UNAUTHENTICATED, config, fact, load, with_header};
use crate::issuer::{Signer, claims, jwks, now, part};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

fn signer() -> Signer {
    Signer::new("k1", Algorithm::ES256)
}

/// The filter with these keys in a file.
fn filter<'a>(signers: impl IntoIterator<Item = &'a Signer>, more: Value) -> (Filter, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, jwks(signers)).unwrap();
    (load(config(json!({ "file": file }), more)).unwrap(), folder)
}

#[tokio::test]
async fn every_asymmetric_algorithm_is_good() {
    use Algorithm::{ES256, ES384, EdDSA, PS256, RS256};
    let algorithms = [ES256, ES384, EdDSA, PS256, RS256];
    let signers = algorithms.map(|algorithm| Signer::new(&format!("{algorithm:?}"), algorithm));
    let (filter, _folder) = filter(&signers, json!({}));
    for signer in &signers {
        let seen = filter.token(&signer.token(&claims(json!({})))).await.unwrap();
        assert_eq!(fact(&seen, "jwt.sub").as_deref(), Some("alice"));
        assert_eq!(fact(&seen, "jwt.claims"), None, "none were asked for");
    }
}

#[tokio::test]
async fn what_is_missing_expired_or_for_somebody_else_is_refused() {
    let signer = signer();
    let (filter, _folder) = filter([&signer], json!({"leewaySeconds": 10}));
    for (more, says) in [
        (json!({"exp": now() - 20}), "has expired"),
        (json!({"nbf": now() + 20}), "is not valid yet"),
        (
            json!({"iss": "https://evil.example.com"}),
            "is from another issuer",
        ),
        (json!({"aud": "other"}), "is for another audience"),
        (json!({"aud": ["other", "another"]}), "is for another audience"),
        (json!({"exp": null}), "has no usable claim exp"),
        (json!({"iss": null}), "has no usable claim iss"),
        (json!({"aud": null}), "has no usable claim aud"),
        (json!({"exp": "tomorrow"}), "has no usable claim exp"),
        (json!({"exp": -1}), "has no usable claim exp"),
        (json!({"nbf": "now"}), "has no usable claim nbf"),
        (json!({"aud": 7}), "has no usable claim aud"),
        (json!({"iss": {}}), "has no usable claim iss"),
    ] {
        let (code, text) = filter.refusal(&signer.token(&claims(more.clone()))).await;
        assert_eq!(
            (code, text),
            (UNAUTHENTICATED, format!("the bearer token {says}")),
            "{more}"
        );
    }
    for good in [
        json!({"exp": now() - 5}),
        json!({"nbf": now() + 5}),
        json!({"nbf": null}),
        json!({"sub": null}),
        json!({"aud": ["other", "fabric-peer"]}),
        json!({"exp": u64::MAX}),
    ] {
        let outcome = filter.token(&signer.token(&claims(good.clone()))).await;
        assert!(outcome.is_ok(), "{good}");
    }
}

#[tokio::test]
async fn several_issuers_and_audiences_are_alternatives() {
    let signer = signer();
    let (filter, _folder) = filter([&signer], json!({"issuer": ["a", "b"], "audience": ["c", "d"]}));
    for (issuer, audience, good) in [
        ("a", "d", true),
        ("b", "c", true),
        ("c", "c", false),
        ("a", "a", false),
    ] {
        let token = signer.token(&claims(json!({"iss": issuer, "aud": audience})));
        assert_eq!(filter.token(&token).await.is_ok(), good, "{issuer} {audience}");
    }
}

#[tokio::test]
async fn forged_signatures_are_refused() {
    let (signer, other) = (signer(), signer());
    let (filter, _folder) = filter([&signer], json!({}));
    let good = signer.token(&claims(json!({})));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let another = part(&claims(json!({"sub": "mallory"})));
    let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
    flipped[7] ^= 1;
    for forged in [
        other.token(&claims(json!({}))),
        format!("{header}.{another}.{signature}"),
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(flipped)),
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
        format!("{signed}."),
    ] {
        let (code, text) = filter.refusal(&forged).await;
        assert_eq!(
            (code, text.as_str()),
            (
                UNAUTHENTICATED,
                "the bearer token is not signed with its issuer's key"
            )
        );
    }
    filter.token(&good).await.unwrap();
}

#[tokio::test]
async fn none_secrets_and_other_algorithms_never_pass() {
    let signer = signer();
    let (filter, _folder) = filter(
        [&signer, &Signer::new("ed", Algorithm::EdDSA)],
        json!({"algorithms": ["ES256"]}),
    );
    let body = claims(json!({}));
    for none in ["none", "None", "NONE", ""] {
        let token = format!("{}.{}.", part(&json!({"alg": none, "kid": "k1"})), part(&body));
        let (code, text) = filter.refusal(&token).await;
        assert_eq!(code, UNAUTHENTICATED);
        assert!(text.contains("unknown algorithm"), "{text}");
    }
    // the classic: the public key, which everybody has, as the secret
    for secret in [
        signer.jwk().to_string(),
        signer.jwk()["x"].as_str().unwrap().to_owned(),
    ] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("k1".to_owned());
        let token = encode(&header, &body, &EncodingKey::from_secret(secret.as_bytes())).unwrap();
        let (code, text) = filter.refusal(&token).await;
        assert_eq!(
            (code, text.as_str()),
            (
                UNAUTHENTICATED,
                "the bearer token is signed with an algorithm that is not allowed here"
            )
        );
    }
    let relabelled = signer.token(&body);
    let (_, rest) = relabelled.split_once('.').unwrap();
    for algorithm in ["ES384", "RS256", "EdDSA"] {
        let token = format!("{}.{rest}", part(&json!({"alg": algorithm, "kid": "k1"})));
        assert_eq!(filter.refusal(&token).await.0, UNAUTHENTICATED, "{algorithm}");
    }
    let (all, _folder) = self::filter([&signer], json!({}));
    for algorithm in ["ES384", "RS256", "EdDSA"] {
        let token = format!("{}.{rest}", part(&json!({"alg": algorithm, "kid": "k1"})));
        let (_, text) = all.refusal(&token).await;
        assert!(
            text.contains("has not published"),
            "{algorithm} is not this key's: {text}"
        );
    }
}

#[tokio::test]
async fn a_header_decides_nothing_but_which_published_key_it_is() {
    let (signer, other) = (signer(), Signer::new("k2", Algorithm::ES256));
    let (filter, _folder) = filter([&signer], json!({}));
    let body = claims(json!({}));
    // a key that comes with the token
    let embedded = other.token_with(
        json!({"kid": "k1", "jwk": other.jwk(), "jku": "https://evil.example.com"}),
        &body,
    );
    let (code, text) = filter.refusal(&embedded).await;
    assert_eq!(
        (code, text.as_str()),
        (
            UNAUTHENTICATED,
            "the bearer token is not signed with its issuer's key"
        )
    );
    let unknown = other.token(&body);
    let (code, text) = filter.refusal(&unknown).await;
    assert_eq!(
        (code, text.as_str()),
        (
            UNAUTHENTICATED,
            "the bearer token is signed with a key that its issuer has not published"
        )
    );
    let critical = signer.token_with(json!({"kid": "k1", "crit": ["b64"], "b64": false}), &body);
    assert!(filter.refusal(&critical).await.1.contains("extensions"));
    filter
        .token(&signer.token_with(json!({}), &body))
        .await
        .expect("no key id, one key");
    let (two, _folder) = self::filter([&signer, &other], json!({}));
    let (_, text) = two.refusal(&signer.token_with(json!({}), &body)).await;
    assert!(text.contains("has not published"), "which of two? {text}");
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let (filter, _folder) = filter([&signer()], json!({}));
    let missing = r#"no bearer token: send one as gRPC metadata "authorization": Bearer TOKEN"#;
    for header in ["", "Bearer", "Bearer ", "Basic YTpi", "token", "Bearer\ttoken"] {
        let rejection = filter.header(header).await.unwrap_err();
        assert_eq!(
            (rejection.code, rejection.message.as_str()),
            (UNAUTHENTICATED, missing),
            "{header}"
        );
    }
    let none = filter.send(handlers::ParsedRequest::default()).await.unwrap_err();
    assert_eq!((none.code, none.message.as_str()), (UNAUTHENTICATED, missing));
    let nested = URL_SAFE_NO_PAD.encode("[".repeat(5000));
    for token in [
        "x",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "..",
        &format!("{nested}.{nested}."),
    ] {
        let (code, text) = filter.refusal(token).await;
        assert_eq!(code, UNAUTHENTICATED);
        assert!(text.starts_with("the bearer token "), "{text}");
    }
    let (_, text) = filter.refusal(&"x".repeat(20_000)).await;
    assert_eq!(text, "the bearer token is too long");
}

#[tokio::test]
async fn header_and_scheme_are_configurable() {
    let signer = signer();
    let token = signer.token(&claims(json!({})));
    let (filter, _folder) = filter([&signer], json!({"header": "x-fabric-token", "scheme": ""}));
    filter.send(with_header("x-fabric-token", &token)).await.unwrap();
    let rejection = filter.token(&token).await.unwrap_err();
    assert_eq!(
        rejection.message,
        r#"no bearer token: send one as gRPC metadata "x-fabric-token""#
    );
    let (filter, _folder) = self::filter([&signer], json!({}));
    filter
        .header(&format!("bEARER   {token}"))
        .await
        .expect("schemes are of any case");
}

#[tokio::test]
async fn chosen_claims_are_said_and_no_others() {
    let signer = signer();
    let chosen =
        json!({"claims": ["email", "roles", ["realm", "groups"], "https://example.com/a.b", "absent"]});
    let (filter, _folder) = filter([&signer], chosen);
    let token = signer.token(&claims(json!({
        "email": "a@example.com", "roles": ["x", 1], "realm": {"groups": {"y": true}, "other": 1},
        "https://example.com/a.b": 1.5, "secret": "s", "https://example.com/a": {"b": 7}
    })));
    let seen = filter.token(&token).await.unwrap();
    let said: Value = serde_json::from_str(&fact(&seen, "jwt.claims").unwrap()).unwrap();
    assert_eq!(
        said,
        json!({"email": "a@example.com", "roles": ["x", 1], "realm.groups": {"y": true}, "https://example.com/a.b": 1.5})
    );
    let none = filter.token(&signer.token(&claims(json!({})))).await.unwrap();
    assert_eq!(fact(&none, "jwt.claims").as_deref(), Some("{}"));
}
