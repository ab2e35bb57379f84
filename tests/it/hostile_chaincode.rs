//! A chaincode that does not keep to the protocol costs its own transaction, nothing else.

use integration::network::Harness;
use integration::shim::Shim;

#[tokio::test(flavor = "multi_thread")]
async fn a_misbehaving_chaincode_costs_its_own_transaction_only() {
    // a flood may end with the timeout
    let harness = Harness::start_with([("chaincode.executetimeout", "10s".into())]).await;
    let height = harness.height();
    let table = [
        ("garbage", 500, "failed to unmarshal response for transaction"),
        ("error", 500, "transaction returned with failure: no"),
        ("twice", 200, ""),
        ("undecodable request", 500, "unmarshal failed"),
        ("request outside", 200, ""),
        ("private", 500, "GET_STATE failed: transaction ID: "),
        ("rich query", 500, "ExecuteQuery not supported for leveldb"),
        ("unknown iterator", 500, "query iterator not found"),
        (
            "unknown chaincode",
            500,
            "INVOKE_CHAINCODE failed: transaction ID: ",
        ),
        ("register again", 500, "chaincode stream terminated"),
        ("out of turn", 500, "chaincode stream terminated"),
        ("hang up", 500, "chaincode stream terminated"),
    ];
    for (behaviour, status, text) in table {
        let shim = harness.connect("kv:1").await;
        let answer = harness
            .call(&[behaviour])
            .await
            .unwrap_or_else(|status| panic!("{behaviour}: {status:?}"));
        let response = answer.response.unwrap_or_default();
        assert_eq!(response.status, status, "{behaviour}: {response:?}");
        assert!(response.message.contains(text), "{behaviour}: {response:?}");
        drop(shim);
    }
    let shim = harness.connect("kv:1").await;
    // replies come while the flood lasts, so it may end well or with the stream; either is an answer
    let flooded = harness.call(&["flood"]).await.expect("an answer");
    let status = flooded.response.unwrap_or_default().status;
    assert_eq!(flooded.endorsement.is_some(), status == 200, "status {status}");
    drop(shim);
    let _shim = harness.connect("kv:1").await;
    let answer = harness.call(&["put", "a"]).await.expect("a good transaction");
    assert!(answer.endorsement.is_some(), "{answer:?}");
    assert_eq!(harness.height(), height, "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_without_an_answer_of_its_own_times_out() {
    // the chaincode is deployed under the same limit, on a machine that may be busy
    let harness = Harness::start_with([("chaincode.executetimeout", "10s".into())]).await;
    let shim = harness.connect("kv:1").await;
    let (silent, elsewhere) = tokio::join!(harness.call(&["silence"]), harness.call(&["other transaction"]));
    for answer in [silent, elsewhere] {
        let response = answer.expect("an answer").response.unwrap_or_default();
        assert_eq!(response.status, 500, "{response:?}");
        let timeout = "timeout expired while executing transaction";
        assert!(response.message.contains(timeout), "{response:?}");
    }
    let answer = harness.call(&["put", "a"]).await.expect("a good transaction");
    assert!(answer.endorsement.is_some(), "{answer:?}");
    drop(shim);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_taken_once() {
    let harness = Harness::start().await;
    let _shim = harness.connect("kv:1").await;
    let address = format!("127.0.0.1:{}", harness.network.ports().chaincode);
    assert!(
        Shim::register(&address, "kv:1").await.is_err(),
        "registered twice"
    );
    assert!(
        Shim::register(&address, "").await.is_err(),
        "registered without a name"
    );
    assert!(
        harness
            .call(&["noop"])
            .await
            .expect("still there")
            .endorsement
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chaincode_that_nobody_started_is_named() {
    let harness = Harness::start().await;
    let answer = harness.call(&["noop"]).await.expect("an answer");
    let response = answer.response.unwrap_or_default();
    assert_eq!(response.status, 500);
    assert!(response.message.contains("kv:1"), "{response:?}");
}
