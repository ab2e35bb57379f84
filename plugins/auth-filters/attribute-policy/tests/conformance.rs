//! This plugin keeps the promises of its kind.

#[test]
fn keeps_its_promises() {
    let library = conformance::library("attribute_policy").unwrap();
    let config = r#"{"policies": "permit (principal, action, resource);", "facts": ["jwt.sub"]}"#;
    conformance::check(&library, config).unwrap();
}
