//! Real `fabric-shim` chaincode, built by the node platform and launched as a process.

use integration::binaries::root;

use crate::dev::{Dev, node_is_here};

#[test]
fn the_current_shim_runs_everything_and_survives_a_kill_of_the_peer() {
    if !node_is_here() {
        return;
    }
    let dev = Dev::start("kv");
    let put = dev.invoke("kv", &["put", "a", "1"]);
    assert_eq!(put["validationCode"], "VALID");
    assert_eq!(dev.query("kv", &["get", "a"]), "1");
    dev.invoke("kv", &["put", "a", "2"]);
    dev.invoke("kv", &["del", "a"]);
    assert_eq!(dev.query("kv", &["get", "a"]), "");
    let history: serde_json::Value = serde_json::from_str(&dev.query("kv", &["history", "a"])).unwrap();
    let seen: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["value"].as_str().unwrap(),
                entry["deleted"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen, [("", true), ("2", false), ("1", false)], "newest first");

    dev.invoke("kv", &["fill", "k", "250"]);
    let keys: Vec<String> = serde_json::from_str(&dev.query("kv", &["range", "k", "l"])).unwrap();
    assert_eq!(keys.len(), 250);
    assert!(keys.is_sorted());
    let page: serde_json::Value =
        serde_json::from_str(&dev.query("kv", &["page", "k", "l", "10", ""])).unwrap();
    assert_eq!(
        (page["count"].as_u64(), page["bookmark"].as_str()),
        (Some(10), Some("k0010")),
        "{page}"
    );

    assert_eq!(dev.query("kv", &["whoami"]), "Org1MSP");
    assert!(
        dev.query_refused("kv", &["refuse", "not today"])
            .contains("not today")
    );
    assert!(
        dev.query_refused("kv", &["status", "404", "no such asset"])
            .contains("404: no such asset")
    );
}

#[test]
fn a_crash_is_reported_and_the_next_call_launches_again() {
    if !node_is_here() {
        return;
    }
    let dev = Dev::start("kv");
    dev.invoke("kv", &["put", "kept", "yes"]);
    let said = dev.query_refused("kv", &["crash"]);
    assert!(said.contains("chaincode stream terminated"), "{said}");
    assert!(
        said.contains("about to crash"),
        "the last output is part of the error: {said}"
    );
    assert_eq!(dev.query("kv", &["get", "kept"]), "yes");

    let folder = dev.kill();
    let dev = Dev::start_with(&root().join("tests/chaincode/kv"), "kv", folder);
    assert_eq!(
        dev.query("kv", &["get", "kept"]),
        "yes",
        "committed before the kill"
    );
    dev.invoke("kv", &["put", "kept", "still"]);
    assert_eq!(dev.query("kv", &["get", "kept"]), "still");
}

#[test]
fn the_shim_of_2_2_runs_and_the_commands_answer() {
    if !node_is_here() {
        return;
    }
    let dev = Dev::start("kv-shim22");
    assert_eq!(
        dev.invoke("kv-shim22", &["put", "a", "1"])["validationCode"],
        "VALID"
    );
    assert_eq!(dev.query("kv-shim22", &["get", "a"]), "1");
    assert_eq!(dev.query("kv-shim22", &["whoami"]), "Org1MSP");
    assert!(
        dev.query_refused("kv-shim22", &["refuse", "not today"])
            .contains("transaction returned with failure: Error: not today")
    );

    assert_eq!(
        dev.ok(&["channel", "list"])["channels"],
        serde_json::json!(["mychannel"])
    );
    assert_eq!(dev.ok(&["channel", "getinfo", "-c", "mychannel"])["height"], 3);
    assert_eq!(
        dev.ok(&["channel", "fetch", "config", "config.block", "-c", "mychannel"])["number"],
        0
    );
    assert_eq!(
        dev.ok(&["chaincode", "list", "--installed"])[0]["name"],
        "kv-shim22"
    );
    assert_eq!(
        dev.ok(&["chaincode", "list", "--instantiated", "-C", "mychannel"])[0]["version"],
        "1"
    );
    let plugins = dev.ok(&["plugin", "list"]);
    let names: Vec<_> = plugins
        .as_array()
        .unwrap()
        .iter()
        .map(|plugin| plugin["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "DefaultAuth",
            "ExpirationCheck",
            "DefaultDecorator",
            "golang",
            "java",
            "node",
            "escc",
            "vscc"
        ]
    );
    assert_eq!(dev.ok(&["version"])["pluginApi"], "1.1");
    assert!(dev.ok(&["config", "check"])["file"].is_string());
    assert!(
        dev.ok(&["config", "print", "--effective"])
            .as_array()
            .unwrap()
            .len()
            > 50
    );
    assert!(
        dev.refused(&["channel", "getinfo", "-c", "nosuch"])
            .contains("Invalid chain ID, nosuch")
    );
}

#[test]
fn a_package_that_does_not_build_says_why() {
    if !node_is_here() {
        return;
    }
    let dev = Dev::start("kv");
    let source = dev.folder.path().join("broken");
    std::fs::create_dir(&source).unwrap();
    let manifest = r#"{"name":"broken","version":"1.0.0","scripts":{"start":"node index.js"},"dependencies":{"fabric-shim":"0.0.0-none"}}"#;
    std::fs::write(source.join("package.json"), manifest).unwrap();
    let said = dev.install_refused("broken", &source);
    assert!(said.contains("fabric-shim"), "npm's own words: {said}");
    let said = dev.refused(&[
        "chaincode",
        "instantiate",
        "-C",
        "mychannel",
        "-n",
        "broken",
        "-v",
        "1",
        "-l",
        "node",
        "-c",
        r#"{"Args":[]}"#,
    ]);
    assert!(said.contains("could not launch chaincode broken:1"), "{said}");
    assert!(said.contains("fabric-shim"), "npm's own words: {said}");
    assert_eq!(
        dev.query("kv", &["get", "nothing"]),
        "",
        "other chaincode is not affected"
    );
}
