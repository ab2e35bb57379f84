//! What a chaincode's answer becomes, and what the endorsement says.

use chaincode::test_support::FakeLedgers;
use chaincode::{InvalidInvocation, InvokeError};
use committer::test_support::chaincode_input;
use ledger::TxRwSet;
use msp::MspManager;
use prost::Message;
use protos::common::SignaturePolicyEnvelope;
use protos::peer::{ChaincodeAction, ChaincodeCall, ProposalResponsePayload};

use super::*;

fn action(response: &ProposalResponse) -> ChaincodeAction {
    let payload = ProposalResponsePayload::decode(response.payload.clone()).unwrap();
    ChaincodeAction::decode(payload.extension).unwrap()
}

/// The chaincode that the response says the transaction concerns.
fn called(response: &ProposalResponse) -> Option<Vec<&str>> {
    let interest = response.interest.as_ref()?;
    Some(
        interest
            .chaincodes
            .iter()
            .map(|call| call.name.as_str())
            .collect(),
    )
}

#[tokio::test]
async fn success_is_endorsed_over_payload_and_endorser() {
    let scene = Scene::new(FakeExecutor::default().define("mycc", |params, _| {
        let simulator = params.simulator.as_ref().unwrap();
        simulator.set_state("mycc", "a", "1".into()).unwrap();
        let event = ChaincodeEvent {
            chaincode_id: "mycc".into(),
            event_name: "ev".into(),
            ..Default::default()
        };
        Ok(ExecuteOutcome {
            response: status(200),
            event: Some(event),
        })
    }));
    let proposal = scene.proposal("mycc", &[b"put", b"a", b"1"]);
    let answered = scene.response(&proposal).await;
    assert_eq!((answered.version, &answered.response), (1, &Some(status(200))));
    assert_eq!(
        (answered.timestamp, called(&answered)),
        (None, Some(vec!["mycc"]))
    );
    let endorsement = answered.endorsement.clone().unwrap();
    let endorser = MspManager::new([Arc::clone(scene.network.org1.local_msp().msp())])
        .deserialize(&endorsement.endorser)
        .unwrap();
    endorser
        .verify_parts(
            &[&answered.payload, &endorsement.endorser],
            &endorsement.signature,
        )
        .unwrap();
    let payload = ProposalResponsePayload::decode(answered.payload.clone()).unwrap();
    assert_eq!(payload.proposal_hash, proposal.unpack().proposal_hash.as_slice());
    let action = action(&answered);
    let id = action.chaincode_id.unwrap();
    assert_eq!(
        (id.name.as_str(), id.version.as_str(), id.path.as_str()),
        ("mycc", "1.0", "")
    );
    assert_eq!(action.response, Some(status(200)));
    assert_eq!(ChaincodeEvent::decode(action.events).unwrap().event_name, "ev");
    let results = TxRwSet::decode(action.results).unwrap();
    let namespaces: Vec<_> = results
        .namespaces
        .iter()
        .map(|set| set.namespace.as_str())
        .collect();
    assert_eq!(
        namespaces,
        ["lscc", "mycc"],
        "reading the definition is part of the transaction"
    );
}

#[tokio::test]
async fn the_status_decides() {
    for (code, endorsed, shown) in [
        (0, true, true),
        (200, true, true),
        (399, true, true),
        (400, false, false),
        (499, false, false),
        (500, false, true),
        (1000, false, true),
    ] {
        let scene = Scene::new(FakeExecutor::answering(status(code)));
        let answered = scene.response(&scene.proposal("mycc", &[b"f"])).await;
        assert_eq!(answered.response, Some(status(code)));
        assert_eq!(answered.endorsement.is_some(), endorsed, "{code}");
        assert_eq!(!answered.payload.is_empty(), shown, "{code}");
        assert_eq!(answered.version, i32::from(endorsed));
        // the definition's read is lscc's
        assert_eq!(called(&answered), shown.then(Vec::new), "{code}");
        if code >= 500 {
            assert!(
                action(&answered).events.is_empty(),
                "events of failures are dropped"
            );
        }
    }
}

