//! Transactions of LSCC.

use msp::LocalSigner;
use std::sync::Arc;

use super::*;
use committer::test_support::deployment_spec;

/// A deployment or upgrade of `new` before it is signed.
fn deployment(creator: &Arc<LocalSigner>, function: &str, name: &str, version: &str) -> TestTransaction {
    let spec = deployment_spec(name, version).encode_to_vec();
    let args = [
        function.as_bytes(),
        CHANNEL.as_bytes(),
        &spec,
        b"",
        b"escc",
        b"vscc",
    ];
    let proposal = TestProposal::new(creator, CHANNEL, "lscc", &args);
    TestTransaction::new(proposal, "syscc", &[&network().org1.node])
}

fn data(name: &str, version: &str) -> Vec<u8> {
    definition(name, version, "OR('Org1MSP.peer')").encode_to_vec()
}

fn admin() -> &'static Arc<LocalSigner> {
    &network().org1.admin
}

fn deploy(write: impl FnOnce(TestTransaction) -> TestTransaction) -> Code {
    code(
        &FakeState::new(),
        write(deployment(admin(), "deploy", "new", "1.0")).sign(),
    )
}

const REFUSED: Code = Code::EndorsementPolicyFailure;

#[test]
fn a_deployment_writes_its_definition_and_its_own_namespace() {
    let good = |transaction: TestTransaction| transaction.write("lscc", "new", data("new", "1.0"));
    assert_eq!(deploy(good), Code::Valid);
    assert_eq!(deploy(|t| good(t).write("new", "key", "value")), Code::Valid);
    assert_eq!(deploy(|t| good(t).write("mycc", "key", "value")), REFUSED);
    assert_eq!(deploy(|t| t), REFUSED);
    assert_eq!(
        deploy(|t| good(t).write("lscc", "x", "1").write("lscc", "y", "1")),
        REFUSED
    );
    assert_eq!(deploy(|t| t.write("lscc", "other", data("new", "1.0"))), REFUSED);
    assert_eq!(deploy(|t| t.write("lscc", "new", data("other", "1.0"))), REFUSED);
    assert_eq!(deploy(|t| t.write("lscc", "new", data("new", "2.0"))), REFUSED);
    assert_eq!(deploy(|t| t.write("lscc", "new", vec![0xff])), REFUSED);
    // policies of other chaincode's keys are no writes to Fabric
    assert_eq!(
        deploy(|t| good(t).set_policy("mycc", "key", "policy")),
        Code::Valid
    );
    // a collection nobody asked for
    assert_eq!(deploy(|t| good(t).write("lscc", "new~collection", "x")), REFUSED);
}

#[test]
fn only_who_the_instantiation_policy_names_may_deploy() {
    let write = |t: TestTransaction| t.write("lscc", "new", data("new", "1.0")).sign();
    let state = FakeState::new();
    assert_eq!(
        code(
            &state,
            write(deployment(&network().org1.user, "deploy", "new", "1.0"))
        ),
        REFUSED
    );
    assert_eq!(
        code(
            &state,
            write(deployment(&network().org2.admin, "deploy", "new", "1.0"))
        ),
        Code::Valid
    );
    let without = ChaincodeData {
        instantiation_policy: Bytes::new(),
        ..definition("new", "1.0", "OR('Org1MSP.peer')")
    };
    assert_eq!(
        deploy(|t| t.write("lscc", "new", without.encode_to_vec())),
        REFUSED
    );
}

#[test]
fn names_functions_and_arguments_are_checked() {
    let state = FakeState::new();
    let run = |function: &str, name: &str, version: &str| {
        let transaction = deployment(admin(), function, name, version);
        code(
            &state,
            transaction.write("lscc", name, data(name, version)).sign(),
        )
    };
    assert_eq!(run("deploy", "ok", "1.0"), Code::Valid);
    assert_eq!(run("install", "ok", "1.0"), REFUSED);
    assert_eq!(run("deploy", "not.ok", "1.0"), REFUSED);
    assert_eq!(run("deploy", "qscc", "1.0"), REFUSED);
    assert_eq!(run("deploy", "ok", "1{}0"), REFUSED);
    assert_eq!(run("deploy", "mycc", "2.0"), REFUSED, "it exists");
    let spec = deployment_spec("new", "1.0").encode_to_vec();
    for args in [
        vec![b"deploy".as_slice(), CHANNEL.as_bytes()],
        vec![b"deploy", CHANNEL.as_bytes(), b"\xff"],
        vec![b"deploy", CHANNEL.as_bytes(), b""],
        vec![b"deploy", CHANNEL.as_bytes(), &spec, b"", b"", b"", b"", b""],
    ] {
        let proposal = TestProposal::new(admin(), CHANNEL, "lscc", &args);
        let transaction = TestTransaction::new(proposal, "syscc", &[&network().org1.node]);
        assert_eq!(
            code(
                &state,
                transaction.write("lscc", "new", data("new", "1.0")).sign()
            ),
            REFUSED
        );
    }
}

