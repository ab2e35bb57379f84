//! `peer plugin test` against a plugin that misbehaves: every misbehaviour is a failed check, and the tool goes on.

use std::process::{Command, Output};

use integration::binaries::{peer_binary, target_dir};
use serde_json::{Value, json};

fn run(mode: &str, args: &[&str]) -> Output {
    let library = target_dir().join("libfault_plugin.so");
    assert!(library.exists(), "run cargo build --workspace first");
    let mut peer = Command::new(peer_binary());
    peer.args(["plugin", "test", "--output", "json", "--config"])
        .arg(json!({ "mode": mode }).to_string())
        .arg(library)
        .args(args);
    peer.output().unwrap()
}

/// Makes these checks, of which the last must fail alone; returns its reasons.
fn reasons(mode: &str, checks: &[&str]) -> String {
    let args: Vec<&str> = checks.iter().flat_map(|check| ["--check", check]).collect();
    let output = run(mode, &args);
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(output.status.code(), Some(3), "{report}");
    assert_eq!(report["failed"], 1, "{report}");
    let made = report["checks"].as_array().unwrap();
    assert_eq!(made.len(), checks.len());
    let failed = &made[made.len() - 1];
    assert_eq!(failed["outcome"], "failed", "{report}");
    failed["reasons"].to_string()
}

#[test]
fn every_misbehaviour_is_a_failed_check_with_its_reason() {
    for (mode, check, reason) in [
        (
            "segv",
            "authFilter/empty",
            "ended by signal 11 (SIGSEGV); its last words: ",
        ),
        ("abort", "authFilter/garbage", "ended by signal 6 (SIGABRT)"),
        (
            "panic in before",
            "authFilter/empty",
            "does not panic with empty input",
        ),
        ("hang", "authFilter/endorser-error", "answers in time"),
        ("print", "authFilter/order", "writes to standard output ("),
        (
            "leak",
            "authFilter/call-memory",
            "needs no more memory after 2000 calls",
        ),
        (
            "moody",
            "authFilter/garbage",
            "decides the same twice with garbage",
        ),
    ] {
        let said = reasons(mode, &["authFilter/manifest", check]);
        assert!(said.contains(reason), "{mode}: {said}");
    }
}

#[test]
fn a_library_that_cannot_be_used_is_not_tested_further() {
    let output = run("refuse config", &["--kind", "decorator"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), &report["failed"], &report["passed"]),
        (Some(3), &json!(1), &json!(0))
    );
    assert!(
        report["checks"][0]["reasons"]
            .to_string()
            .contains("mode is not to my taste"),
        "{report}"
    );
    assert!(report["skipped"].as_u64().unwrap() > 5, "{report}");
}

#[test]
fn what_cannot_be_asked_is_said() {
    for (args, text) in [
        (
            ["--kind", "platform"],
            "the library is no platform; it offers auth filter, decorator",
        ),
        (
            ["--check", "authFilter/colour"],
            "there is no check \"authFilter/colour\"; there are authFilter/manifest, ",
        ),
    ] {
        let output = run("pass", &args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(text), "{said}");
    }
}
