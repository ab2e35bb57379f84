//! Whatever goes wrong between a package and a running chaincode: the error names the phase, in both runtimes, with the
//! real tools of each language.

use std::fs;
use std::path::Path;

use integration::ports::Reserved;
use serde_json::json;

use crate::dev::{Dev, are_here, install, node_is_here, source};
use crate::docker::{OnEngine, docker_is_here};

/// A network in which nothing can be fetched for chaincodes called `cut-off`, since nobody listens at that port, and no
/// image for one called `unpulled`.
fn network(runtime: &str, nobody: &Reserved) -> Dev {
    let nobody = format!("http://{}/", nobody.address());
    let platforms = json!([
        { "name": "golang", "config": { "chaincodes": {
            "cut-off": { "goProxy": nobody, "goSumDb": "off" },
            "unpulled": { "builderImage": "localhost:1/none:1" },
        } } },
        { "name": "node", "config": { "chaincodes": { "cut-off": { "npm": { "registry": nobody } } } } },
        { "name": "java", "config": { "chaincodes": { "cut-off": { "maven": { "mirror": nobody } } } } },
    ]);
    Dev::network(&[
        ("CORE_VM_RUNTIME", runtime),
        // what ends at once must have begun by then, on a busy machine as well
        ("CORE_CHAINCODE_STARTUPTIMEOUT", "20s"),
        ("CORE_PEER_HANDLERS_PLATFORMS", &platforms.to_string()),
    ])
}

/// Installs what does not build; the error must name that phase, and hold Fabric's text and the reason.
fn does_not_build(dev: &Dev, (name, lang): (&str, &str), folder: &Path, phase: &str, reason: &str) {
    let said = dev.refused(&install(name, lang, folder));
    for part in [
        "chaincode installed to peer but could not build chaincode: ",
        &format!("phase {phase} of {name}:1 (all output: peer chaincode logs {name}:1): "),
        "Error returned from build: ",
        reason,
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    let id = format!("{name}:1");
    let printed = dev.ok(&["chaincode", "logs", &id, "--build", "--tail", "0"]);
    let printed = printed["build"].to_string();
    assert!(printed.contains(&format!("==> phase {phase}")), "{printed}");
    assert!(!printed.contains("@phase-"), "{printed}");
    let installed = dev
        .folder
        .path()
        .join("net/peer/chaincodes")
        .join(format!("{name}.1"));
    fs::remove_file(installed).unwrap();
}

/// Installs and instantiates what builds and does not run; returns what the command said.
fn does_not_run(dev: &Dev, name: &str, main: &str) -> String {
    let main = format!("package main\nimport (\"os\"; \"time\")\nfunc main() {{ {main} }}\n");
    let files = [("go.mod", "module example.com/x\ngo 1.20\n"), ("main.go", &main)];
    let folder = source(dev, name, &files);
    dev.ok(&install(name, "golang", &folder));
    let ctor = r#"{"Args":[]}"#;
    dev.refused(&[
        "chaincode",
        "instantiate",
        "-C",
        "mychannel",
        "-n",
        name,
        "-v",
        "1",
        "-l",
        "golang",
        "-c",
        ctor,
    ])
}

fn go(dev: &Dev) {
    let module = "module example.com/kv\ngo 1.20\n";
    let needs = format!("{module}require github.com/pkg/errors v0.9.1\n");
    let sum = "github.com/pkg/errors v0.9.1 h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=\n\
               github.com/pkg/errors v0.9.1/go.mod h1:bwawxfHBFNV+L2hUp1rHADufV3IMtnDRdf1r5NINEl0=\n";
    let uses = "package main\nimport \"github.com/pkg/errors\"\nfunc main() { panic(errors.New(\"x\")) }\n";
    let files = [("go.mod", needs.as_str()), ("go.sum", sum), ("main.go", uses)];
    let cut_off = source(dev, "go-needs", &files);
    does_not_build(
        dev,
        ("cut-off", "golang"),
        &cut_off,
        "dependencies",
        "connection refused",
    );

    let broken = "package main\nfunc main() { println(\"x\" }\n";
    let broken = source(dev, "go-broken", &[("go.mod", module), ("main.go", broken)]);
    does_not_build(dev, ("broken", "golang"), &broken, "compile", "syntax error");

    let said = does_not_run(dev, "ends", "println(\"good bye\"); time.Sleep(1); os.Exit(3)");
    assert!(
        said.contains(
            "could not launch chaincode ends:1: chaincode registration failed: container exited with 3 (phase start; \
             all output: peer chaincode logs ends:1), last output: "
        ) && said.contains("good bye"),
        "{said}"
    );
    let said = does_not_run(dev, "silent", "time.Sleep(time.Hour); os.Exit(0)");
    assert!(
        said.contains(
            "could not launch chaincode silent:1: timeout expired while starting chaincode silent:1 for transaction \
             (phase register: not over within 20s, chaincode.startuptimeout; "
        ),
        "{said}"
    );
}

fn node(dev: &Dev) {
    let needs = r#"{"name":"kv","version":"1.0.0","scripts":{"start":"node ."},"dependencies":{"fabric-shim":"2.5.8"}}"#;
    let cut_off = source(
        dev,
        "node-needs",
        &[("package.json", needs), (".npmrc", "fetch-retries=0\n")],
    );
    does_not_build(dev, ("cut-off", "node"), &cut_off, "dependencies", "ECONNREFUSED");

    let broken = r#"{"name":"kv","version":"1.0.0","scripts":{"start":"node .","install":"echo no compiler; exit 4"}}"#;
    let broken = source(dev, "node-broken", &[("package.json", broken)]);
    does_not_build(dev, ("broken", "node"), &broken, "compile", "no compiler");
}

fn java(dev: &Dev) {
    let project = "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
                   <groupId>x</groupId><artifactId>kv</artifactId><version>1</version><properties>\
                   <maven.compiler.source>11</maven.compiler.source><maven.compiler.target>11</maven.compiler.target>\
                   </properties><build><finalName>chaincode</finalName></build></project>";
    let main = "package kv; class Main { int x = \"none\"; }";
    let files = [("pom.xml", project), ("src/main/java/kv/Main.java", main)];
    let folder = source(dev, "java", &files);
    does_not_build(
        dev,
        ("cut-off", "java"),
        &folder,
        "dependencies",
        "Connection refused",
    );
    does_not_build(dev, ("broken", "java"), &folder, "compile", "incompatible types");
}

#[test]
fn processes_fail_by_phase() {
    let tools = [("go", "version"), ("java", "--version"), ("mvn", "--version")];
    if !node_is_here() || !are_here(&tools) {
        return;
    }
    let nobody = Reserved::any();
    let dev = network("process", &nobody);
    go(&dev);
    node(&dev);
    java(&dev);
}

#[test]
fn containers_fail_by_phase() {
    if !docker_is_here() {
        return;
    }
    let nobody = Reserved::any();
    let dev = network("docker", &nobody);
    let engine = OnEngine::of(&dev);
    go(&dev);
    node(&dev);
    java(&dev);
    let folder = source(
        &dev,
        "go-unpulled",
        &[("go.mod", "module x\n"), ("main.go", "package main\n")],
    );
    let said = dev.refused(&install("unpulled", "golang", &folder));
    for part in ["phase pull of unpulled:1 ", "Failed to pull localhost:1/none:1: "] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(engine.chaincode("broken:1").is_empty(), "no builder stays");
}
