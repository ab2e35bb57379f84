//! What the filter does in a peer's chain.

#![cfg(test)]

use conformance::behaviour::{AloneFilter, ParsedRequest, Sample, endorsed};
use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair};
use serde_json::{Value, json};
use std::sync::Arc;

fn load(config: &Value) -> Result<AloneFilter, String> {
    let library = conformance::library("attribute_policy").unwrap();
    AloneFilter::load(&library, config).map_err(|error| error.to_string())
}

/// As Fabric CA makes them.
fn certificate(common_name: &str, unit: &str, attributes: &Value) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
        .distinguished_name
        .push(DnType::OrganizationalUnitName, unit);
    let json = json!({ "attrs": attributes }).to_string();
    let extension = CustomExtension::from_oid_content(&[1, 2, 3, 4, 5, 6, 7, 8, 1], json.into_bytes());
    params.custom_extensions = vec![extension];
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

fn said(request: &ParsedRequest) -> (String, String) {
    let said = |name| String::from_utf8(request.said.get(name).unwrap_or_default().to_vec()).unwrap();
    (said("policy.decision"), said("policy.id"))
}

fn with(pem: &str, attrs: &[(&str, &[u8])]) -> Arc<ParsedRequest> {
    let sample = Sample {
        creator_cert: pem.as_bytes(),
        attrs,
        ..Sample::default()
    };
    sample.request()
}

const POLICIES: &str = r#"
@id("sales-transfer")
permit (principal in Msp::"Org1MSP", action, resource == Chaincode::"mycc")
when {
    resource in Channel::"mychannel" && context.function == "transfer" && context.arguments == 2 &&
    principal.hasTag("department") && principal.getTag("department") == "sales"
};
@id("auditors-read")
permit (principal, action, resource in Channel::"mychannel")
when { principal.ous.contains("auditor") && context.function like "query*" };
@id("not-mallory")
forbid (principal, action, resource) when { principal.cn == "mallory" };
@id("from-inside")
forbid (principal, action, resource)
unless { context has remoteIp && context.remoteIp.isInRange(ip("192.0.2.0/24")) };
"#;

/// Twice: the second decision is over what is remembered.
fn decides(filter: &AloneFilter, sample: &Sample<'_>, decision: &str, id: &str) {
    let request = sample.request();
    for _ in 0..2 {
        let outcome = filter.call(&request, endorsed());
        assert_eq!(said(&request), (decision.to_owned(), id.to_owned()), "{sample:?}");
        if decision == "allow" {
            assert_eq!(outcome, endorsed());
            continue;
        }
        let refusal = outcome.unwrap_err();
        assert_eq!(
            (refusal.code, refusal.message.as_str()),
            (7, "this peer's policies do not permit this proposal")
        );
    }
}

#[test]
fn attributes_names_and_calls_decide_and_the_policy_is_told_to_the_peer_alone() {
    let filter = load(&json!({ "policies": POLICIES })).unwrap();
    let sales = certificate("alice", "client", &json!({ "department": "sales" }));
    let stock = certificate("bob", "client", &json!({ "department": "stock" }));
    let auditor = certificate("carol", "auditor", &json!({}));
    let mallory = certificate("mallory", "auditor", &json!({ "department": "sales" }));
    let transfer = Sample {
        args: &["transfer", "a", "b"],
        creator_cert: sales.as_bytes(),
        ..Sample::default()
    };
    let query = Sample {
        args: &["queryAll"],
        creator_cert: auditor.as_bytes(),
        msp_id: "Org2MSP",
        ..Sample::default()
    };
    decides(&filter, &transfer, "allow", "sales-transfer");
    decides(&filter, &query, "allow", "auditors-read");
    for creator_cert in [stock.as_bytes(), auditor.as_bytes()] {
        let other = Sample {
            creator_cert,
            ..transfer.clone()
        };
        decides(&filter, &other, "deny", "default-deny");
    }
    let by_mallory = Sample {
        creator_cert: mallory.as_bytes(),
        ..query.clone()
    };
    decides(&filter, &by_mallory, "deny", "not-mallory");
    let changes: [fn(&mut Sample<'_>); 6] = [
        |sample| sample.msp_id = "Org2MSP",
        |sample| sample.chaincode = "other",
        |sample| sample.channel = "other",
        |sample| sample.channel = "",
        |sample| sample.args = &["transfer", "a"],
        |sample| sample.args = &["queryAll"],
    ];
    for change in changes {
        let mut changed = transfer.clone();
        change(&mut changed);
        decides(&filter, &changed, "deny", "default-deny");
    }
    for remote_addr in ["198.51.100.1:7", ""] {
        let outside = Sample {
            remote_addr,
            ..query.clone()
        };
        decides(&filter, &outside, "deny", "from-inside");
    }
}

#[test]
fn what_other_filters_have_said_counts() {
    let policies = r#"permit (principal, action, resource) when {
        context.facts has "jwt.sub" && context.facts["jwt.sub"] == "alice" };"#;
    let filter = load(&json!({ "policies": policies, "facts": ["jwt.sub"] })).unwrap();
    let pem = certificate("alice", "client", &json!({}));
    assert!(
        filter
            .call(&with(&pem, &[("jwt.sub", b"alice")]), endorsed())
            .is_ok()
    );
    for attrs in [
        &[][..],
        &[("jwt.sub", b"bob".as_slice())],
        &[("jwt.iss", b"alice")],
    ] {
        assert_eq!(filter.call(&with(&pem, attrs), endorsed()).unwrap_err().code, 7);
    }
    let refusal = filter
        .call(&with(&pem, &[("jwt.sub", b"\xff")]), endorsed())
        .unwrap_err();
    assert!(refusal.message.contains("jwt.sub is no UTF-8"), "{refusal}");
}

