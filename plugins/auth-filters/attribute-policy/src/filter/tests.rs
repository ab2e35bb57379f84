//! Decisions, without a peer around them.

use super::*;
use crate::creator::Creator;
use crate::policies::{Source, compile};

fn filter(policies: &str) -> AttributePolicy {
    let model = Model::new(Vec::new()).unwrap();
    let source = Source {
        place: "policies".to_owned(),
        name: "policies".to_owned(),
        text: policies.to_owned(),
    };
    let policies = compile(&[source], model.schema()).unwrap();
    AttributePolicy::new(model, policies)
}

fn verdict(policies: &str, arguments: usize) -> Verdict {
    let filter = filter(policies);
    let creator = Creator {
        common_name: "alice".to_owned(),
        ..Creator::default()
    };
    let subject = filter.model.subject("Org1MSP", creator, "ch", "cc").unwrap();
    let context = context(Circumstances {
        function: "put",
        arguments,
        init: false,
        remote_ip: None,
        tls_cert: None,
        facts: Vec::new(),
    });
    filter.decide(&subject, context.unwrap()).unwrap()
}

#[test]
fn deciding_policies_are_named() {
    let text = r#"
        @id("b") permit (principal, action, resource);
        @id("a") permit (principal in Msp::"Org1MSP", action, resource);
        @id("other") permit (principal in Msp::"Org2MSP", action, resource);
        @id("many") forbid (principal, action, resource) when { context.arguments > 5 };"#;
    let permitted = verdict(text, 2);
    assert_eq!((permitted.allowed, permitted.names().as_str()), (true, "a,b"));
    let forbidden = verdict(text, 6);
    assert_eq!((forbidden.allowed, forbidden.names().as_str()), (false, "many"));
    let nothing_fits = verdict(r#"permit (principal in Msp::"Org2MSP", action, resource);"#, 2);
    assert_eq!(
        (nothing_fits.allowed, nothing_fits.names().as_str()),
        (false, "default-deny")
    );
}

#[test]
fn a_policy_that_fails_permits_nothing() {
    let text = r#"
        @id("all") permit (principal, action, resource);
        @id("sum") forbid (principal, action, resource) when { context.arguments + 9223372036854775807 == 0 };"#;
    assert!(verdict(text, 0).allowed);
    let failed = verdict(text, 1);
    assert_eq!((failed.allowed, failed.errors.len()), (false, 1));
    assert!(failed.errors[0].contains("sum"), "{:?}", failed.errors);
}

#[test]
fn names_are_cut_between_characters() {
    assert_eq!(
        (shown("aé", 2), shown("aé", 3), shown("aé", 9)),
        ("a", "aé", "aé")
    );
}

#[test]
fn subjects_are_remembered_by_all_that_makes_them() {
    let filter = filter("permit (principal, action, resource);");
    let pem = crate::creator::tests::certificate("alice", "client", &[]);
    let of = |mspid, channel, chaincode| SubjectOf {
        mspid,
        creator_cert: pem.as_bytes(),
        channel,
        chaincode,
    };
    let first = filter.subject(&of("Org1MSP", "ch", "cc")).unwrap();
    assert!(Arc::ptr_eq(
        &first,
        &filter.subject(&of("Org1MSP", "ch", "cc")).unwrap()
    ));
    for other in [
        of("Org2MSP", "ch", "cc"),
        of("Org1MSP", "c2", "cc"),
        of("Org1MSP", "ch", "c2"),
    ] {
        assert!(!Arc::ptr_eq(&first, &filter.subject(&other).unwrap()));
    }
    assert_eq!(filter.subjects.len(), 4);
    let long = "x".repeat(MAX_REMEMBERED_SIZE);
    assert!(filter.subject(&of("Org1MSP", &long, "cc")).is_ok());
    assert_eq!(filter.subjects.len(), 4);
    let names: Vec<_> = (0..2 * REMEMBERED).map(|number| number.to_string()).collect();
    for name in &names {
        assert!(filter.subject(&of("Org1MSP", name, "cc")).is_ok());
    }
    assert!(filter.subjects.len() <= REMEMBERED);
}
