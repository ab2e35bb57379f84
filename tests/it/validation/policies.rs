//! Endorsement policies of chaincodes and of single keys, and what may be written at all.

use protos::kvrwset::{HashedRwSet, KvMetadataEntry, KvMetadataWriteHash, KvWriteHash};
use protos::peer::{ChaincodeActionPayload, Endorsement};

use super::*;

fn run(state: &FakeState, chaincode: &str, endorsers: &[&std::sync::Arc<msp::LocalSigner>]) -> Code {
    code(
        state,
        TestTransaction::new(proposal(chaincode), "1.0", endorsers)
            .write(chaincode, "a", "1")
            .sign(),
    )
}

#[test]
fn endorsements_must_satisfy_the_policy() {
    let (state, network) = (FakeState::new(), network());
    let (org1, org2) = (&network.org1, &network.org2);
    assert_eq!(run(&state, "mycc", &[&org2.node]), Code::Valid);
    assert_eq!(run(&state, "mycc", &[]), Code::EndorsementPolicyFailure);
    assert_eq!(run(&state, "mycc", &[&org1.user]), Code::EndorsementPolicyFailure);
    assert_eq!(
        run(&state, "mycc", &[&network.stranger.node]),
        Code::EndorsementPolicyFailure
    );
    assert_eq!(run(&state, "both", &[&org1.node]), Code::EndorsementPolicyFailure);
    assert_eq!(
        run(&state, "both", &[&org1.node, &org1.node]),
        Code::EndorsementPolicyFailure
    );
    assert_eq!(run(&state, "both", &[&org1.node, &org2.node]), Code::Valid);
}

#[test]
fn a_wrong_endorsement_does_not_hide_a_right_one_of_the_same_endorser() {
    let state = FakeState::new();
    let transaction = good();
    let after = |wrong: usize| {
        let mut action = transaction.endorse();
        let mut payload = ChaincodeActionPayload::decode(action.payload.clone()).unwrap();
        let endorsements = &mut payload.action.as_mut().unwrap().endorsements;
        let right = endorsements.remove(0);
        endorsements.extend((0..wrong).map(|number| Endorsement {
            signature: format!("wrong {number}").into(),
            ..right.clone()
        }));
        endorsements.push(right);
        action.payload = payload.encode_to_vec().into();
        transaction.sign_actions(vec![action])
    };
    assert_eq!(code(&state, after(1)), Code::Valid);
    assert_eq!(code(&state, after(5_000)), Code::Valid);
    // channels of older capabilities look at the first only
    let old = with_capabilities(&["V1_2"]);
    let bytes = after(1).encode_to_vec().into();
    let codes = validate_under(&old, &state, &[bytes]).unwrap();
    assert_eq!(codes, [Code::EndorsementPolicyFailure]);
}

#[test]
fn chaincode_without_definition_is_invalid() {
    let mut state = FakeState::new();
    assert_eq!(
        run(&state, "other", &[&network().org1.node]),
        Code::InvalidOtherReason
    );
    let empty = ChaincodeData {
        policy: Bytes::new(),
        ..definition("other", "1.0", "OR('Org1MSP.peer')")
    };
    state.define(&empty);
    assert_eq!(
        run(&state, "other", &[&network().org1.node]),
        Code::InvalidOtherReason
    );
    let broken = ChaincodeData {
        policy: vec![0xff].into(),
        ..empty
    };
    state.define(&broken);
    assert_eq!(
        run(&state, "other", &[&network().org1.node]),
        Code::EndorsementPolicyFailure
    );
    state.define(&ChaincodeData {
        vscc: "special".into(),
        ..definition("other", "1.0", "OR('Org1MSP.peer')")
    });
    let transaction = TestTransaction::new(proposal("other"), "1.0", &[&network().org1.node]).sign();
    let bundle = bundle();
    let stopped = validate_under(&bundle, &state, &[transaction.encode_to_vec().into()]);
    assert!(matches!(stopped, Err(ValidationError::UnknownPlugin(_))));
}

#[test]
fn every_namespace_written_asks_its_own_policy() {
    let (state, network) = (FakeState::new(), network());
    let one = good().write("both", "b", "2");
    assert_eq!(code(&state, one.sign()), Code::EndorsementPolicyFailure);
    let mut both = one;
    both.endorsers.push(network.org2.node.clone());
    assert_eq!(code(&state, both.sign()), Code::Valid);
    assert_eq!(
        code(&state, good().repeat_namespace("mycc").sign()),
        Code::IllegalWriteset
    );
    // the invoked chaincode counts also where it writes nothing
    let proposal = proposal("both");
    let called = TestTransaction::new(proposal, "1.0", &[&network.org1.node]).write("mycc", "a", "1");
    assert_eq!(code(&state, called.sign()), Code::EndorsementPolicyFailure);
}

#[test]
fn user_chaincode_does_not_write_where_system_chaincode_does() {
    let state = FakeState::new();
    for namespace in ["lscc", "cscc", "escc", "vscc"] {
        assert_eq!(
            code(&state, good().write(namespace, "mycc", "x").sign()),
            Code::IllegalWriteset
        );
    }
    for (chaincode, expected) in [
        ("vscc", Code::IllegalWriteset),
        ("escc", Code::IllegalWriteset),
        ("qscc", Code::Valid),
    ] {
        let transaction = TestTransaction::new(proposal(chaincode), "syscc", &[&network().org1.node]);
        assert_eq!(code(&state, transaction.sign()), expected, "{chaincode}");
    }
    // anybody may endorse for these, so they must not write
    for chaincode in ["qscc", "cscc"] {
        let transaction = TestTransaction::new(proposal(chaincode), "syscc", &[&network().org1.user]);
        let writing = transaction.write("mycc", "a", "stolen");
        assert_eq!(code(&state, writing.sign()), Code::IllegalWriteset);
    }
}

