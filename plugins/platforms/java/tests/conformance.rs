//! This plugin keeps the promises of its kind.

use std::fs;

const CONFIG: &str =
    r#"{"maven": {"mirror": "https://mirror.example/all", "proxy": "http://proxy.example:3128"}}"#;

#[test]
fn keeps_its_promises() {
    let library = conformance::library("platform_java").unwrap();
    conformance::check(&library, "{}").unwrap();
    conformance::check(&library, CONFIG).unwrap();
}

#[test]
fn packs_equal_sources_equally() {
    let sources = tempfile::tempdir().unwrap();
    fs::write(sources.path().join("pom.xml"), "<project/>").unwrap();
    fs::create_dir_all(sources.path().join("src/main/java")).unwrap();
    fs::write(sources.path().join("src/main/java/A.java"), "class A {}").unwrap();
    let library = conformance::library("platform_java").unwrap();
    conformance::check_packages(&library, CONFIG, sources.path()).unwrap();
}
