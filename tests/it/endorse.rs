//! What a client gets for a good proposal.

use bytes::Bytes;
use integration::forge::Forge;
use integration::network::{CHAINCODE, Harness};
use prost::Message;
use protos::peer::{ChaincodeAction, ChaincodeEvent, ProposalResponsePayload};

fn action(payload: Bytes) -> ChaincodeAction {
    let payload = ProposalResponsePayload::decode(payload).expect("payload");
    ChaincodeAction::decode(payload.extension).expect("action")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_the_chaincode_decides_the_shape_of_the_answer() {
    let harness = Harness::start().await;
    let _shim = harness.connect("kv:1").await;
    for (status, endorsed, payload) in [
        ("200", true, true),
        ("399", true, true),
        ("400", false, false),
        ("499", false, false),
        ("500", false, true),
        ("1000", false, true),
    ] {
        let answer = harness.call(&["status", status]).await.expect("an answer");
        let response = answer.response.expect("a response");
        assert_eq!(
            (response.status.to_string().as_str(), response.message.as_str()),
            (status, "as asked")
        );
        assert_eq!(
            (answer.endorsement.is_some(), !answer.payload.is_empty()),
            (endorsed, payload),
            "{status}"
        );
        assert_eq!(answer.version, i32::from(endorsed), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endorsement_verifies_and_carries_what_was_read_and_written() {
    let harness = Harness::start().await;
    let _shim = harness.connect("kv:1").await;
    let answer = harness.call(&["put", "a"]).await.expect("an answer");
    let endorsement = answer.endorsement.expect("endorsed");
    let channel = harness
        .network
        .node()
        .channels()
        .get(&"mychannel".into())
        .expect("joined");
    let endorser = channel
        .bundle()
        .msp_manager()
        .deserialize(&endorsement.endorser)
        .expect("endorser");
    let signed = [answer.payload.as_ref(), endorsement.endorser.as_ref()].concat();
    endorser
        .verify(&signed, &endorsement.signature)
        .expect("the signature is over payload and endorser");
    let action = action(answer.payload);
    let id = action.chaincode_id.expect("chaincode id");
    assert_eq!((id.name.as_str(), id.version.as_str()), (CHAINCODE, "1"));
    let results = protos::rwset::TxReadWriteSet::decode(action.results).expect("rwset");
    let namespaces: Vec<_> = results.ns_rwset.iter().map(|ns| ns.namespace.as_str()).collect();
    assert_eq!(
        namespaces,
        [CHAINCODE, "lscc"],
        "the definition's read is part of the results"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_peer_sets_the_ids_of_an_event() {
    let harness = Harness::start().await;
    let _shim = harness.connect("kv:1").await;
    let proposal = harness.proposal(CHAINCODE, &["event"]);
    let answer = harness.send(proposal.signed).await.expect("an answer");
    let event = ChaincodeEvent::decode(action(answer.payload).events).expect("event");
    assert_eq!(
        (event.chaincode_id.as_str(), event.tx_id.as_str()),
        (CHAINCODE, proposal.tx_id.as_str())
    );
    assert_eq!(
        (event.event_name.as_str(), event.payload.as_ref()),
        ("happened", b"payload".as_ref())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn decorations_of_the_client_are_discarded() {
    let harness = Harness::start().await;
    let _shim = harness.connect("kv:1").await;
    let mut forge = Forge::new(
        harness.network.user().signer(),
        "mychannel",
        CHAINCODE,
        &[b"decorations"],
    );
    let input = forge.spec.as_mut().expect("spec").input.as_mut().expect("input");
    input.decorations.insert("forged".into(), "claim".into());
    let answer = harness.send(forge.sign()).await.expect("an answer");
    assert_eq!(answer.response.expect("a response").payload, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_is_read_and_a_client_that_hangs_up_changes_nothing() {
    // an orderly stop waits for what is under way
    let harness = Harness::start_with([("chaincode.executetimeout", "10s".into())]).await;
    let _shim = harness.connect("kv:1").await;
    let written = harness
        .network
        .invoke(CHAINCODE, ["put", "colour"])
        .await
        .expect("invoke");
    written.valid().expect("a valid transaction");
    assert_eq!(
        harness
            .network
            .query(CHAINCODE, ["get", "colour"])
            .await
            .expect("query"),
        "v"
    );
    for _ in 0..20 {
        let call = harness.call(&["silence"]);
        let hung_up = tokio::time::timeout(std::time::Duration::from_millis(5), call).await;
        assert!(hung_up.is_err(), "the client gave up first");
    }
    assert_eq!(
        harness
            .network
            .query(CHAINCODE, ["get", "colour"])
            .await
            .expect("query"),
        "v"
    );
    harness.network.shutdown().await.expect("an orderly stop");
}
