//! Real chaincode in containers of a real engine, with mutual TLS, as `cargo xtask docker` sets it up.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use integration::binaries::root;
use serde_json::{Value, json};

use crate::dev::{Dev, in_ci, node_is_here};

const LABEL: &str = "org.hyperledger.fabric";

/// Runs Docker's own client and returns what it printed.
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "docker {args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Whether the test can run here. In CI it must.
pub fn docker_is_here() -> bool {
    let answers = |args: &[&str]| {
        let output = Command::new("docker").args(args).output();
        output.is_ok_and(|output| output.status.success())
    };
    let here = answers(&["version", "--format", "{{.Server.Version}}"])
        && answers(&["image", "inspect", "hyperledger/fabric-nodeenv:2.5"]);
    assert!(
        here || !in_ci(),
        "CI without a Docker Engine and its images: run cargo xtask docker"
    );
    if !here {
        eprintln!(
            "skipped: no Docker Engine with hyperledger/fabric-nodeenv:2.5 (cargo xtask docker makes both)"
        );
    }
    here
}

/// What one network has on the engine; dropping it removes all of it.
pub struct OnEngine {
    owner: String,
}

impl OnEngine {
    pub fn of(dev: &Dev) -> Self {
        let address = dev.ready["peer"].as_str().unwrap();
        let port = address.rsplit(':').next().unwrap();
        Self {
            owner: format!("label={LABEL}.peer.networkId=dev-{port}"),
        }
    }

    fn containers(&self, further: &str) -> Vec<String> {
        let args = [
            "ps",
            "-aq",
            "--no-trunc",
            "--filter",
            &self.owner,
            "--filter",
            further,
        ];
        docker(&args).lines().map(str::to_owned).collect()
    }

    pub fn chaincode(&self, id: &str) -> Vec<String> {
        self.containers(&format!("label={LABEL}.chaincode.id={id}"))
    }

    pub fn images(&self) -> Vec<String> {
        let listed = docker(&["images", "-q", "--filter", &self.owner]);
        listed.lines().map(str::to_owned).collect()
    }
}

impl Drop for OnEngine {
    fn drop(&mut self) {
        let remove = |args: &[&str]| Command::new("docker").args(args).output().ok();
        for container in self.containers(&format!("label={LABEL}.chaincode.role")) {
            remove(&["rm", "-fv", &container]);
        }
        for image in self.images() {
            remove(&["rmi", "-f", &image]);
        }
    }
}

fn inspected(container: &str) -> Value {
    let text = docker(&["inspect", container]);
    serde_json::from_str::<Value>(&text).unwrap()[0].take()
}

fn install(dev: &Dev, name: &str, version: &str, folder: &Path) {
    install_in(dev, name, version, "node", folder);
}

fn install_in(dev: &Dev, name: &str, version: &str, lang: &str, folder: &Path) {
    let folder = folder.to_str().unwrap();
    dev.ok(&[
        "chaincode",
        "install",
        "-n",
        name,
        "-v",
        version,
        "-l",
        lang,
        "-p",
        folder,
    ]);
}