#[tokio::test]
async fn a_chaincode_that_does_not_answer_fails_the_proposal() {
    let scene = Scene::new(FakeExecutor::default().define("mycc", |params, _| {
        let source = InvokeError::Invalid(InvalidInvocation::NoInit("mycc".into())).into();
        Err(ExecuteError::Failed {
            tx_id: params.tx_id.clone(),
            source,
        })
    }));
    let proposal = scene.proposal("mycc", &[b"f"]);
    let expected = format!(
        "error in simulation: failed to execute transaction {}: invalid invocation: chaincode 'mycc' does not \
         require initialization but called as init",
        proposal.tx_id()
    );
    assert_eq!(scene.failure(&proposal).await, expected);
    let simulator = scene.calls()[0].1.simulator.clone().unwrap();
    assert!(
        simulator.get_state("mycc", "a").is_err(),
        "the simulation has ended"
    );
    let scene = Scene::new(
        FakeExecutor::default().define("mycc", |_, _| Err(ExecuteError::Returned("it says".into()))),
    );
    let said = scene.failure(&scene.proposal("mycc", &[b"f"])).await;
    assert_eq!(
        said,
        "error in simulation: transaction returned with failure: it says"
    );
}

#[tokio::test]
async fn results_that_cannot_be_taken_fail_the_proposal() {
    let scene = Scene::new(FakeExecutor::default().define("mycc", |params, _| {
        params.simulator.as_ref().unwrap().results().unwrap();
        Ok(ExecuteOutcome {
            response: status(200),
            event: None,
        })
    }));
    let said = scene.failure(&scene.proposal("mycc", &[b"f"])).await;
    assert!(
        said.starts_with("error in simulation: this function should only be called once"),
        "{said}"
    );
}

#[tokio::test]
async fn a_chaincode_needs_a_definition_and_a_package_that_fits() {
    let scene = Scene::new(FakeExecutor {
        mismatched: vec!["bad"],
        ..Default::default()
    });
    let text = |name: &str, why: &str| {
        format!(
            "make sure the chaincode {name} has been successfully defined on channel mychannel and try again: {why}"
        )
    };
    assert_eq!(
        scene.failure(&scene.proposal("mycc", &[b"f"])).await,
        text("mycc", "chaincode mycc not found")
    );
    let mismatch = "failed security checks: Instantiation policy mismatch for cc bad:1.0";
    assert_eq!(
        scene.failure(&scene.proposal("bad", &[b"f"])).await,
        text("bad", mismatch)
    );
    assert!(scene.calls().is_empty());
}

#[tokio::test]
async fn another_endorsement_plugin_is_not_had() {
    let mut executor = FakeExecutor::answering(status(200));
    executor.definitions.get_mut("mycc").unwrap().escc = "special".into();
    let scene = Scene::new(executor);
    assert_eq!(
        scene.failure(&scene.proposal("mycc", &[b"f"])).await,
        "endorsing with plugin failed: plugin with name special could not be used: plugin with name special wasn't \
         found"
    );
}

#[tokio::test]
async fn a_plugin_may_run_elsewhere_change_the_payload_and_fail() {
    let of = |plugin: &str| {
        let mut executor = FakeExecutor::answering(status(200));
        executor.definitions.get_mut("mycc").unwrap().escc = plugin.into();
        Scene::new(executor)
    };
    let scene = of("elsewhere");
    let answered = scene.response(&scene.proposal("mycc", &[b"f"])).await;
    assert_eq!(answered.payload, "other payload");
    assert_eq!((answered.version, &answered.response), (1, &Some(status(200))));
    let endorsement = answered.endorsement.unwrap();
    let endorser = scene
        .network
        .org1
        .local_msp()
        .identities()
        .deserialize(&endorsement.endorser);
    let parts = [&answered.payload, &*endorsement.endorser];
    endorser
        .unwrap()
        .verify_parts(&parts, &endorsement.signature)
        .unwrap();
    let scene = of("sick");
    assert_eq!(
        scene.failure(&scene.proposal("mycc", &[b"f"])).await,
        "endorsing with plugin failed: no key today"
    );
}

