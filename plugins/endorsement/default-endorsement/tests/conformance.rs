//! This plugin keeps the promises of its kind.

#[test]
fn keeps_its_promises() {
    let library = conformance::library("default_endorsement").unwrap();
    conformance::check(&library, "{}").unwrap();
}