#[test]
fn a_key_with_a_policy_of_its_own_asks_only_that() {
    let (mut state, network) = (FakeState::new(), network());
    let only_org2 = policy("OR('Org2MSP.peer')").encode_to_vec();
    state
        .key_policies
        .insert(("both".into(), "a".into()), only_org2.into());
    assert_eq!(run(&state, "both", &[&network.org2.node]), Code::Valid);
    assert_eq!(
        run(&state, "both", &[&network.org1.node]),
        Code::EndorsementPolicyFailure
    );
    let and_another = |endorsers: &[_]| {
        let transaction = TestTransaction::new(proposal("both"), "1.0", endorsers);
        code(
            &state,
            transaction.write("both", "a", "1").write("both", "b", "1").sign(),
        )
    };
    assert_eq!(and_another(&[&network.org2.node]), Code::EndorsementPolicyFailure);
    assert_eq!(
        and_another(&[&network.org1.node, &network.org2.node]),
        Code::Valid
    );
    state
        .key_policies
        .insert(("mycc".into(), "a".into()), vec![0xff].into());
    assert_eq!(
        run(&state, "mycc", &[&network.org1.node]),
        Code::EndorsementPolicyFailure
    );
}

#[test]
fn a_policy_that_changes_in_the_block_makes_later_writers_invalid() {
    let (mut state, network) = (FakeState::new(), network());
    let only_org1 = policy("OR('Org1MSP.peer')").encode_to_vec();
    let sets = |endorsers: &[_]| {
        TestTransaction::new(proposal("mycc"), "1.0", endorsers)
            .set_policy("mycc", "a", only_org1.clone())
            .sign()
    };
    let other = || {
        TestTransaction::new(proposal("mycc"), "1.0", &[&network.org1.node])
            .write("mycc", "b", "1")
            .sign()
    };
    let failure = Code::EndorsementPolicyFailure;
    let codes = validate(&state, &[sets(&[&network.org1.node]), good().sign(), other()]);
    assert_eq!(codes, [Code::Valid, failure, Code::Valid]);
    // what is wrong with the chaincode comes first
    let expired = TestTransaction::new(proposal("mycc"), "0.9", &[&network.org1.node])
        .write("mycc", "a", "1")
        .sign();
    let codes = validate(&state, &[sets(&[&network.org1.node]), expired]);
    assert_eq!(codes, [Code::Valid, Code::ExpiredChaincode]);
    // a change that is itself refused changes nothing
    assert_eq!(
        validate(&state, &[sets(&[]), good().sign()]),
        [failure, Code::Valid]
    );
    // setting a policy asks the one there is
    state
        .key_policies
        .insert(("mycc".into(), "a".into()), only_org1.clone().into());
    assert_eq!(validate(&state, &[sets(&[&network.org2.node])]), [failure]);
}

mod of_private_keys {
    use super::*;

    fn writes(hash: &'static str) -> HashedRwSet {
        let write = KvWriteHash {
            key_hash: hash.into(),
            value_hash: "hash of a value".into(),
            ..Default::default()
        };
        HashedRwSet {
            hashed_writes: vec![write],
            ..Default::default()
        }
    }

    fn sets_policy(hash: &'static str, policy: &[u8]) -> HashedRwSet {
        let entry = KvMetadataEntry {
            name: "VALIDATION_PARAMETER".into(),
            value: Bytes::copy_from_slice(policy),
        };
        let write = KvMetadataWriteHash {
            key_hash: hash.into(),
            entries: vec![entry],
        };
        HashedRwSet {
            metadata_writes: vec![write],
            ..Default::default()
        }
    }

    fn run(chaincode: &str, endorsers: &[&std::sync::Arc<msp::LocalSigner>], set: HashedRwSet) -> Envelope {
        TestTransaction::new(proposal(chaincode), "1.0", endorsers)
            .hashed(chaincode, "c1", set)
            .sign()
    }

    #[test]
    fn a_private_key_with_a_policy_of_its_own_asks_only_that() {
        let (mut state, network) = (FakeState::new(), network());
        let only_org2 = policy("OR('Org2MSP.peer')").encode_to_vec();
        let place = ("both".into(), "c1".into(), "a".into());
        state.hash_policies.insert(place, only_org2.clone().into());
        let refused = Code::EndorsementPolicyFailure;
        for set in [writes("a"), sets_policy("a", &only_org2)] {
            assert_eq!(
                code(&state, run("both", &[&network.org2.node], set.clone())),
                Code::Valid
            );
            assert_eq!(code(&state, run("both", &[&network.org1.node], set)), refused);
        }
        // others ask the chaincode's
        for set in [writes("b"), sets_policy("b", &only_org2)] {
            assert_eq!(
                code(&state, run("both", &[&network.org2.node], set.clone())),
                refused
            );
            let both = [&network.org1.node, &network.org2.node];
            assert_eq!(code(&state, run("both", &both, set)), Code::Valid);
        }
    }

    #[test]
    fn a_policy_that_changes_in_the_block_makes_later_writers_invalid() {
        let (state, node) = (FakeState::new(), &network().org1.node);
        let sets = run("mycc", &[node], sets_policy("a", b"any"));
        let other_collection = TestTransaction::new(proposal("mycc"), "1.0", &[node])
            .hashed("mycc", "c2", writes("a"))
            .sign();
        let codes = validate(
            &state,
            &[
                sets,
                run("mycc", &[node], writes("a")),
                run("mycc", &[node], writes("b")),
                other_collection,
            ],
        );
        let refused = Code::EndorsementPolicyFailure;
        assert_eq!(codes, [Code::Valid, refused, Code::Valid, Code::Valid]);
    }
}
