//! Chaincode calls chaincode.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use prost::Message;
use protos::peer::chaincode_message::Type;
use protos::peer::{ChaincodeDeploymentSpec, ChaincodeInput, ChaincodeSpec, Response};
use tokio::sync::Semaphore;

use super::{LedgerBench, channel, rwset, written};
use crate::bench::invoke;
use crate::channel_access::ChannelCapabilities;
use crate::system::{SccOutcome, SystemChaincode};
use crate::test_support::{FakeLedgers, FakeShim, ShimAnswer, ShimStub};
use crate::transaction::TransactionParams;

/// A system chaincode that tells who calls, and waits or panics when told to.
pub(super) struct Gate {
    shut_to_chaincode: bool,
    entered: Semaphore,
    open: Semaphore,
}

impl Gate {
    pub fn new() -> Arc<Self> {
        Self::shut(false)
    }

    fn shut(shut_to_chaincode: bool) -> Arc<Self> {
        Arc::new(Self {
            shut_to_chaincode,
            entered: Semaphore::new(0),
            open: Semaphore::new(0),
        })
    }

    /// Waits until a call has come in that waits.
    pub async fn entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }

    /// Lets a waiting call go on.
    pub fn open(&self) {
        self.open.add_permits(1);
    }
}

#[async_trait]
impl SystemChaincode for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn invokable_external(&self) -> bool {
        true
    }

    fn invokable_cc2cc(&self) -> bool {
        !self.shut_to_chaincode
    }

    async fn invoke(&self, params: &TransactionParams, input: &ChaincodeInput) -> SccOutcome {
        match input.args.first().map(Bytes::as_ref) {
            Some(b"wait") => {
                self.entered.add_permits(1);
                self.open.acquire().await.unwrap().forget();
            }
            Some(b"panic") => panic!("told to"),
            Some(b"decorations") => {
                let payload = format!("{} decorations", input.decorations.len()).into();
                let response = Response {
                    status: 200,
                    payload,
                    ..Default::default()
                };
                return response.into();
            }
            _ => {}
        }
        let caller = params.invoked_by.clone().unwrap_or_default();
        Response {
            status: 200,
            payload: format!(
                "{caller} on {} with ledger {}",
                params.channel,
                params.simulator.is_some()
            )
            .into(),
            ..Default::default()
        }
        .into()
    }
}

/// A chaincode that writes, and answers as its first argument says.
fn callee(id: &str) -> FakeShim {
    FakeShim::new(id, |stub: ShimStub| async move {
        let outcome: Result<ShimAnswer, String> = async {
            stub.put_state("called", stub.arg(0)).await?;
            let seen = stub.get_state("seen").await?;
            Ok(match stub.text(0).as_str() {
                "error" => ShimAnswer::Error("callee failed".into()),
                "silent" => ShimAnswer::Silent,
                "500" => ShimAnswer::error("callee refused"),
                _ => ShimAnswer::success(seen).with_event("inner", "x"),
            })
        }
        .await;
        outcome.unwrap_or_else(ShimAnswer::Error)
    })
}

