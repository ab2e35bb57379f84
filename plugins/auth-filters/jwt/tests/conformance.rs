//! This plugin keeps the promises of its kind.

/// A set with the example key of RFC 7517, appendix A.1.
const JWKS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "1",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

#[test]
fn keeps_its_promises() {
    let library = conformance::library("jwt").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, JWKS).unwrap();
    let config = serde_json::json!({
        "issuer": "https://idp.example.com",
        "audience": "fabric-peer",
        "keys": {"file": file},
        "bind": [{"claim": "sub", "to": "enrollmentId"}, {"claim": "mspid", "to": "mspId"}],
        "claims": ["email"],
    });
    conformance::check(&library, &config.to_string()).unwrap();
}
