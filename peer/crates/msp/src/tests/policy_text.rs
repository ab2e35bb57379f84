//! The text form of policies (Fabric common/policydsl).

use protos::common::SignaturePolicy;
use protos::msp::MspPrincipal;
use protos::msp::msp_role::MspRoleType;

use crate::policy::{PolicyTextError, from_string, n_out_of, signed_by};
use crate::role_principal;

fn parsed(text: &str) -> (SignaturePolicy, Vec<MspPrincipal>) {
    let envelope = from_string(text).unwrap();
    assert_eq!(envelope.version, 0);
    (envelope.rule.unwrap(), envelope.identities)
}

fn members(ids: &[&str]) -> Vec<MspPrincipal> {
    ids.iter()
        .map(|id| role_principal(id, MspRoleType::Member))
        .collect()
}

#[test]
fn gates_become_counts() {
    let pair = || vec![signed_by(0), signed_by(1)];
    for (text, n) in [
        ("AND('A.member', 'B.member')", 2),
        ("And('A.member','B.member')", 2),
        ("and ( \"A.member\" , 'B.member' )", 2),
        ("OR('A.member', 'B.member')", 1),
        ("OutOf(1, 'A.member', 'B.member')", 1),
        ("OutOf('2', 'A.member', 'B.member')", 2),
        ("outof(0, 'A.member', 'B.member')", 0),
        ("OutOf(3, 'A.member', 'B.member')", 3),
    ] {
        assert_eq!(
            parsed(text),
            (n_out_of(n, pair()), members(&["A", "B"])),
            "{text}"
        );
    }
}

#[test]
fn principals_of_inner_gates_are_numbered_first() {
    let (rule, identities) = parsed("OR('A.member', AND('B.member', 'C.member'))");
    let inner = n_out_of(2, vec![signed_by(0), signed_by(1)]);
    assert_eq!(rule, n_out_of(1, vec![signed_by(2), inner]));
    assert_eq!(identities, members(&["B", "C", "A"]));
}

#[test]
fn a_principal_that_is_named_twice_is_listed_twice() {
    let (rule, identities) = parsed("AND('A.member', 'A.member')");
    assert_eq!(rule, n_out_of(2, vec![signed_by(0), signed_by(1)]));
    assert_eq!(identities, members(&["A", "A"]));
}

#[test]
fn roles_and_ids_with_dots() {
    let (_, identities) = parsed("OR('org.example-1.admin', 'B.client', 'B.peer', 'B.orderer')");
    let expected = [
        role_principal("org.example-1", MspRoleType::Admin),
        role_principal("B", MspRoleType::Client),
        role_principal("B", MspRoleType::Peer),
        role_principal("B", MspRoleType::Orderer),
    ];
    assert_eq!(identities, expected);
}

#[test]
fn what_is_no_policy_is_refused() {
    for (text, expected) in [
        (
            "OR('A.member', Bmember)",
            "unrecognized token 'Bmember' in policy string",
        ),
        (
            "OR('A.member', 'Bmember')",
            "unrecognized token 'Bmember' in policy string",
        ),
        ("XOR('A.member')", "unrecognized token 'XOR' in policy string"),
        (
            "OutOf(4, 'A.member', 'B.member')",
            "invalid t-out-of-n predicate, t 4, n 2",
        ),
        ("OutOf(-1, 'A.member')", "invalid t-out-of-n predicate, t -1, n 1"),
        ("AND()", "expected at least two arguments to NOutOf. Given 1"),
        ("OutOf(1)", "expected at least two arguments to NOutOf. Given 1"),
        ("'A.member'", "invalid policy string ''A.member''"),
        ("", "invalid policy string ''"),
        ("OR('A.member'", "invalid policy string 'OR('A.member''"),
        (
            "OR('A.member') OR('A.member')",
            "invalid policy string 'OR('A.member') OR('A.member')'",
        ),
        ("OR('A.member", "invalid policy string 'OR('A.member'"),
    ] {
        assert_eq!(from_string(text).unwrap_err().to_string(), expected, "{text}");
    }
    let deep = format!("{}'A.member'{}", "OR(".repeat(5_000), ")".repeat(5_000));
    assert_eq!(from_string(&deep).unwrap_err(), PolicyTextError::TooLarge);
    let long = format!("OR({}'A.member')", "'A.member',".repeat(10_000));
    assert_eq!(from_string(&long).unwrap_err(), PolicyTextError::TooLarge);
}