/// Installs `name:1.0` and defines it on a ledger, which also gets a key `seen`.
fn define(bench: &LedgerBench, ledger: &ledger::KvLedger, name: &str, seen: &'static str) {
    let spec = ChaincodeDeploymentSpec {
        chaincode_spec: Some(ChaincodeSpec {
            chaincode_id: Some(protos::peer::ChaincodeId {
                name: name.into(),
                version: "1.0".into(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let packages = bench.dev.support.packages();
    // installed already when the chaincode is defined on a second channel
    packages.install(spec.encode_to_vec().into()).ok();
    let data = packages
        .info(&protos::ChaincodeId::new(name, "1.0"))
        .unwrap()
        .data
        .clone();
    FakeLedgers::commit(ledger, &format!("define {name}"), |simulator| {
        simulator.set_state("lscc", name, data.encode_to_vec().into())?;
        simulator.set_state(name, "seen", seen.into())
    })
    .unwrap();
}

fn calls(
    target: &'static str,
    arg: &'static str,
) -> impl Fn(ShimStub) -> std::pin::Pin<Box<dyn Future<Output = ShimAnswer> + Send>> + Send + Sync + 'static {
    move |stub| {
        Box::pin(async move {
            match stub.invoke(target, &[arg]).await {
                Ok(response) if response.status < 400 => {
                    ShimAnswer::success(response.payload).with_event("outer", "y")
                }
                Ok(response) => {
                    ShimAnswer::error(&format!("status {}: {}", response.status, response.message))
                }
                Err(text) => ShimAnswer::error(&text),
            }
        })
    }
}

#[tokio::test]
async fn on_the_same_channel_the_callees_writes_are_in_the_callers_results() {
    let bench = LedgerBench::new();
    define(&bench, &bench.ledger, "other", "here");
    let _callee = bench.dev.attach(callee("other:1.0")).await;
    let (result, simulator) = bench.run(calls("other:ignored", "arg")).await;
    assert_eq!(result.unwrap(), "here");
    let results = simulator.results().unwrap().rwset;
    let names: Vec<_> = results
        .namespaces
        .iter()
        .map(|set| set.namespace.as_str())
        .collect();
    assert_eq!(names, ["lscc", "other"]);
    let other = &results.namespaces[1].kv;
    assert_eq!(written(other), [("called".into(), "arg".into())]);
    assert_eq!(results.namespaces[0].kv.reads[0].key, "other");
    let checks = bench.dev.channels.checks();
    assert_eq!(checks, [("peer/ChaincodeToChaincode".into(), channel("ch"))]);
}

#[tokio::test]
async fn only_the_outer_event_survives() {
    let bench = LedgerBench::new();
    define(&bench, &bench.ledger, "other", "here");
    let _callee = bench.dev.attach(callee("other:1.0")).await;
    let _caller = bench.attach(calls("other", "arg")).await;
    let outcome = bench
        .dev
        .support
        .execute(Arc::new(bench.params()), invoke("mycc", &[]))
        .await
        .unwrap();
    let event = outcome.event.unwrap();
    assert_eq!(
        (event.event_name.as_str(), event.chaincode_id.as_str()),
        ("outer", "mycc")
    );
}

#[tokio::test]
async fn on_another_channel_the_callee_reads_that_ledger_and_writes_nowhere() {
    let bench = LedgerBench::new();
    let there = bench.ledgers.create("there").unwrap();
    bench.dev.channels.join("there", there.clone());
    define(&bench, &bench.ledger, "other", "here");
    define(&bench, &there, "other", "there");
    let _callee = bench.dev.attach(callee("other:1.0")).await;
    let (result, simulator) = bench.run(calls("other:1.0/there", "arg")).await;
    assert_eq!(result.unwrap(), "there");
    assert!(simulator.results().unwrap().rwset.namespaces.is_empty());
    let checks = bench.dev.channels.checks();
    assert_eq!(checks, [("peer/ChaincodeToChaincode".into(), channel("there"))]);
}

#[tokio::test]
async fn the_target_channels_capabilities_decide_where_the_definition_is() {
    let bench = LedgerBench::new();
    let there = bench.ledgers.create("there").unwrap();
    bench.dev.channels.join("there", there.clone());
    bench.dev.channels.set_capabilities_of(
        "there",
        ChannelCapabilities {
            new_lifecycle: true,
            ..Default::default()
        },
    );
    for ledger in [&bench.ledger, &there] {
        define(&bench, ledger, "other", "seen");
        FakeLedgers::commit(ledger, "commit other", |simulator| {
            let sequence = Bytes::from_static(&[8, 1]);
            simulator.set_state("_lifecycle", "namespaces/fields/other/Sequence", sequence)
        })
        .unwrap();
    }
    let _callee = bench.dev.attach(callee("other:1.0")).await;
    assert_eq!(bench.run(calls("other", "arg")).await.0.unwrap(), "seen");
    let (result, _) = bench.run(calls("other/there", "arg")).await;
    assert_eq!(
        result.unwrap_err(),
        "INVOKE_CHAINCODE failed: transaction ID: tx: execute failed: invalid invocation: [channel there] failed to \
         get chaincode container info for other: chaincode definition for 'other' at sequence 1 is one of the 2.x \
         lifecycle, which this peer does not support"
    );
}

#[tokio::test]
async fn a_caller_without_rights_on_the_target_channel_is_refused_there_only() {
    let bench = LedgerBench::new();
    let there = bench.ledgers.create("there").unwrap();
    bench.dev.channels.join("there", there.clone());
    bench.dev.channels.deny("there");
    define(&bench, &bench.ledger, "other", "here");
    define(&bench, &there, "other", "there");
    let _callee = bench.dev.attach(callee("other:1.0")).await;
    let (result, _) = bench.run(calls("other/there", "arg")).await;
    assert_eq!(
        result.unwrap_err(),
        "INVOKE_CHAINCODE failed: transaction ID: tx: \
         access denied for [peer/ChaincodeToChaincode][there]"
    );
    assert_eq!(bench.run(calls("other", "arg")).await.0.unwrap(), "here");
}

#[tokio::test]
async fn calls_that_cannot_be_made_fail_with_fabrics_texts() {
    let bench = LedgerBench::new();
    let failure = async |target| {
        let text = bench.run(calls(target, "arg")).await.0.unwrap_err();
        text.strip_prefix("INVOKE_CHAINCODE failed: transaction ID: tx: ")
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        failure("other/nowhere").await,
        "failed to find ledger for channel: nowhere"
    );
    assert_eq!(
        failure("other").await,
        "execute failed: invalid invocation: [channel ch] failed to get chaincode container info for other: \
         chaincode other not found"
    );
    assert!(failure("").await.starts_with("unmarshal failed: "));
    // the caller is running already in this transaction
    define(&bench, &bench.ledger, "mycc", "");
    assert_eq!(
        failure("mycc").await,
        "execute failed: error sending: txid: tx(ch) exists"
    );
}

#[tokio::test]
async fn a_callee_that_is_not_installed_here_is_refused() {
    let bench = LedgerBench::new();
    FakeLedgers::commit(&bench.ledger, "define", |simulator| {
        let data = protos::peer::ChaincodeData {
            name: "other".into(),
            version: "1.0".into(),
            ..Default::default()
        };
        simulator.set_state("lscc", "other", data.encode_to_vec().into())
    })
    .unwrap();
    let text = bench.run(calls("other", "arg")).await.0.unwrap_err();
    assert!(
        text.contains("failed security checks: invalid deployment spec: "),
        "{text}"
    );
}

#[tokio::test]
async fn a_callees_failure_is_the_callers_to_judge() {
    let bench = LedgerBench::new();
    define(&bench, &bench.ledger, "other", "here");
    let _callee = bench.dev.attach(callee("other:1.0")).await;
    assert_eq!(
        bench.run(calls("other", "error")).await.0.unwrap_err(),
        "callee failed"
    );
    let (result, simulator) = bench.run(calls("other", "500")).await;
    assert_eq!(result.unwrap_err(), "status 500: callee refused");
    assert_eq!(
        written(&rwset(&simulator, "other")),
        [("called".into(), "500".into())]
    );
}

#[tokio::test]
async fn system_chaincode_is_called_without_an_access_check() {
    let bench = LedgerBench::new();
    bench.dev.support.register_system_chaincode(Gate::new());
    let (result, _) = bench.run(calls("gate", "who")).await;
    assert_eq!(result.unwrap(), "mycc on ch with ledger true");
    assert!(bench.dev.channels.checks().is_empty());
}

#[tokio::test]
async fn system_chaincode_can_be_shut_to_chaincode() {
    let bench = LedgerBench::new();
    bench.dev.support.register_system_chaincode(Gate::shut(true));
    let (result, _) = bench.run(calls("gate", "who")).await;
    assert_eq!(
        result.unwrap_err(),
        "INVOKE_CHAINCODE failed: transaction ID: tx: \
         system chaincode gate cannot be invoked with a cc2cc invocation"
    );
}

#[tokio::test]
async fn without_a_proposal_only_system_chaincode_can_be_called() {
    let bench = LedgerBench::new();
    let _shim = bench.attach(calls("other", "arg")).await;
    let params = TransactionParams {
        signed_proposal: None,
        ..bench.params()
    };
    let outcome = bench
        .dev
        .support
        .execute(Arc::new(params), invoke("mycc", &[]))
        .await
        .unwrap();
    assert_eq!(
        outcome.response.message,
        "INVOKE_CHAINCODE failed: transaction ID: tx: signed proposal must not be nil from caller [ch.other#]"
    );
}

#[tokio::test]
async fn without_a_channel_only_system_chaincode_can_be_called() {
    let bench = LedgerBench::new();
    bench.dev.support.register_system_chaincode(Gate::new());
    let call = async |target| {
        let shim = bench.attach(calls(target, "who")).await;
        let params = TransactionParams {
            channel: channel(""),
            simulator: None,
            history: None,
            ..bench.params()
        };
        let outcome = bench
            .dev
            .support
            .execute(Arc::new(params), invoke("mycc", &[]))
            .await
            .unwrap();
        shim.hang_up();
        while bench.dev.support.registry().launch("mycc:1.0").is_some() {
            tokio::task::yield_now().await;
        }
        outcome.response
    };
    assert_eq!(call("gate").await.payload, "mycc on  with ledger false");
    assert_eq!(
        call("other").await.message,
        "INVOKE_CHAINCODE failed: transaction ID: tx: could not get valid transaction"
    );
}

#[tokio::test]
async fn the_reply_holds_the_callees_whole_message() {
    let bench = LedgerBench::new();
    bench.dev.support.register_system_chaincode(Gate::new());
    let (result, _) = bench
        .run(|stub| async move {
            let spec = ChaincodeSpec {
                chaincode_id: Some(protos::peer::ChaincodeId {
                    name: "gate".into(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            let reply = stub.request(Type::InvokeChaincode, spec.encode_to_vec()).await?;
            let message = protos::peer::ChaincodeMessage::decode(reply).unwrap();
            assert_eq!(message.r#type(), Type::Completed);
            assert_eq!((message.txid.as_str(), message.channel_id.as_str()), ("tx", "ch"));
            Ok::<_, String>(Response::decode(message.payload).unwrap().payload)
        })
        .await;
    assert_eq!(result.unwrap(), "mycc on ch with ledger true");
}

#[tokio::test]
async fn decorations_that_a_caller_makes_up_do_not_reach_the_callee() {
    let bench = LedgerBench::new();
    bench.dev.support.register_system_chaincode(Gate::new());
    let (result, _) = bench
        .run(|stub| async move {
            let mut input = ChaincodeInput {
                args: vec!["decorations".into()],
                ..Default::default()
            };
            input.decorations.insert("forged".into(), "x".into());
            let spec = ChaincodeSpec {
                chaincode_id: Some(protos::peer::ChaincodeId {
                    name: "gate".into(),
                    ..Default::default()
                }),
                input: Some(input),
                ..Default::default()
            };
            let reply = stub.request(Type::InvokeChaincode, spec.encode_to_vec()).await?;
            let message = protos::peer::ChaincodeMessage::decode(reply).unwrap();
            Ok::<_, String>(Response::decode(message.payload).unwrap().payload)
        })
        .await;
    assert_eq!(result.unwrap(), "0 decorations");
}

#[tokio::test]
async fn a_panic_in_a_callee_is_an_error_for_the_caller() {
    let bench = LedgerBench::new();
    bench.dev.support.register_system_chaincode(Gate::new());
    let (result, _) = bench.run(calls("gate", "panic")).await;
    assert_eq!(
        result.unwrap_err(),
        "INVOKE_CHAINCODE failed: transaction ID: tx: panic during execution"
    );
}

#[tokio::test]
async fn an_execution_does_not_end_before_the_request_that_is_still_active() {
    let bench = LedgerBench::new();
    let gate = Gate::new();
    bench.dev.support.register_system_chaincode(gate.clone());
    let in_script = gate.clone();
    let shim = bench
        .attach(move |stub: ShimStub| {
            let gate = in_script.clone();
            async move {
                let waiting = stub.clone();
                tokio::spawn(async move { waiting.invoke("gate", &["wait"]).await });
                gate.entered().await;
                let response = Response {
                    status: 200,
                    ..Default::default()
                };
                let completed = stub.message(Type::Completed, response.encode_to_vec());
                // taken in turn: its answer proves that COMPLETED has been seen
                let mut probe = stub.message(Type::GetState, "");
                probe.txid = "nobody".into();
                ShimAnswer::Raw(vec![completed, probe])
            }
        })
        .await;
    let params = Arc::new(bench.params());
    let support = bench.dev.support.clone();
    let call = tokio::spawn(async move { support.execute(params, invoke("mycc", &[])).await });
    shim.wait_for(Type::Error).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished());
    gate.open();
    assert_eq!(call.await.unwrap().unwrap().response.status, 200);
}