#[test]
fn an_upgrade_needs_the_old_policy_and_another_version() {
    let upgrade = |creator: &Arc<LocalSigner>, name: &str, version: &str| {
        deployment(creator, "upgrade", name, version)
            .write("lscc", name, data(name, version))
            .sign()
    };
    let mut state = FakeState::new();
    assert_eq!(code(&state, upgrade(admin(), "mycc", "2.0")), Code::Valid);
    assert_eq!(code(&state, upgrade(admin(), "mycc", "1.0")), REFUSED);
    assert_eq!(code(&state, upgrade(admin(), "unknown", "2.0")), REFUSED);
    assert_eq!(
        code(&state, upgrade(&network().org1.user, "mycc", "2.0")),
        REFUSED
    );
    state.define(&ChaincodeData {
        instantiation_policy: policy("OR('Org2MSP.admin')").encode_to_vec().into(),
        ..definition("mycc", "1.0", "OR('Org1MSP.peer')")
    });
    assert_eq!(code(&state, upgrade(admin(), "mycc", "2.0")), REFUSED);
    assert_eq!(
        code(&state, upgrade(&network().org2.admin, "mycc", "2.0")),
        Code::Valid
    );
    let new = ChaincodeData {
        instantiation_policy: policy("OR('Org1MSP.admin')").encode_to_vec().into(),
        ..definition("mycc", "2.0", "OR('Org1MSP.peer')")
    };
    let changed = deployment(&network().org2.admin, "upgrade", "mycc", "2.0");
    assert_eq!(
        code(&state, changed.write("lscc", "mycc", new.encode_to_vec()).sign()),
        REFUSED
    );
}

#[test]
fn an_upgrade_makes_users_of_the_old_version_in_its_block_invalid() {
    let state = FakeState::new();
    let upgrade = deployment(admin(), "upgrade", "mycc", "2.0").write("lscc", "mycc", data("mycc", "2.0"));
    let codes = validate(&state, &[good().sign(), upgrade.sign()]);
    assert_eq!(codes, [Code::ChaincodeVersionConflict, Code::Valid]);
}

#[test]
fn an_upgrade_gives_way_to_its_own_repetition() {
    let state = FakeState::new();
    let upgrade = deployment(admin(), "upgrade", "mycc", "2.0").write("lscc", "mycc", data("mycc", "2.0"));
    let upgrade = upgrade.sign();
    let codes = validate(&state, &[upgrade.clone(), upgrade.clone(), good().sign()]);
    let conflict = Code::ChaincodeVersionConflict;
    assert_eq!(codes, [conflict, Code::DuplicateTxid, conflict]);
    // one that is refused is none
    let refused = deployment(&network().org1.user, "upgrade", "mycc", "2.0").sign();
    assert_eq!(
        validate(&state, &[good().sign(), refused]),
        [Code::Valid, REFUSED]
    );
}

mod with_collections {
    use super::*;
    use protos::common::{
        CollectionConfig, CollectionConfigPackage, CollectionPolicyConfig, StaticCollectionConfig,
        collection_config, collection_policy_config,
    };

    fn collection(name: &str, members: &str, block_to_live: u64) -> CollectionConfig {
        let members = collection_policy_config::Payload::SignaturePolicy(policy(members));
        let collection = StaticCollectionConfig {
            name: name.into(),
            member_orgs_policy: Some(CollectionPolicyConfig {
                payload: Some(members),
            }),
            block_to_live,
            ..Default::default()
        };
        CollectionConfig {
            payload: Some(collection_config::Payload::StaticCollectionConfig(collection)),
        }
    }