#[tokio::test]
async fn system_chaincode_runs_without_definition_and_some_without_simulator() {
    let scene = Scene::new(FakeExecutor::default());
    for (name, simulated) in [("lscc", true), ("qscc", false), ("cscc", false)] {
        let answered = scene.response(&scene.proposal(name, &[b"f"])).await;
        let (invocation, params) = scene.calls().pop().unwrap();
        assert_eq!(params.simulator.is_some(), simulated, "{name}");
        assert_eq!(&*invocation.chaincode.version, "syscc");
        assert!(answered.endorsement.is_some());
        assert_eq!(called(&answered), simulated.then(Vec::new), "{name}");
        let action = action(&answered);
        assert!(action.results.is_empty());
        assert_eq!(action.chaincode_id.unwrap().version, "syscc");
    }
}

#[tokio::test]
async fn chaincode_sees_the_peers_decorations_only() {
    let scene = Scene::new(FakeExecutor::answering(status(200)));
    let mut proposal = scene.proposal("mycc", &[b"f", b"x"]);
    let input = proposal
        .invocation
        .chaincode_spec
        .as_mut()
        .unwrap()
        .input
        .as_mut()
        .unwrap();
    input
        .decorations
        .insert("client".into(), Bytes::from_static(b"forged"));
    scene.response(&proposal).await;
    let (invocation, _) = scene.calls().remove(0);
    assert_eq!(invocation.input.args, chaincode_input(&[b"f", b"x"]).args);
    let names: Vec<_> = invocation.input.decorations.keys().map(String::as_str).collect();
    assert_eq!(
        (names.as_slice(), invocation.kind),
        (["peer"].as_slice(), InvocationKind::Transaction)
    );
    let scene = Scene::with(
        FakeExecutor::answering(status(200)),
        FakeDecorators { fails: true },
    );
    let said = scene.failure(&scene.proposal("mycc", &[b"f"])).await;
    assert_eq!(said, "error in simulation: decorator broke");
    assert!(scene.calls().is_empty());
}

#[tokio::test]
async fn peers_that_come_to_the_same_results_sign_the_same_bytes() {
    let scene = Scene::new(FakeExecutor::answering(status(200)));
    let proposal = scene.proposal("mycc", &[b"f"]);
    let (one, two) = (scene.response(&proposal).await, scene.response(&proposal).await);
    assert_eq!(
        one.payload, two.payload,
        "a proposal may be sent twice before it is committed"
    );
}

#[tokio::test]
async fn the_interest_names_whose_policies_the_transaction_needs() {
    let policy = SignaturePolicyEnvelope {
        version: 7,
        ..Default::default()
    };
    let commit = |metadata: Bytes| {
        move |simulator: &ledger::TxSimulator| {
            simulator.set_state("mycc", "own", "1".into())?;
            simulator.set_state("only", "own", "1".into())?;
            let metadata = ledger::StateMetadata::from([("VALIDATION_PARAMETER".into(), metadata)]);
            simulator.set_state_metadata("mycc", "own", metadata.clone())?;
            simulator.set_state_metadata("only", "own", metadata)
        }
    };
    let run = async |metadata: Bytes| {
        let scene = Scene::new(FakeExecutor::default().define("mycc", |params, _| {
            let simulator = params.simulator.as_ref().unwrap();
            for (namespace, key) in [
                ("mycc", "own"),
                ("mycc", "other"),
                ("only", "own"),
                ("_lifecycle", "x"),
            ] {
                simulator.set_state(namespace, key, "2".into()).unwrap();
            }
            simulator.get_state("read", "a").unwrap();
            Ok(ExecuteOutcome {
                response: status(200),
                event: None,
            })
        }));
        FakeLedgers::commit(scene.channel.ledger(), "before", commit(metadata)).unwrap();
        let proposal = scene.proposal("mycc", &[b"f"]);
        scene.response(&proposal).await
    };
    let answered = run(policy.encode_to_vec().into()).await;
    let calls = answered.interest.unwrap().chaincodes;
    let call = |name: &str, key_policies, disregard_namespace_policy| ChaincodeCall {
        name: name.into(),
        key_policies,
        disregard_namespace_policy,
        ..Default::default()
    };
    assert_eq!(
        calls,
        [
            call("mycc", vec![policy.clone()], false),
            call("only", vec![policy], true),
            call("read", vec![], false),
        ]
    );
    let broken = run(Bytes::from_static(b"\xff")).await.response.unwrap();
    let text = "error in simulation: error unmarshalling SignaturePolicyEnvelope: ";
    assert!(
        broken.status == 500 && broken.message.starts_with(text),
        "{broken:?}"
    );
}
