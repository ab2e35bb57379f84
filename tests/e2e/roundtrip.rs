//! fabric-network 2.2 against peer and orderer, with TLS.

use std::process::Command;

use integration::binaries::root;
use serde_json::Value;

use crate::dev::{Dev, node_is_here};

#[test]
fn fabric_network_evaluates_submits_and_hears_of_the_commit() {
    if !node_is_here() {
        return;
    }
    let client = root().join("tests/client");
    if !client.join("node_modules/fabric-network").exists() {
        let args = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
        assert!(
            Command::new("npm")
                .args(args)
                .current_dir(&client)
                .status()
                .unwrap()
                .success(),
            "npm ci"
        );
    }
    let dev = Dev::start("kv");
    let output = Command::new("node")
        .arg("roundtrip.js")
        .args([dev.path("connectionProfile"), dev.path("wallet")])
        .args(["mychannel", "kv"])
        .current_dir(&client)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let seen: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(seen["evaluated"], "100");
    assert_eq!((&seen["alice"], &seen["bob"]), (&"70".into(), &"30".into()));
    assert_eq!(seen["transient"], "hidden");
    assert_eq!(seen["event"]["transactionId"], seen["transactionId"]);
    assert_eq!(seen["event"]["isValid"], true);
    assert_eq!(
        seen["event"]["payload"],
        r#"{"from":"alice","to":"bob","amount":"30"}"#
    );
    assert!(
        seen["refused"].as_str().unwrap().contains("alice has not enough"),
        "{seen}"
    );
    assert!(seen["chainInfoBytes"].as_u64().unwrap() > 30);
}