fn define(command: &str, name: &str, version: &str) -> Vec<String> {
    let args = [
        "chaincode",
        command,
        "-C",
        "mychannel",
        "-n",
        name,
        "-v",
        version,
        "-l",
        "node",
    ];
    let mut args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    args.extend(["-c".to_owned(), r#"{"Args":[]}"#.to_owned()]);
    args
}

fn strings(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn a_chaincode_lives_its_whole_life_in_containers() {
    if !node_is_here() || !docker_is_here() {
        return;
    }
    let kv = root().join("tests/chaincode/kv");
    let docker_runtime = [("CORE_VM_RUNTIME", "docker")];
    let dev = Dev::start_configured(&kv, "kv", tempfile::tempdir().unwrap(), &docker_runtime);
    let engine = OnEngine::of(&dev);
    assert_eq!(dev.invoke("kv", &["put", "a", "1"])["validationCode"], "VALID");
    assert_eq!(dev.query("kv", &["get", "a"]), "1");

    let [container] = engine.chaincode("kv:1").try_into().unwrap();
    let seen = inspected(&container);
    let host = &seen["HostConfig"];
    assert_eq!(host["CapDrop"], json!(["ALL"]));
    assert_eq!(host["SecurityOpt"], json!(["no-new-privileges"]));
    assert_eq!(
        (&host["ReadonlyRootfs"], &host["Init"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (&host["PidsLimit"], &host["Memory"]),
        (&json!(512), &json!(2_147_483_648_u64))
    );
    let env = seen["Config"]["Env"].as_array().unwrap();
    assert!(env.contains(&json!("CORE_PEER_TLS_ENABLED=true")), "{env:?}");
    assert!(
        seen["Name"]
            .as_str()
            .unwrap()
            .ends_with("-peer0.org1.example.com-kv-1"),
        "{seen}"
    );

    docker(&["kill", &container]);
    answers_again(&dev, "kv");
    let [relaunched] = engine.chaincode("kv:1").try_into().unwrap();
    assert_ne!(relaunched, container);

    install(&dev, "kv", "2", &kv);
    let mut upgrade = define("upgrade", "kv", "2");
    upgrade.push("--waitForEvent".to_owned());
    dev.ok(&strings(&upgrade));
    assert_eq!(dev.query("kv", &["get", "a"]), "1", "the state is still there");
    assert_eq!(engine.chaincode("kv:2").len(), 1);

    what_is_no_longer_installed_is_collected(&dev, &engine);
    drop(dev);
    assert_eq!(
        engine.containers(&format!("label={LABEL}.chaincode.role")),
        Vec::<String>::new(),
        "nothing stays when the peer ends"
    );
}

#[test]
fn go_chaincode_lives_its_whole_life_in_containers() {
    if docker_is_here() {
        whole_life("kv-go", "golang");
    }
}

#[test]
fn java_chaincode_lives_its_whole_life_in_containers() {
    if docker_is_here() {
        whole_life("kv-java", "java");
    }
}

/// Built, launched, killed, relaunched and upgraded in containers; nothing of the language is needed on this machine.
fn whole_life(name: &str, lang: &str) {
    let dev = Dev::detecting(name, &[("CORE_VM_RUNTIME", "docker")]);
    let engine = OnEngine::of(&dev);
    assert_eq!(dev.invoke(name, &["put", "a", "1"])["validationCode"], "VALID");
    assert_eq!(dev.query(name, &["get", "a"]), "1");
    assert_eq!(dev.query(name, &["whoami"]), "Org1MSP");
    let said = dev.query_refused(name, &["refuse", "not today"]);
    assert!(said.contains("not today"), "{said}");

    let [container] = engine.chaincode(&format!("{name}:1")).try_into().unwrap();
    docker(&["kill", &container]);
    answers_again(&dev, name);
    let [relaunched] = engine.chaincode(&format!("{name}:1")).try_into().unwrap();
    assert_ne!(relaunched, container);

    install_in(&dev, name, "2", lang, &root().join("tests/chaincode").join(name));
    let mut upgrade = define("upgrade", name, "2");
    upgrade.push("--waitForEvent".to_owned());
    dev.ok(&strings(&upgrade));
    assert_eq!(dev.query(name, &["get", "a"]), "1", "the state is still there");
    assert_eq!(engine.chaincode(&format!("{name}:2")).len(), 1);
}

fn answers_again(dev: &Dev, name: &str) {
    let call = json!({"Args": ["get", "a"]}).to_string();
    let query = ["chaincode", "query", "-C", "mychannel", "-n", name, "-c", &call];
    // a call may meet the old stream before the peer hears of its end
    let begun = Instant::now();
    while !dev.peer(&query).status.success() {
        assert!(begun.elapsed() < Duration::from_secs(240), "it is launched again");
    }
}

fn what_is_no_longer_installed_is_collected(dev: &Dev, engine: &OnEngine) {
    let printed = dev.ok(&["chaincode", "logs", "kv:2"]);
    let lines = |part: &str| printed[part].as_array().unwrap().len();
    assert!(lines("build") > 3 && lines("run") > 3, "{printed}");
    assert!(
        dev.refused(&["chaincode", "logs", "kv:77"])
            .contains("has no logs of kv:77"),
        "a chaincode that never ran"
    );

    assert_eq!(dev.ok(&["chaincode", "gc"])["removed"], json!([]));
    std::fs::remove_file(dev.folder.path().join("net/peer/chaincodes/kv.1")).unwrap();
    let kinds = |collected: &Value| -> Vec<String> {
        let removed = collected["removed"].as_array().unwrap();
        removed
            .iter()
            .map(|garbage| garbage["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    let before = engine.images().len();
    let rehearsed = dev.ok(&["chaincode", "gc", "--dry-run"]);
    assert!(kinds(&rehearsed).contains(&"image".to_owned()), "{rehearsed}");
    assert_eq!(engine.images().len(), before, "a rehearsal removes nothing");
    let collected = dev.ok(&["chaincode", "gc"]);
    assert_eq!(kinds(&collected), kinds(&rehearsed));
    assert_eq!(engine.images().len(), before - 1);
    assert!(engine.chaincode("kv:1").is_empty());
    assert_eq!(dev.query("kv", &["get", "a"]), "1", "what is installed goes on");
}

#[test]
fn one_chaincode_is_in_a_container_another_is_not_and_a_failed_build_says_why() {
    if !node_is_here() || !docker_is_here() {
        return;
    }
    let own = r#"{kv: {runtime: docker, hostConfig: {ReadonlyRootfs: false, Memory: 268435456}}, broken: {runtime: docker}}"#;
    let kv = root().join("tests/chaincode/kv");
    let variables = [("CORE_CHAINCODE_OVERRIDES", own), ("CORE_VM_RUNTIME", "process")];
    let dev = Dev::start_configured(&kv, "kv", tempfile::tempdir().unwrap(), &variables);
    let engine = OnEngine::of(&dev);
    assert_eq!(dev.invoke("kv", &["put", "a", "1"])["validationCode"], "VALID");
    let [container] = engine.chaincode("kv:1").try_into().unwrap();
    let host = inspected(&container)["HostConfig"].take();
    assert_eq!(
        (&host["ReadonlyRootfs"], &host["Memory"]),
        (&json!(false), &json!(268_435_456))
    );
    assert_eq!(host["CapDrop"], json!(["ALL"]), "the other keys stay");

    install(&dev, "plain", "1", &kv);
    dev.ok(&strings(&define("instantiate", "plain", "1")));
    assert!(
        engine.chaincode("plain:1").is_empty(),
        "a process of this machine"
    );

    let broken = dev.folder.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    let manifest = r#"{"name":"broken","version":"1.0.0","scripts":{"start":"node index.js"},"dependencies":{"fabric-shim":"0.0.0-none"}}"#;
    std::fs::write(broken.join("package.json"), manifest).unwrap();
    let said = dev.install_refused("broken", &broken);
    for part in [
        "phase dependencies of broken:1",
        "Error returned from build: 1",
        "fabric-shim",
        "peer chaincode logs broken:1",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let printed = dev.ok(&["chaincode", "logs", "broken:1", "--build"]);
    assert!(printed["build"].to_string().contains("0.0.0-none"), "{printed}");
    assert!(engine.chaincode("broken:1").is_empty(), "no builder stays");
    assert_eq!(dev.query("kv", &["get", "a"]), "1");
}

#[test]
fn without_an_engine_the_peer_runs_and_says_what_to_do() {
    if !node_is_here() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("unix://{}", folder.path().join("none.sock").display());
    let variables = [
        ("CORE_CHAINCODE_OVERRIDES", "{contained: {runtime: docker}}"),
        ("CORE_VM_ENDPOINT", endpoint.as_str()),
    ];
    let kv = root().join("tests/chaincode/kv");
    let dev = Dev::start_configured(&kv, "kv", folder, &variables);
    let said = dev.install_refused("contained", &kv);
    assert!(said.contains("no Docker Engine answers at unix://"), "{said}");
    assert!(said.contains("vm.runtime: process"), "{said}");
    assert_eq!(
        dev.invoke("kv", &["put", "a", "1"])["validationCode"],
        "VALID",
        "others work"
    );
    let log = std::fs::read_to_string(dev.folder.path().join("peer.log")).unwrap();
    assert!(
        log.contains("Docker is configured and cannot be used"),
        "it warned at start"
    );
}
