//! Java chaincode that a real Gradle builds, with the real shim, as a process.

use std::fs;
use std::path::{Path, PathBuf};

use integration::binaries::root;

use crate::dev::{Dev, are_here};

/// Whether the tests can run here. In CI they must.
pub fn gradle_is_here() -> bool {
    are_here(&[("java", "--version"), ("gradle", "--version")])
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The sources of the chaincode for Maven with a build file for Gradle.
fn sources(folder: &Path) -> PathBuf {
    let chaincode = root().join("tests/chaincode");
    let to = folder.join("kv-gradle");
    copy(&chaincode.join("kv-gradle"), &to);
    copy(&chaincode.join("kv-java/src"), &to.join("src"));
    to
}

#[test]
fn gradle_chaincode_is_built_and_runs() {
    if !gradle_is_here() {
        return;
    }
    let dev = Dev::network(&[]);
    let source = sources(dev.folder.path());
    let args = |command: &'static str| ["chaincode", command, "-n", "kv", "-v", "1", "-l", "java"];
    let path = ["-p", source.to_str().unwrap()];
    dev.ok(&[args("install").as_slice(), &path].concat());
    let define = ["-C", "mychannel", "-c", r#"{"Args":[]}"#, "--waitForEvent"];
    dev.ok(&[args("instantiate").as_slice(), &define].concat());
    assert_eq!(dev.invoke("kv", &["put", "a", "1"])["validationCode"], "VALID");
    assert_eq!(dev.query("kv", &["get", "a"]), "1");
    assert_eq!(dev.query("kv", &["whoami"]), "Org1MSP");
    let built = dev.ok(&["chaincode", "logs", "kv:1", "--build", "--tail", "0"])["build"].to_string();
    for line in [
        "==> phase dependencies",
        ":compileJava",
        "==> phase compile",
        "BUILD SUCCESSFUL",
    ] {
        assert!(built.contains(line), "{line} is not in {built}");
    }

    fs::write(
        source.join("src/main/java/kv/Broken.java"),
        "class Broken { int x = \"\"; }",
    )
    .unwrap();
    let broken = ["chaincode", "install", "-n", "broken", "-v", "1", "-l", "java"];
    let said = dev.refused(&[broken.as_slice(), &path].concat());
    assert!(
        said.contains("phase compile of broken:1") && said.contains("incompatible types"),
        "{said}"
    );
}
