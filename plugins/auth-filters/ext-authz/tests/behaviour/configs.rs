//! Configurations that stop the peer at start.

use crate::harness::load;
use serde_json::json;

#[test]
fn what_cannot_work_is_refused_with_the_key_to_blame() {
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.pem");
    std::fs::write(&garbage, "no certificate").unwrap();
    let url = "https://authz.example.com:9191";
    for (config, says) in [
        (json!({}), "endpoint"),
        (json!({"endpoint": "authz.example.com:9191"}), "endpoint"),
        (json!({"endpoint": "unix:relative"}), "endpoint"),
        (json!({"endpoint": "http://a b"}), "endpoint"),
        (json!({"endpoint": url}), "tls.caFile"),
        (
            json!({"endpoint": "http://localhost:1", "tls": {"caFile": garbage}}),
            "is not https",
        ),
        (
            json!({"endpoint": url, "tls": {"caFile": folder.path().join("absent.pem")}}),
            "absent.pem",
        ),
        (
            json!({"endpoint": url, "tls": {"caFile": garbage, "certFile": garbage}}),
            "keyFile",
        ),
        (
            json!({"endpoint": "http://localhost:1", "timeoutSeconds": 0}),
            "timeoutSeconds",
        ),
        (
            json!({"endpoint": "http://localhost:1", "maxInFlight": 0}),
            "maxInFlight",
        ),
        (
            json!({"endpoint": "http://localhost:1", "headers": ["Cookie"]}),
            "headers",
        ),
        (
            json!({"endpoint": "http://localhost:1", "headers": ["trace-bin"]}),
            "headers",
        ),
        (
            json!({"endpoint": "http://localhost:1", "contextExtensions": {"mspid": "Org1MSP"}}),
            "contextExtensions",
        ),
        (
            json!({"endpoint": "http://localhost:1", "failureMode": "allow"}),
            "failureMode",
        ),
    ] {
        match load(config.clone()) {
            Ok(_) => panic!("{config} was taken"),
            Err(errors) => assert!(errors.to_string().contains(says), "{config}: {errors}"),
        }
    }
}