    fn package(collections: &[CollectionConfig]) -> Vec<u8> {
        CollectionConfigPackage {
            config: collections.to_vec(),
        }
        .encode_to_vec()
    }

    fn run(state: &FakeState, function: &str, name: &str, asked: &[u8], written: &[u8]) -> Code {
        let spec = deployment_spec(name, "2.0").encode_to_vec();
        let args = [
            function.as_bytes(),
            CHANNEL.as_bytes(),
            &spec,
            b"",
            b"",
            b"",
            asked,
        ];
        let proposal = TestProposal::new(admin(), CHANNEL, "lscc", &args);
        let transaction = TestTransaction::new(proposal, "syscc", &[&network().org1.node])
            .write("lscc", name, data(name, "2.0"))
            .write("lscc", &format!("{name}~collection"), written.to_vec());
        code(state, transaction.sign())
    }

    #[test]
    fn collections_are_those_asked_for_and_sound() {
        let state = FakeState::new();
        let deploy = |collections: &[CollectionConfig]| {
            let package = package(collections);
            run(&state, "deploy", "new", &package, &package)
        };
        let good = collection("c1", "OR('Org1MSP.member', 'Org2MSP.member')", 0);
        assert_eq!(deploy(std::slice::from_ref(&good)), Code::Valid);
        assert_eq!(deploy(&[good.clone(), good.clone()]), REFUSED);
        assert_eq!(
            deploy(&[collection("c1", "AND('Org1MSP.member', 'Org2MSP.member')", 0)]),
            REFUSED
        );
        assert_eq!(deploy(&[collection("", "OR('Org1MSP.member')", 0)]), REFUSED);
        assert_eq!(deploy(&[collection("c 1", "OR('Org1MSP.member')", 0)]), REFUSED);
        assert_eq!(deploy(&[CollectionConfig::default()]), REFUSED);
        let asked = package(&[good]);
        assert_eq!(run(&state, "deploy", "new", &asked, b"other"), REFUSED);
        assert_eq!(run(&state, "deploy", "new", b"\xff", b"\xff"), REFUSED);
    }

    #[test]
    fn the_key_of_collections_is_no_chaincode() {
        let undecodable = package(&[collection("c1", "OR('Org1MSP.member')", u64::MAX)]);
        assert!(ChaincodeData::decode(undecodable.as_slice()).is_err());
        let decodable = package(&[CollectionConfig::default()]);
        assert!(ChaincodeData::decode(decodable.as_slice()).is_ok());
        for package in [undecodable, decodable] {
            let mut state = FakeState::new();
            let name = "mycc~collection";
            state.values.insert(("lscc".into(), name.into()), package.into());
            let invoked = TestTransaction::new(proposal(name), "1.0", &[&network().org1.node]);
            let written = good().write(name, "a", "1");
            for envelope in [invoked.sign(), written.sign()] {
                assert_eq!(code(&state, envelope.clone()), Code::InvalidOtherReason);
                let v20 = with_capabilities(&["V2_0"]);
                let bytes = envelope.encode_to_vec().into();
                assert_eq!(
                    validate_under(&v20, &state, &[bytes]).unwrap(),
                    [Code::InvalidChaincode]
                );
            }
        }
    }

    #[test]
    fn an_upgrade_keeps_collections() {
        let mut state = FakeState::new();
        let old = collection("c1", "OR('Org1MSP.member')", 5);
        let key = ("lscc".to_owned(), "mycc~collection".to_owned());
        state
            .values
            .insert(key, package(std::slice::from_ref(&old)).into());
        let upgrade = |collections: &[CollectionConfig]| {
            let package = package(collections);
            run(&state, "upgrade", "mycc", &package, &package)
        };
        assert_eq!(
            upgrade(&[old.clone(), collection("c2", "OR('Org1MSP.member')", 0)]),
            Code::Valid
        );
        assert_eq!(upgrade(&[collection("c2", "OR('Org1MSP.member')", 0)]), REFUSED);
        assert_eq!(upgrade(&[collection("c1", "OR('Org1MSP.member')", 6)]), REFUSED);
    }
}
