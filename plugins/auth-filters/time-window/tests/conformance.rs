//! This plugin keeps the promises of its kind.

#[test]
fn keeps_its_promises() {
    let library = conformance::library("time_window").unwrap();
    conformance::check(&library, r#"{"before": "5m", "after": "1m"}"#).unwrap();
}
