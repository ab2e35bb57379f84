//! This plugin keeps the promises of its kind.

use std::fs;

const CONFIG: &str =
    r#"{"goProxy": "https://proxy.example,off", "goNoSumDb": "example.com/*", "goFlags": "-v"}"#;

#[test]
fn keeps_its_promises() {
    let library = conformance::library("platform_golang").unwrap();
    conformance::check(&library, "{}").unwrap();
    conformance::check(&library, CONFIG).unwrap();
}

#[test]
fn packs_equal_sources_equally() {
    let sources = tempfile::tempdir().unwrap();
    fs::write(sources.path().join("go.mod"), "module example.com/kv\n").unwrap();
    fs::write(sources.path().join("main.go"), "package main").unwrap();
    fs::create_dir(sources.path().join("lib")).unwrap();
    fs::write(sources.path().join("lib/lib.go"), "package lib").unwrap();
    let library = conformance::library("platform_golang").unwrap();
    conformance::check_packages(&library, CONFIG, sources.path()).unwrap();
}
