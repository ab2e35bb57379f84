//! Single keys, metadata, batches, private data, and requests that are not what they should be.

use bytes::Bytes;
use prost::Message;
use protos::peer::chaincode_message::Type;
use protos::peer::{
    DelState, GetState, GetStateByRange, GetStateMetadata, PutState, PutStateMetadata, StateMetadata,
    WriteBatchState, WriteRecord,
};

use super::calls::Gate;
use super::{LedgerBench, rwset, written};
use crate::bench::invoke;
use crate::channel_access::ChannelCapabilities;
use crate::requests::RequestError;
use crate::test_support::{ShimAnswer, ShimStub};
use crate::transaction::InvocationKind;

#[tokio::test]
async fn get_put_and_delete_work_on_the_chaincodes_own_namespace() {
    let bench = LedgerBench::new();
    bench.fill(2);
    let (result, simulator) = bench
        .run(|stub| async move {
            let known = stub.get_state("k0001").await?;
            assert_eq!(stub.get_state("missing").await?, Bytes::new());
            stub.put_state("new", "value").await?;
            stub.put_state("k0000", "changed").await?;
            stub.del_state("k0001").await?;
            // no read of one's own writes
            assert_eq!(stub.get_state("new").await?, Bytes::new());
            Ok::<_, String>(known)
        })
        .await;
    assert_eq!(result.unwrap(), "v1");
    let set = rwset(&simulator, "mycc");
    let reads: Vec<_> = set
        .reads
        .iter()
        .map(|read| (read.key.as_str(), read.version.is_some()))
        .collect();
    assert_eq!(reads, [("k0001", true), ("missing", false), ("new", false)]);
    assert_eq!(
        written(&set),
        [
            ("k0000".into(), "changed".into()),
            ("k0001".into(), String::new()),
            ("new".into(), "value".into())
        ]
    );
    assert!(
        set.writes
            .iter()
            .any(|write| write.key == "k0001" && write.is_delete)
    );
}

