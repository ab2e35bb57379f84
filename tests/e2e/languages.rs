//! Chaincode in every language on its real shim, through the process runtime, with TLS on both sides.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use integration::binaries::root;
use protos::peer::ChaincodeDeploymentSpec;
use serde_json::Value;

use crate::dev::{Dev, are_here, node_is_here};

/// How long a relaunch may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

#[test]
fn go_chaincode_lives_its_whole_life() {
    if are_here(&[("go", "version")]) {
        whole_life("kv-go", "golang", Some("example.com/kv"));
    }
}

#[test]
fn java_chaincode_lives_its_whole_life() {
    if are_here(&[("java", "--version"), ("mvn", "--version")]) {
        whole_life("kv-java", "java", None);
    }
}

#[test]
fn node_chaincode_lives_its_whole_life() {
    if node_is_here() {
        whole_life("kv", "node", None);
    }
}

/// `peer dev` finds the language, installs and instantiates; the commands do the rest. A package bears the import path
/// where the language has one, else the path as it was typed, as Fabric has it.
fn whole_life(name: &str, lang: &str, import_path: Option<&str>) {
    let dev = Dev::detecting(name, &[]);
    assert_eq!(dev.invoke(name, &["put", "a", "1"])["validationCode"], "VALID");
    assert_eq!(dev.query(name, &["get", "a"]), "1");
    assert_eq!(dev.query(name, &["whoami"]), "Org1MSP");
    dev.invoke(name, &["put", "a", "2"]);
    let history: Value = serde_json::from_str(&dev.query(name, &["history", "a"])).unwrap();
    assert_eq!(
        (&history[0]["value"], &history[1]["value"]),
        (&"2".into(), &"1".into())
    );
    dev.invoke(name, &["fill", "k", "120"]);
    let keys: Vec<String> = serde_json::from_str(&dev.query(name, &["range", "k", "l"])).unwrap();
    assert_eq!(keys.len(), 120);
    let said = dev.query_refused(name, &["refuse", "not today"]);
    assert!(said.contains("not today"), "{said}");

    upgrade(&dev, name, lang);
    let installed = dev.ok(&["chaincode", "list", "--installed"]);
    let paths: Vec<_> = installed
        .as_array()
        .unwrap()
        .iter()
        .map(|info| &info["path"])
        .collect();
    let typed = root().join("tests/chaincode").join(name);
    let path = import_path.unwrap_or(typed.to_str().unwrap());
    assert_eq!(paths, [path, path]);
    assert_eq!(dev.query(name, &["get", "upgraded"]), "yes");
    assert_eq!(dev.query(name, &["get", "a"]), "2");

    let killed = kill(&format!("{name}:2"), dev.folder.path());
    assert!(killed > 0, "no process of {name}:2 was found");
    let answer = eventually_answers(&dev, name, &["get", "a"]);
    assert_eq!(answer, "2", "launched again");
    assert_eq!(dev.invoke(name, &["put", "a", "3"])["validationCode"], "VALID");
}

/// Packages, twice into the same bytes, installs and upgrades.
fn upgrade(dev: &Dev, name: &str, lang: &str) {
    let source = root().join("tests/chaincode").join(name);
    let file = |name: &str| dev.folder.path().join(name).display().to_string();
    let package = |to: &str| {
        let path = source.to_str().unwrap();
        dev.ok(&[
            "chaincode",
            "package",
            "-n",
            name,
            "-v",
            "2",
            "-l",
            lang,
            "-p",
            path,
            to,
        ]);
        std::fs::read(to).unwrap()
    };
    assert_eq!(package(&file("one.cds")), package(&file("other.cds")));
    dev.ok(&["chaincode", "install", &file("one.cds")]);
    let ctor = r#"{"Args":["upgraded","yes"]}"#;
    dev.ok(&[
        "chaincode",
        "upgrade",
        "-C",
        "mychannel",
        "-n",
        name,
        "-v",
        "2",
        "-l",
        lang,
        "-c",
        ctor,
        "--waitForEvent",
    ]);
}

/// Kills every process of a chaincode of the network in `folder`; says how many.
fn kill(chaincode: &str, folder: &Path) -> usize {
    let id = format!("CORE_CHAINCODE_ID_NAME={chaincode}");
    let home = format!("HOME={}", folder.display());
    let mut killed = 0;
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        let has = |wanted: &dyn Fn(&str) -> bool| {
            environment
                .split(|byte| *byte == 0)
                .any(|variable| std::str::from_utf8(variable).is_ok_and(wanted))
        };
        if has(&|variable| variable == id) && has(&|variable| variable.starts_with(&home)) {
            let pid = process.file_name().to_string_lossy().into_owned();
            let status = Command::new("kill").args(["-KILL", &pid]).status();
            killed += usize::from(status.is_ok_and(|status| status.success()));
        }
    }
    killed
}

