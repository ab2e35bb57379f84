//! This plugin keeps the promises of its kind.

#[test]
fn keeps_its_promises() {
    let library = conformance::library("rate_limit").unwrap();
    // many enough for all that the kit sends
    let config = r#"{"rules": [
        {"name": "all", "by": ["identity", "mspid", "channel", "chaincode", "function", "tls-cert", "remote-ip"],
         "rate": 1000000, "burst": 1000000},
        {"name": "some", "by": [], "rate": 1000000, "match": {"function": "a*"}}
    ]}"#;
    conformance::check(&library, config).unwrap();
}
