//! Units, node OUs and admins by the rules of MSP version 1.4.3 (endorser case 48).

use std::sync::Arc;

use prost::Message;
use protos::msp::msp_principal::Classification;
use protos::msp::msp_role::MspRoleType;
use protos::msp::{CombinedPrincipal, FabricOuIdentifier, MspPrincipal, OrganizationUnit};
use protos::wire_message;

use super::authority::{Authority, Member, config, msp, node_ous};
use crate::{Admins, Identity, Msp, role_principal};

fn with_node_ous(root: &Authority) -> Arc<Msp> {
    let mut config = config("A", &[root]);
    config.fabric_node_ous = Some(node_ous(Some(root)));
    Arc::new(Msp::from_config(&config, Admins::Required).unwrap())
}

fn identity(msp: &Arc<Msp>, member: &Member) -> Identity {
    msp.deserialize(&member.serialized("A")).unwrap()
}

fn refusal(identity: &Identity, role: MspRoleType) -> String {
    wire_message(
        &*identity
            .satisfies_principal(&role_principal("A", role))
            .unwrap_err(),
    )
}

#[test]
fn the_admin_unit_makes_an_admin_and_exactly_one_unit_a_member() {
    let root = Authority::root("ca");
    let msp = with_node_ous(&root);
    let admin = identity(&msp, &root.member(&["admin"]));
    let client = identity(&msp, &root.member(&["client"]));
    let peer = identity(&msp, &root.member(&["peer", "department1"]));
    for (identity, role) in [
        (&admin, MspRoleType::Admin),
        (&admin, MspRoleType::Member),
        (&client, MspRoleType::Member),
        (&client, MspRoleType::Client),
        (&peer, MspRoleType::Peer),
    ] {
        identity.satisfies_principal(&role_principal("A", role)).unwrap();
    }
    assert_eq!(
        refusal(&client, MspRoleType::Admin),
        "The identity is not an admin under this MSP [A]: The identity does not contain OU [ADMIN], MSP: [A]"
    );
    assert_eq!(
        refusal(&client, MspRoleType::Peer),
        "The identity is not a [PEER] under this MSP [A]: The identity does not contain OU [PEER], MSP: [A]"
    );
    let none = refusal(&identity(&msp, &root.member(&["other"])), MspRoleType::Member);
    assert!(
        none.contains("the identity does not have an OU that resolves to client, peer, orderer, or admin role. OUs: [other("),
        "{none}"
    );
    let two = refusal(
        &identity(&msp, &root.member(&["client", "peer"])),
        MspRoleType::Member,
    );
    assert!(two.contains("not a combination of them"), "{two}");
}

#[test]
fn a_unit_bound_to_a_ca_needs_that_ca() {
    let root = Authority::root("ca");
    let other = Authority::root("other");
    let mut config = config("A", &[&root, &other]);
    config.fabric_node_ous = Some(node_ous(Some(&root)));
    let msp = msp(&config);
    identity(&msp, &root.member(&["client"])).validate().unwrap();
    let error = identity(&msp, &other.member(&["client"])).validate().unwrap_err();
    assert!(wire_message(&*error).contains("certifiersIdentifier does not match"));
    let stranger = Authority::root("stranger");
    config.fabric_node_ous = Some(node_ous(Some(&stranger)));
    assert!(Msp::from_config(&config, Admins::Required).is_err());
}

#[test]
fn somebody_must_be_admin_where_the_rules_ask_for_it() {
    let root = Authority::root("ca");
    let mut config = config("A", &[&root]);
    let error = Msp::from_config(&config, Admins::Required).unwrap_err();
    assert_eq!(
        wire_message(&error),
        "administrators must be declared when no admin ou classification is set"
    );
    Msp::from_config(&config, Admins::Optional).unwrap();

    let admin = root.member(&[]);
    config.admins = vec![admin.pem.clone().into()];
    let msp = Arc::new(Msp::from_config(&config, Admins::Required).unwrap());
    let listed = identity(&msp, &admin);
    listed
        .satisfies_principal(&role_principal("A", MspRoleType::Admin))
        .unwrap();
    let other = identity(&msp, &root.member(&[]));
    assert_eq!(
        refusal(&other, MspRoleType::Admin),
        "This identity is not an admin"
    );
    let peer = refusal(&other, MspRoleType::Peer);
    assert!(
        peer.ends_with("NodeOUs not activated. Cannot tell apart identities."),
        "{peer}"
    );

    let stranger = Authority::root("stranger").member(&[]);
    config.admins = vec![stranger.pem.into()];
    let error = Msp::from_config(&config, Admins::Required).unwrap_err();
    assert!(wire_message(&error).starts_with("admin 0 is invalid"));
}

