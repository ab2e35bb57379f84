//! Executions: what the endorser gets, whatever the chaincode does.

use container::ExitInfo;
use protos::peer::ChaincodeEvent;
use protos::wire_message;

use super::*;
use crate::bench::{DevBench, invoke, params, proposal};
use crate::test_support::{FakeShim, ShimAnswer};

/// Runs `mycc` with this script once and returns what the endorser sees.
async fn run<F, A>(script: F) -> Result<ExecuteOutcome, String>
where
    F: Fn(crate::test_support::ShimStub) -> A + Send + Sync + 'static,
    A: Future + Send + 'static,
    A::Output: Into<ShimAnswer>,
{
    let bench = DevBench::new();
    let _shim = bench.attach(FakeShim::new("mycc:1.0", script)).await;
    let outcome = bench.call(&["f", "a"]).await;
    outcome.map_err(|error| wire_message(&error))
}

#[tokio::test]
async fn a_response_of_any_status_is_an_outcome() {
    for status in [0, 200, 400, 500, 1000] {
        let outcome = run(move |_| async move { ShimAnswer::status(status, "said", "payload") }).await;
        let response = outcome.unwrap().response;
        assert_eq!((response.status, response.message.as_str()), (status, "said"));
        assert_eq!(response.payload.as_ref(), b"payload");
    }
}

#[tokio::test]
async fn the_peer_sets_the_ids_of_an_event() {
    let outcome = run(|_| async {
        let event = ChaincodeEvent {
            chaincode_id: "forged".into(),
            tx_id: "forged".into(),
            event_name: "sold".into(),
            payload: "to".into(),
        };
        ShimAnswer::Completed(Response::default(), Some(event))
    })
    .await;
    let event = outcome.unwrap().event.unwrap();
    assert_eq!(
        (event.chaincode_id.as_str(), event.tx_id.as_str()),
        ("mycc", "tx")
    );
    assert_eq!(
        (event.event_name.as_str(), event.payload.as_ref()),
        ("sold", &b"to"[..])
    );
}

#[tokio::test]
async fn an_error_from_chaincode_has_fabrics_text() {
    let outcome = run(|_| async { ShimAnswer::Error("boom".into()) }).await;
    assert_eq!(outcome.unwrap_err(), "transaction returned with failure: boom");
}

#[tokio::test]
async fn an_answer_that_is_no_response_has_fabrics_text() {
    let outcome =
        run(|stub| async move { ShimAnswer::Raw(vec![stub.message(Type::Completed, &[0xff_u8][..])]) }).await;
    let text = outcome.unwrap_err();
    assert!(
        text.starts_with("failed to unmarshal response for transaction tx: "),
        "{text}"
    );
}

