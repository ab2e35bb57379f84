//! `peer dev --chaincode` takes changes over, keeps answering when one fails, and tidies up after itself.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use integration::binaries::root;

use crate::dev::{Dev, node_is_here};

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{} has no {from}", file.display());
    fs::write(file, text.replace(from, to)).unwrap();
}

/// The folders of chaincode versions, each with its build.
fn builds(dev: &Dev) -> Vec<String> {
    let entries = fs::read_dir(dev.path("dir").join("peer/process")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("-kv-")).collect()
}

/// What is not needed any more is removed after the person has been told.
#[expect(clippy::disallowed_methods, reason = "nobody else runs on this thread")]
fn only_the_second_build_is_left(dev: &Dev) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let left = builds(dev);
        if left.len() == 1 && left[0].contains("-kv-2") {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "what was replaced or has failed stays: {left:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_change_is_taken_over_and_a_broken_one_leaves_the_former_version() {
    if !node_is_here() {
        return;
    }
    let source = tempfile::tempdir().unwrap();
    for file in ["index.js", "package.json", "package-lock.json"] {
        let from = root().join("tests/chaincode/kv").join(file);
        fs::copy(from, source.path().join(file)).unwrap();
    }
    let (index, manifest) = (source.path().join("index.js"), source.path().join("package.json"));
    let dev = Dev::start_with(source.path(), "kv", tempfile::tempdir().unwrap());
    dev.invoke("kv", &["put", "a", "1"]);

    replace(
        &index,
        "return stub.getState(key);",
        "return `new ${text(await stub.getState(key))}`;",
    );
    dev.wait_for("kv: version 2 is running, it replaced 1");
    assert_eq!(dev.query("kv", &["get", "a"]), "new 1");
    only_the_second_build_is_left(&dev);

    let good = fs::read(&manifest).unwrap();
    fs::write(&manifest, "{ this is no JSON").unwrap();
    dev.wait_for("kv: FAILED, version 2 still answers");
    assert_eq!(dev.query("kv", &["get", "a"]), "new 1");
    fs::write(&manifest, good).unwrap();
    dev.wait_for("kv: nothing new, version 2 is running");

    replace(
        &index,
        "async Init(stub) {",
        "async Init(stub) {\n        return shim.error('not today');",
    );
    let failed = dev.wait_for("kv: FAILED, version 2 still answers");
    assert!(failed.contains("change a file to try again"), "{failed}");
    assert_eq!(dev.query("kv", &["get", "a"]), "new 1");
    only_the_second_build_is_left(&dev);
}