#[test]
fn the_connections_certificate_can_be_asked_for() {
    // SHA-256 of "der"
    let policies = r#"permit (principal, action, resource) when { context has tlsCert &&
        context.tlsCert == "5050d80d22ecd471ea55df7034042c1e041341ff4066e7f6ff38e20b720df8ea" };"#;
    let filter = load(&json!({ "policies": policies })).unwrap();
    let pem = certificate("alice", "client", &json!({}));
    assert!(
        filter
            .call(&with(&pem, &[("tls.peer-cert", b"der")]), endorsed())
            .is_ok()
    );
    for attrs in [&[][..], &[("tls.peer-cert", b"other".as_slice())]] {
        assert_eq!(filter.call(&with(&pem, attrs), endorsed()).unwrap_err().code, 7);
    }
}

#[test]
fn what_no_policy_could_know_is_refused() {
    let filter = load(&json!({ "policies": "permit (principal, action, resource);" })).unwrap();
    let pem = certificate("alice", "client", &json!({}));
    let good = Sample {
        creator_cert: pem.as_bytes(),
        ..Sample::default()
    };
    assert!(filter.call(&good.request(), endorsed()).is_ok());
    let mut undecodable = ParsedRequest::clone(&good.request());
    undecodable.proposal_bytes = (&b"\xff\xff"[..]).into();
    let broken = certificate("alice", "client", &json!({ "a": 1 }));
    let long = "f".repeat(65_537);
    for (request, text) in [
        (
            Sample {
                creator_cert: b"",
                ..good.clone()
            }
            .request(),
            "certificate cannot be used: there is none",
        ),
        (
            Sample {
                creator_cert: b"garbage",
                ..good.clone()
            }
            .request(),
            "it is no PEM",
        ),
        (
            Sample {
                creator_cert: broken.as_bytes(),
                ..good.clone()
            }
            .request(),
            "Fabric CA's attributes in it cannot be read",
        ),
        (Arc::new(undecodable), "the proposal cannot be decoded"),
        (
            Sample {
                args: &[&long],
                ..good.clone()
            }
            .request(),
            "longer than 65536 bytes",
        ),
    ] {
        let refusal = filter.call(&request, endorsed()).unwrap_err();
        assert_eq!(refusal.code, 3, "{refusal}");
        assert!(refusal.message.contains(text), "{refusal}");
    }
}

#[test]
fn files_are_read_at_start_and_errors_in_them_have_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.cedar");
    std::fs::write(&file, "\npermit (principal, action, resource);\n").unwrap();
    let filter = load(&json!({ "files": [file] })).unwrap();
    let pem = certificate("alice", "client", &json!({}));
    let request = Sample {
        creator_cert: pem.as_bytes(),
        ..Sample::default()
    }
    .request();
    assert!(filter.call(&request, endorsed()).is_ok());
    assert_eq!(said(&request), ("allow".to_owned(), "access.cedar#1".to_owned()));
    std::fs::write(
        &file,
        "permit (principal, action, resource)\nwhen { principal.cm == \"a\" };",
    )
    .unwrap();
    let error = load(&json!({ "files": [file] })).err().unwrap();
    assert!(
        error.contains("access.cedar:2:8: ") && error.contains("cm"),
        "{error}"
    );
    let missing = json!({ "files": ["/nonexistent/access.cedar"] });
    let error = load(&missing).err().unwrap();
    assert!(
        error.contains("cannot read the policies in /nonexistent/access.cedar"),
        "{error}"
    );
    for wrong in [
        json!({}),
        json!({ "files": ["relative"] }),
        json!({ "policies": "", "facts": ["a b"] }),
    ] {
        assert!(load(&wrong).is_err(), "{wrong}");
    }
}