#[tokio::test]
async fn only_the_first_of_two_answers_counts() {
    let bench = DevBench::new();
    let script = |stub: crate::test_support::ShimStub| async move {
        let answer = |payload: &'static str| {
            let response = Response {
                status: 200,
                payload: payload.into(),
                ..Default::default()
            };
            stub.message(Type::Completed, response.encode_to_vec())
        };
        ShimAnswer::Raw(vec![answer("first"), answer("second"), answer("third")])
    };
    let _shim = bench.attach(FakeShim::new("mycc:1.0", script)).await;
    for _ in 0..3 {
        let outcome = bench.call(&[]).await.unwrap();
        assert_eq!(outcome.response.payload.as_ref(), b"first");
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_or_one_for_another_transaction_times_out() {
    let silent = run(|_| async { ShimAnswer::Silent }).await;
    let text = "failed to execute transaction tx: error sending: \
                timeout expired while executing transaction";
    assert_eq!(silent.unwrap_err(), text);
    let elsewhere = run(|stub| async move {
        let mut answer = stub.message(Type::Completed, Response::default().encode_to_vec());
        answer.txid = "other".into();
        let mut on_channel = answer.clone();
        on_channel.txid = stub.tx_id().into();
        on_channel.channel_id = "other".into();
        ShimAnswer::Raw(vec![answer, on_channel])
    })
    .await;
    assert_eq!(elsewhere.unwrap_err(), text);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_ignored_and_the_timeout_counted() {
    let bench = DevBench::new();
    let script = |stub: crate::test_support::ShimStub| async move {
        if stub.text(0) == "slow" {
            tokio::time::sleep(Duration::from_secs(40)).await;
        }
        ShimAnswer::success(stub.arg(0))
    };
    let _shim = bench.attach(FakeShim::new("mycc:1.0", script)).await;
    assert!(bench.call(&["slow"]).await.is_err());
    let timeouts = bench
        .support
        .metrics()
        .value("chaincode_execute_timeouts", &[("chaincode", "mycc:1.0")]);
    assert_eq!(timeouts, 1.0);
    // the same transaction again, while the late answer of the first is still to come
    let outcome = bench.call(&["fast"]).await.unwrap();
    assert_eq!(outcome.response.payload.as_ref(), b"fast");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(bench.call(&["fast"]).await.is_ok());
}

#[tokio::test]
async fn the_end_of_the_stream_fails_all_waiting_transactions_at_once() {
    let bench = DevBench::new();
    let shim = bench
        .attach(FakeShim::new("mycc:1.0", |_| async { ShimAnswer::Silent }))
        .await;
    let calls: Vec<_> = (0..5)
        .map(|number| {
            let support = bench.support.clone();
            let params = params(&format!("tx{number}"));
            tokio::spawn(async move { support.execute(params, invoke("mycc", &[])).await })
        })
        .collect();
    while shim.calls() < 5 {
        tokio::task::yield_now().await;
    }
    shim.hang_up();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(
            wire_message(&call.await.unwrap().unwrap_err()),
            format!("failed to execute transaction tx{number}: error sending: chaincode stream terminated")
        );
    }
}

#[tokio::test]
async fn closing_in_the_middle_of_a_transaction_fails_it() {
    let outcome = run(|_| async { ShimAnswer::HangUp }).await;
    assert!(outcome.unwrap_err().ends_with(": chaincode stream terminated"));
}

#[tokio::test]
async fn the_same_transaction_cannot_run_twice_at_a_time() {
    let bench = DevBench::new();
    let shim = bench
        .attach(FakeShim::new("mycc:1.0", |_| async { ShimAnswer::Silent }))
        .await;
    let support = bench.support.clone();
    let first = tokio::spawn(async move { support.execute(params("tx"), invoke("mycc", &[])).await });
    shim.wait_for(Type::Transaction).await;
    let text = wire_message(&bench.call(&[]).await.unwrap_err());
    assert_eq!(
        text,
        "failed to execute transaction tx: error sending: txid: tx(ch) exists"
    );
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    // a call that was given up leaves nothing behind
    let support = bench.support.clone();
    let again = tokio::spawn(async move { support.execute(params("tx"), invoke("mycc", &[])).await });
    while shim.calls() < 2 {
        tokio::task::yield_now().await;
    }
    again.abort();
}

#[tokio::test]
async fn the_message_carries_proposal_ids_and_input() {
    let bench = DevBench::new();
    let shim = bench.attach(FakeShim::echo("mycc:1.0")).await;
    let with_proposal = Arc::new(TransactionParams {
        signed_proposal: Some(proposal()),
        ..TransactionParams::clone(&params("tx"))
    });
    let mut invocation = invoke("mycc", &["f", "a"]);
    invocation.input.decorations.insert("d".into(), "v".into());
    let input = invocation.input.clone();
    bench.support.execute(with_proposal, invocation).await.unwrap();
    let message = shim.wait_for(Type::Transaction).await;
    assert_eq!((message.txid.as_str(), message.channel_id.as_str()), ("tx", "ch"));
    assert_eq!(message.proposal, Some(proposal().signed.clone()));
    assert_eq!(ChaincodeInput::decode(message.payload).unwrap(), input);
    let mut init = invoke("mycc", &["a"]);
    init.kind = InvocationKind::Init;
    bench.support.execute(params("tx"), init).await.unwrap();
    assert_eq!(shim.wait_for(Type::Init).await.proposal, None);
}

#[tokio::test]
async fn chaincode_of_the_old_lifecycle_cannot_be_called_as_init() {
    let bench = DevBench::new();
    let shim = bench.attach(FakeShim::echo("mycc:1.0")).await;
    let mut invocation = invoke("mycc", &[]);
    invocation.input.is_init = true;
    let error = bench.support.execute(params("tx"), invocation).await.unwrap_err();
    assert_eq!(
        wire_message(&error),
        "failed to execute transaction tx: invalid invocation: \
         chaincode 'mycc' does not require initialization but called as init"
    );
    assert_eq!(shim.calls(), 0);
}

#[tokio::test]
async fn a_chaincode_that_is_not_running_in_dev_mode_is_the_users_task() {
    let bench = DevBench::new();
    let text = wire_message(&bench.call(&[]).await.unwrap_err());
    assert!(
        text.starts_with("failed to execute transaction tx: could not launch chaincode mycc:1.0: "),
        "{text}"
    );
    assert!(text.contains("CORE_CHAINCODE_ID_NAME=mycc:1.0"), "{text}");
}

struct Slow;

#[async_trait::async_trait]
impl SystemChaincode for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn invokable_external(&self) -> bool {
        true
    }

    fn invokable_cc2cc(&self) -> bool {
        true
    }

    async fn invoke(&self, params: &TransactionParams, input: &ChaincodeInput) -> SccOutcome {
        if input.args.is_empty() {
            tokio::time::sleep(Duration::from_secs(31)).await;
        }
        SccOutcome {
            response: Response {
                status: 200,
                payload: params.tx_id.to_string().into(),
                ..Default::default()
            },
            event: Some(ChaincodeEvent::default()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn system_chaincode_runs_in_the_peer_under_the_same_timeout() {
    let bench = DevBench::new();
    bench.support.register_system_chaincode(Arc::new(Slow));
    assert!(bench.support.is_system_chaincode("slow"));
    assert!(!bench.support.is_system_chaincode("mycc"));
    let outcome = bench
        .support
        .execute(params("tx"), invoke("slow", &["x"]))
        .await
        .unwrap();
    assert_eq!(outcome.response.payload.as_ref(), b"tx");
    let event = outcome.event.unwrap();
    assert_eq!(
        (event.chaincode_id.as_str(), event.tx_id.as_str()),
        ("slow", "tx")
    );
    let error = bench
        .support
        .execute(params("tx"), invoke("slow", &[]))
        .await
        .unwrap_err();
    assert!(wire_message(&error).ends_with("timeout expired while executing transaction"));
}

/// The text of a transaction whose chaincode ends like this.
async fn crashed(exit: ExitInfo) -> String {
    let (sender, watch) = container::ExitWatch::new();
    let bench = DevBench::new();
    let shim = bench
        .attach(FakeShim::new("mycc:1.0", |_| async { ShimAnswer::Silent }))
        .await;
    bench
        .support
        .registry()
        .launch("mycc:1.0")
        .unwrap()
        .set_exit(watch);
    let support = bench.support.clone();
    let call = tokio::spawn(async move { support.execute(params("tx"), invoke("mycc", &[])).await });
    shim.wait_for(Type::Transaction).await;
    shim.hang_up();
    sender.send_replace(Some(exit));
    wire_message(&call.await.unwrap().unwrap_err())
}

#[tokio::test]
async fn a_crash_during_a_transaction_tells_how_the_process_ended() {
    let exit = ExitInfo {
        code: Some(1),
        last_lines: vec!["TypeError".into()],
        ..ExitInfo::default()
    };
    assert_eq!(
        crashed(exit).await,
        "failed to execute transaction tx: error sending: chaincode stream terminated: \
         container exited with 1, last output: TypeError"
    );
}

#[tokio::test]
async fn of_a_crashed_chaincodes_output_clients_see_the_end_only() {
    let exit = |last_lines| ExitInfo {
        code: Some(2),
        last_lines,
        ..ExitInfo::default()
    };
    let numbered = (1..=30).map(|number| format!("line {number}")).collect();
    let text = crashed(exit(numbered)).await;
    let start = "failed to execute transaction tx: error sending: chaincode stream terminated: \
                 container exited with 2, last output: ";
    assert_eq!(
        text.strip_prefix(start),
        Some("line 26\nline 27\nline 28\nline 29\nline 30")
    );
    let text = crashed(exit(vec!["secret".into(), "é".repeat(5_000), "end".into()])).await;
    assert_eq!(
        text.strip_prefix(start),
        Some(format!("{}\nend", "é".repeat(510)).as_str())
    );
}

#[tokio::test]
async fn the_reason_of_a_crash_goes_with_the_end_of_its_trace() {
    let go = [
        "stored",
        "panic: index out of range [0]",
        "",
        "goroutine 5 [running]:",
    ];
    let node = [
        "stored",
        "",
        "TypeError: x is not a function",
        "    at Kv.put (index.js:4:9)",
    ];
    for (lines, reason) in [
        (go, "panic: index out of range [0]"),
        (node, "TypeError: x is not a function"),
    ] {
        let frames = (1..=9).map(|frame| format!("frame {frame}"));
        let exit = ExitInfo {
            code: Some(2),
            last_lines: lines.into_iter().map(str::to_owned).chain(frames).collect(),
            ..ExitInfo::default()
        };
        let text = crashed(exit).await;
        let end = format!(", last output: {reason}\nframe 5\nframe 6\nframe 7\nframe 8\nframe 9");
        assert!(text.ends_with(&end), "{text}");
    }
    let long = vec![format!("panic: {}", "é".repeat(5_000)); 9];
    let exit = ExitInfo {
        code: Some(2),
        last_lines: long,
        ..ExitInfo::default()
    };
    let text = crashed(exit).await;
    let (_, output) = text.split_once(", last output: ").unwrap();
    assert!(
        output.len() <= 1024 && output.starts_with("panic: é"),
        "{}",
        output.len()
    );
}

#[tokio::test]
async fn a_call_that_grpc_would_not_send_fails_alone() {
    let bench = DevBench::new();
    let script = |stub: crate::test_support::ShimStub| async move {
        match stub.text(0).as_str() {
            "wait" => ShimAnswer::Silent,
            _ => ShimAnswer::success(stub.arg(0).len().to_string()),
        }
    };
    let shim = bench.attach(FakeShim::new("mycc:1.0", script)).await;
    let support = bench.support.clone();
    let waiting = tokio::spawn(async move {
        support
            .execute(params("waiting"), invoke("mycc", &["wait"]))
            .await
    });
    shim.wait_for(Type::Transaction).await;
    let mut large = invoke("mycc", &[]);
    large.input.args = vec![vec![0; protos::MAX_MESSAGE_SIZE].into()];
    let refused = bench.support.execute(params("0123456789"), large).await;
    let text = wire_message(&refused.unwrap_err());
    let start = "transaction returned with failure: [01234567] error sending TRANSACTION: rpc error: code = \
                 ResourceExhausted desc = trying to send message larger than max (1048576";
    assert!(
        text.starts_with(start) && text.ends_with(" vs. 104857600)"),
        "{text}"
    );
    let outcome = bench.call(&["abc"]).await.unwrap();
    assert_eq!(outcome.response.payload, "3");
    assert!(!waiting.is_finished(), "the stream lives on");
    waiting.abort();
}

#[tokio::test]
async fn system_chaincode_cannot_be_called_as_init_either() {
    let bench = DevBench::new();
    bench.support.register_system_chaincode(Arc::new(Slow));
    let mut invocation = invoke("slow", &["x"]);
    invocation.input.is_init = true;
    let input = invocation.input.clone();
    let error = bench.support.execute(params("tx"), invocation).await.unwrap_err();
    let text = "invalid invocation: chaincode 'slow' does not require initialization but called as init";
    assert_eq!(
        wire_message(&error),
        format!("failed to execute transaction tx: {text}")
    );
    let error = bench.support.invoke_by_name(params("tx"), "slow", input).await;
    assert_eq!(wire_message(&error.unwrap_err()), text);
}
