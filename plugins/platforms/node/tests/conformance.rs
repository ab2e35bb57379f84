//! This plugin keeps the promises of its kind.

use std::fs;

const CONFIG: &str = r#"{"npm": {"registry": "http://registry.example:4873"}}"#;

#[test]
fn keeps_its_promises() {
    let library = conformance::library("platform_node").unwrap();
    conformance::check(&library, "{}").unwrap();
    conformance::check(&library, CONFIG).unwrap();
}

#[test]
fn packs_equal_sources_equally() {
    let sources = tempfile::tempdir().unwrap();
    fs::write(sources.path().join("package.json"), r#"{"name": "cc"}"#).unwrap();
    fs::write(sources.path().join("index.js"), "1").unwrap();
    let library = conformance::library("platform_node").unwrap();
    conformance::check_packages(&library, CONFIG, sources.path()).unwrap();
}
