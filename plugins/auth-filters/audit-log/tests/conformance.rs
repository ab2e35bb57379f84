//! This plugin keeps the promises of its kind.

#[test]
fn keeps_its_promises() {
    let library = conformance::library("audit_log").unwrap();
    let folder = tempfile::tempdir().unwrap();
    for config in [
        serde_json::json!({ "file": folder.path().join("audit.log"), "maxSizeMiB": 1, "keep": 1 }),
        serde_json::json!({}),
    ] {
        conformance::check(&library, &config.to_string()).unwrap();
    }
}