#[tokio::test]
async fn requests_are_counted_by_type_and_outcome() {
    let bench = LedgerBench::new();
    let (result, _simulator) = bench
        .run(|stub| async move {
            stub.get_state("a").await?;
            stub.put_state("a", "1").await?;
            assert!(stub.request(Type::PutState, &[0xff_u8][..]).await.is_err());
            Ok::<_, String>(Bytes::new())
        })
        .await;
    result.unwrap();
    let metrics = bench.dev.support.metrics();
    let count = |name: &str, kind: &str, more: &[(&str, &str)]| {
        let labels = [("type", kind), ("channel", "ch"), ("chaincode", "mycc:1.0")];
        metrics.value(name, &[&labels[..], more].concat())
    };
    assert_eq!(count("chaincode_shim_requests_received", "PUT_STATE", &[]), 2.0);
    for (kind, success) in [
        ("GET_STATE", "true"),
        ("PUT_STATE", "true"),
        ("PUT_STATE", "false"),
    ] {
        let success = [("success", success)];
        assert_eq!(
            count("chaincode_shim_requests_completed", kind, &success),
            1.0,
            "{kind}"
        );
        assert_eq!(
            count("chaincode_shim_request_duration", kind, &success),
            1.0,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_payload_that_does_not_decode_leaves_stream_and_transaction_alive() {
    let bench = LedgerBench::new();
    let (result, _) = bench
        .run(|stub| async move {
            let kinds = [
                Type::GetState,
                Type::PutState,
                Type::DelState,
                Type::GetStateMetadata,
                Type::PutStateMetadata,
                Type::GetStateByRange,
                Type::GetQueryResult,
                Type::GetHistoryForKey,
                Type::QueryStateNext,
                Type::QueryStateClose,
                Type::InvokeChaincode,
                Type::GetPrivateDataHash,
                Type::PurgePrivateData,
                Type::WriteBatchState,
                Type::GetStateMultiple,
            ];
            for kind in kinds {
                let text = stub.request(kind, &[0xff_u8][..]).await.unwrap_err();
                let start = format!(
                    "{} failed: transaction ID: tx: unmarshal failed: ",
                    kind.as_str_name()
                );
                assert!(text.starts_with(&start), "{text}");
            }
            ShimAnswer::success("alive")
        })
        .await;
    assert_eq!(result.unwrap(), "alive");
}

#[tokio::test]
async fn metadata_is_written_and_read() {
    let bench = LedgerBench::new();
    bench.fill(1);
    let (result, simulator) = bench
        .run(|stub| async move {
            assert!(stub.get_state_metadata("k0000").await?.is_empty());
            stub.put_state_metadata("k0000", "VALIDATION_PARAMETER", b"policy")
                .await?;
            Ok::<_, String>("")
        })
        .await;
    result.unwrap();
    let set = rwset(&simulator, "mycc");
    let write = set.metadata_writes.first().unwrap();
    assert_eq!(write.key, "k0000");
    assert_eq!(write.entries.first().unwrap().name, "VALIDATION_PARAMETER");
    assert_eq!(set.reads.len(), 1);
}

#[tokio::test]
async fn metadata_and_purging_need_the_channels_capability() {
    let bench = LedgerBench::new();
    bench
        .dev
        .channels
        .set_capabilities(ChannelCapabilities::default());
    let (result, _) = bench
        .run(|stub| async move {
            let capability = "channel application capability of";
            let get = GetStateMetadata::default().encode_to_vec();
            assert_eq!(
                stub.request(Type::GetStateMetadata, get).await.unwrap_err(),
                format!(
                    "GET_STATE_METADATA failed: transaction ID: tx: key level endorsement is not enabled, \
                     {capability} V1_3 or later is required"
                )
            );
            let put = PutStateMetadata::default().encode_to_vec();
            assert!(
                stub.request(Type::PutStateMetadata, put)
                    .await
                    .unwrap_err()
                    .contains("V1_3 or later")
            );
            assert_eq!(
                stub.request(Type::PurgePrivateData, "").await.unwrap_err(),
                format!(
                    "PURGE_PRIVATE_DATA failed: transaction ID: tx: purge private data is not enabled, \
                     {capability} V2_5 or later is required"
                )
            );
            ShimAnswer::success("")
        })
        .await;
    result.unwrap();
}

fn in_collection() -> Vec<(Type, Vec<u8>)> {
    let (key, collection) = (String::from("k"), String::from("c"));
    let get = GetState {
        key: key.clone(),
        collection: collection.clone(),
    };
    let put = PutState {
        key: key.clone(),
        collection: collection.clone(),
        ..Default::default()
    };
    let delete = DelState {
        key: key.clone(),
        collection: collection.clone(),
    };
    let range = GetStateByRange {
        collection: collection.clone(),
        ..Default::default()
    };
    let get_metadata = GetStateMetadata {
        key: key.clone(),
        collection: collection.clone(),
    };
    let put_metadata = PutStateMetadata {
        key,
        collection,
        ..Default::default()
    };
    vec![
        (Type::GetState, get.encode_to_vec()),
        (Type::GetPrivateDataHash, get.encode_to_vec()),
        (Type::PutState, put.encode_to_vec()),
        (Type::DelState, delete.encode_to_vec()),
        (Type::PurgePrivateData, delete.encode_to_vec()),
        (Type::GetStateByRange, range.encode_to_vec()),
        (Type::GetStateMetadata, get_metadata.encode_to_vec()),
        (Type::PutStateMetadata, put_metadata.encode_to_vec()),
    ]
}

async fn refusals(stub: ShimStub) -> Result<String, String> {
    let mut all = Vec::new();
    for (kind, payload) in in_collection() {
        all.push(stub.request(kind, payload).await.unwrap_err());
    }
    Ok(all.join("\n"))
}

#[tokio::test]
async fn private_data_is_refused_and_in_init_with_fabrics_text() {
    let bench = LedgerBench::new();
    let _shim = bench.attach(refusals).await;
    let (result, simulator) = bench.execute(invoke("mycc", &[])).await;
    let texts = result.unwrap();
    assert_eq!(texts.lines().count(), in_collection().len());
    for text in texts.lines() {
        let cause = "private data is not supported by this peer: chaincodeName:mycc collectionName: c";
        assert!(text.ends_with(cause), "{text}");
    }
    assert!(rwset(&simulator, "mycc").writes.is_empty());
    let mut init = invoke("mycc", &[]);
    init.kind = InvocationKind::Init;
    for text in bench.execute(init).await.0.unwrap().lines() {
        assert!(
            text.ends_with("private data APIs are not allowed in chaincode Init()"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_is_only_for_private_data_needs_a_collection() {
    let bench = LedgerBench::new();
    let (result, _) = bench
        .run(|stub| async move {
            for kind in [Type::PurgePrivateData, Type::GetPrivateDataHash] {
                let text = stub.request(kind, "").await.unwrap_err();
                assert!(text.ends_with(": only applicable for private data"), "{text}");
            }
            ShimAnswer::success("")
        })
        .await;
    result.unwrap();
}

fn record(kind: Type, key: &str, value: &'static str) -> WriteRecord {
    WriteRecord {
        key: key.into(),
        value: value.into(),
        r#type: kind.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn batches_work_like_single_requests_in_order() {
    let bench = LedgerBench::new();
    bench.fill(3);
    let (result, simulator) = bench
        .run(|stub| async move {
            let values = stub.get_states(&["k0002", "missing", "k0000"]).await?;
            assert_eq!(values, ["v2", "", "v0"]);
            let metadata = WriteRecord {
                metadata: Some(StateMetadata {
                    metakey: "m".into(),
                    value: "x".into(),
                }),
                ..record(Type::PutStateMetadata, "a", "")
            };
            let rec = vec![
                record(Type::PutState, "a", "1"),
                record(Type::PutState, "a", "2"),
                record(Type::DelState, "k0000", ""),
                metadata,
            ];
            stub.request(Type::WriteBatchState, WriteBatchState { rec }.encode_to_vec())
                .await?;
            let rec = vec![record(Type::PutState, "b", "1"), record(Type::GetState, "c", "")];
            let failed = stub
                .request(Type::WriteBatchState, WriteBatchState { rec }.encode_to_vec())
                .await;
            Ok::<_, String>(failed.unwrap_err())
        })
        .await;
    assert_eq!(
        result.unwrap(),
        "WRITE_BATCH_STATE failed: transaction ID: tx: unknown operation type"
    );
    let set = rwset(&simulator, "mycc");
    assert_eq!(
        written(&set),
        [
            ("a".into(), "2".into()),
            ("b".into(), "1".into()),
            ("k0000".into(), String::new())
        ]
    );
    assert_eq!(set.metadata_writes.len(), 1);
}

#[tokio::test]
async fn the_size_of_a_batch_is_limited() {
    let bench = LedgerBench::new();
    let (result, simulator) = bench
        .run(|stub| async move {
            let rec = vec![record(Type::PutState, "a", "1"); 1001];
            stub.request(Type::WriteBatchState, WriteBatchState { rec }.encode_to_vec())
                .await?;
            Ok::<_, String>("")
        })
        .await;
    assert!(
        result
            .unwrap_err()
            .ends_with("1001 records in one request, the limit is 1000")
    );
    assert!(rwset(&simulator, "mycc").writes.is_empty());
}

#[tokio::test]
async fn a_second_request_of_a_transaction_is_dropped_while_the_first_is_active() {
    let bench = LedgerBench::new();
    let gate = Gate::new();
    bench.dev.support.register_system_chaincode(gate.clone());
    let in_script = gate.clone();
    let shim = bench
        .attach(move |stub: ShimStub| {
            let gate = in_script.clone();
            async move {
                let waiting = {
                    let stub = stub.clone();
                    tokio::spawn(async move { stub.invoke("gate", &["wait"]).await })
                };
                // the first request is active from before the gate says so
                gate.entered().await;
                let put = PutState {
                    key: "dropped".into(),
                    value: "x".into(),
                    ..Default::default()
                };
                stub.send(stub.message(Type::PutState, put.encode_to_vec())).await;
                // taken in turn, so its answer proves that the request before it was looked at
                let mut probe = stub.message(Type::GetState, "");
                probe.txid = "nobody".into();
                stub.send(probe).await;
                waiting.await.unwrap()?;
                stub.put_state("kept", "x").await?;
                Ok::<_, String>("")
            }
        })
        .await;
    let opener = {
        let shim = shim.clone();
        tokio::spawn(async move {
            shim.wait_for(Type::Error).await;
            gate.open();
        })
    };
    let (result, simulator) = bench.execute(invoke("mycc", &[])).await;
    result.unwrap();
    opener.await.unwrap();
    assert_eq!(shim.orphans().len(), 1, "only the probe was answered");
    assert_eq!(written(&rwset(&simulator, "mycc")), [("kept".into(), "x".into())]);
}

#[tokio::test]
async fn requests_after_the_answer_change_nothing() {
    let bench = LedgerBench::new();
    let shim = bench
        .attach(|stub| async move {
            let put = |key: &str| {
                let put = PutState {
                    key: key.into(),
                    value: "x".into(),
                    ..Default::default()
                };
                stub.message(Type::PutState, put.encode_to_vec())
            };
            let response = protos::peer::Response {
                status: 200,
                ..Default::default()
            };
            let completed = stub.message(Type::Completed, response.encode_to_vec());
            ShimAnswer::Raw(vec![put("before"), completed, put("after")])
        })
        .await;
    let (result, simulator) = bench.execute(invoke("mycc", &[])).await;
    result.unwrap();
    let refused = shim.wait_for(Type::Error).await;
    assert_eq!(
        refused.payload,
        "PUT_STATE failed: transaction ID: tx: no ledger context"
    );
    assert_eq!(
        written(&rwset(&simulator, "mycc")),
        [("before".into(), "x".into())]
    );
}

#[test]
fn a_result_larger_than_a_message_becomes_an_error() {
    let message = protos::peer::ChaincodeMessage {
        txid: "tx".into(),
        ..Default::default()
    };
    let huge = Bytes::from(vec![0; protos::MAX_MESSAGE_SIZE]);
    let reply = super::super::reply(Type::GetState, &message, Ok(huge));
    assert_eq!(reply.r#type, i32::from(Type::Error));
    assert_eq!(
        reply.payload,
        "GET_STATE failed: transaction ID: tx: the result is larger than a message may be"
    );
    let small = super::super::reply(Type::GetState, &message, Ok("x".into()));
    assert_eq!(small.r#type, i32::from(Type::Response));
    let panicked = super::super::reply(Type::GetState, &message, Err(RequestError::Panicked));
    assert!(panicked.payload.ends_with(b": panic during execution"));
}