#[test]
fn a_listed_admin_is_client_or_admin_by_its_unit() {
    let root = Authority::root("ca");
    let mut config = config("A", &[&root]);
    config.fabric_node_ous = Some(node_ous(None));
    for (unit, fits) in [("client", true), ("admin", true), ("peer", false)] {
        config.admins = vec![root.member(&[unit]).pem.into()];
        assert_eq!(
            Msp::from_config(&config, Admins::Required).is_ok(),
            fits,
            "{unit}"
        );
    }
}

#[test]
fn recognised_units_limit_who_is_a_member() {
    let root = Authority::root("ca");
    let mut config = config("A", &[&root]);
    config.organizational_unit_identifiers = vec![FabricOuIdentifier {
        certificate: root.pem(),
        organizational_unit_identifier: "sales".into(),
    }];
    let msp = msp(&config);
    identity(&msp, &root.member(&["sales"])).validate().unwrap();
    let error = identity(&msp, &root.member(&["support"])).validate().unwrap_err();
    let text = wire_message(&*error);
    assert!(
        text.contains("none of the identity's organizational units [support("),
        "{text}"
    );
    let error = identity(&msp, &root.member(&[])).validate().unwrap_err();
    assert!(wire_message(&*error).ends_with("does not contain an Organizational Unit (OU)"));
}

#[test]
fn principals_of_every_kind_are_evaluated() {
    let root = Authority::root("ca");
    let msp = with_node_ous(&root);
    let member = root.member(&["client"]);
    let client = identity(&msp, &member);
    let principal = |kind: Classification, bytes: Vec<u8>| MspPrincipal {
        principal_classification: kind.into(),
        principal: bytes.into(),
    };
    let same = principal(Classification::Identity, member.serialized("A").to_vec());
    client.satisfies_principal(&same).unwrap();
    let other = principal(
        Classification::Identity,
        root.member(&["client"]).serialized("A").to_vec(),
    );
    assert_eq!(
        wire_message(&*client.satisfies_principal(&other).unwrap_err()),
        "The identities do not match"
    );
    let parent = crate::Certificate::from_pem(&root.pem()).unwrap();
    let unit = |name: &str, msp: &str| OrganizationUnit {
        msp_identifier: msp.into(),
        organizational_unit_identifier: name.into(),
        certifiers_identifier: client.units().unwrap().certifiers.to_vec().into(),
    };
    assert!(parent.is_ca());
    let ou = |name, msp| principal(Classification::OrganizationUnit, unit(name, msp).encode_to_vec());
    client.satisfies_principal(&ou("client", "A")).unwrap();
    client.satisfies_principal(&ou("peer", "A")).unwrap_err();
    assert_eq!(
        wire_message(&*client.satisfies_principal(&ou("client", "B")).unwrap_err()),
        "the identity is a member of a different MSP (expected B, got A)"
    );
    let combined = |principals: Vec<MspPrincipal>| {
        principal(
            Classification::Combined,
            CombinedPrincipal { principals }.encode_to_vec(),
        )
    };
    let role = |role| role_principal("A", role);
    client
        .satisfies_principal(&combined(vec![role(MspRoleType::Member), ou("client", "A")]))
        .unwrap();
    client
        .satisfies_principal(&combined(vec![
            role(MspRoleType::Member),
            role(MspRoleType::Admin),
        ]))
        .unwrap_err();
    client.satisfies_principal(&combined(Vec::new())).unwrap_err();
    let mut nested = role(MspRoleType::Member);
    for _ in 0..40 {
        nested = combined(vec![nested]);
    }
    client.satisfies_principal(&nested).unwrap_err();
    client
        .satisfies_principal(&principal(Classification::Role, vec![0xff]))
        .unwrap_err();
    let unknown = MspPrincipal {
        principal_classification: 77,
        principal: bytes::Bytes::new(),
    };
    let text = wire_message(&*client.satisfies_principal(&unknown).unwrap_err());
    assert_eq!(text, "invalid principal type 77");
}