/// The first answer after a kill: the peer may still have to notice it.
fn eventually_answers(dev: &Dev, name: &str, args: &[&str]) -> String {
    let call = serde_json::json!({ "Args": args }).to_string();
    let start = Instant::now();
    loop {
        let output = dev.peer(&["chaincode", "query", "-C", "mychannel", "-n", name, "-c", &call]);
        if output.status.success() {
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            return answer["payload"].as_str().unwrap().to_owned();
        }
        assert!(
            start.elapsed() < DEADLINE,
            "no answer: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_language_without_a_plugin_is_refused_with_those_that_are_there() {
    let only = |name: &str| format!(r#"[{{"name": "{name}"}}]"#);
    let (node, golang) = (only("node"), only("golang"));
    let dev = Dev::network(&[("CORE_PEER_HANDLERS_PLATFORMS", &node)]);
    let source = root().join("tests/chaincode/kv-go").display().to_string();
    let package = [
        "chaincode",
        "package",
        "-n",
        "kv",
        "-v",
        "1",
        "-l",
        "golang",
        "-p",
        &source,
        "kv.cds",
    ];
    let said = dev.refused(&package);
    assert!(
        said.contains("Unknown chaincodeType: GOLANG (loaded: NODE)"),
        "{said}"
    );
    let packaged = dev.peer_with(&package, &[("CORE_PEER_HANDLERS_PLATFORMS", &golang)]);
    assert!(packaged.status.success(), "{packaged:?}");
    let said = dev.refused(&["chaincode", "install", "kv.cds"]);
    assert!(
        said.contains("Unknown chaincodeType: GOLANG (loaded: NODE)"),
        "{said}"
    );
}

#[test]
fn packages_are_judged_by_the_platform_of_their_language() {
    let dev = Dev::network(&[]);
    let empty = dev.folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    std::fs::write(empty.join("README"), "nothing to build").unwrap();
    let path = empty.to_str().unwrap();
    for (lang, reason) in [
        ("golang", "no Go files in"),
        ("java", "no pom.xml, build.gradle or build.gradle.kts found"),
        (
            "node",
            "no package.json found at the root of the chaincode package",
        ),
    ] {
        let install = [
            "chaincode",
            "install",
            "-n",
            "x",
            "-v",
            "1",
            "-l",
            lang,
            "-p",
            path,
        ];
        let said = dev.refused(&install);
        assert!(said.contains(reason), "{lang}: {said}");
    }
}

#[test]
fn go_code_below_gopath_is_packed_by_its_import_path() {
    if !are_here(&[("go", "version")]) {
        return;
    }
    let dev = Dev::network(&[]);
    let gopath = dev.folder.path().join("gopath");
    for (name, content) in [
        (
            "example.com/kv/main.go",
            "package main\nimport _ \"example.com/dep\"\nfunc main() {}\n",
        ),
        ("example.com/kv/notes.txt", "x"),
        ("example.com/dep/dep.go", "package dep\nimport _ \"fmt\"\n"),
    ] {
        let path = gopath.join("src").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let gopath = gopath.display().to_string();
    let package = |path: &str, file: &str| {
        let args = ["chaincode", "package", "-n", "kv", "-v", "1", "-p", path, file];
        dev.peer_with(&args, &[("GOPATH", &gopath)])
    };
    let packaged = package("example.com/kv", "kv.cds");
    assert!(packaged.status.success(), "{packaged:?}");
    dev.ok(&["chaincode", "install", "kv.cds"]);
    assert_eq!(
        dev.ok(&["chaincode", "list", "--installed"])[0]["path"],
        "example.com/kv"
    );
    let bytes = std::fs::read(dev.folder.path().join("kv.cds")).unwrap();
    let spec: ChaincodeDeploymentSpec = prost::Message::decode(bytes.as_slice()).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&spec.code_package[..]));
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .filter(|name| !name.ends_with('/'))
        .collect();
    assert_eq!(
        names,
        [
            "src/example.com/dep/dep.go",
            "src/example.com/kv/main.go",
            "src/example.com/kv/notes.txt"
        ]
    );
    for (path, reason) in [
        ("example.com/none", "go list"),
        ("$(touch x)", "is no import path"),
    ] {
        let refused = package(path, "none.cds");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(reason), "{said}");
    }
}
