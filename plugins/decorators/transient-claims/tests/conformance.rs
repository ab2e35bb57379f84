//! This plugin keeps the promises of its kind.

#[test]
fn keeps_its_promises() {
    let library = conformance::library("transient_claims").unwrap();
    conformance::check(&library, "{}").unwrap();
    conformance::check(
        &library,
        r#"{"attribute": "ext-authz.user", "decoration": "user"}"#,
    )
    .unwrap();
}
