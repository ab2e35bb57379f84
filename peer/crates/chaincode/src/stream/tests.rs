//! Registration, turns and the ends of a stream.

use bytes::Bytes;
use protos::peer::Response;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::bench::{DevBench, invoke, params};
use crate::config::{Config, OUTBOUND_QUEUE};
use crate::test_support::FakeShim;

/// A stream driven by hand: messages in, messages out.
struct Wire {
    to_peer: mpsc::Sender<Result<ChaincodeMessage, Status>>,
    from_peer: mpsc::Receiver<Result<ChaincodeMessage, Status>>,
    served: tokio::task::JoinHandle<Result<(), StreamError>>,
}

impl Wire {
    fn open(bench: &DevBench, queue: usize) -> Self {
        let (to_peer, inbound) = mpsc::channel(16);
        let (outbound, from_peer) = mpsc::channel(queue);
        let support = bench.support.clone();
        let inbound = ReceiverStream::new(inbound);
        let served = tokio::spawn(async move { support.serve_stream(inbound, outbound, None).await });
        Self {
            to_peer,
            from_peer,
            served,
        }
    }

    async fn send(&self, message: ChaincodeMessage) {
        self.to_peer.send(Ok(message)).await.unwrap();
    }

    async fn next(&mut self) -> Option<Result<ChaincodeMessage, Status>> {
        self.from_peer.recv().await
    }

    async fn ended(self) -> String {
        wire_message(&self.served.await.unwrap().unwrap_err())
    }
}

fn register(name: &str) -> ChaincodeMessage {
    let id = ChaincodeId {
        name: name.into(),
        ..Default::default()
    };
    ChaincodeMessage {
        payload: id.encode_to_vec().into(),
        ..plain(Type::Register)
    }
}

fn bytes(text: &str) -> Bytes {
    hex::decode(text).unwrap().into()
}

#[tokio::test]
async fn the_recorded_register_is_answered_with_the_recorded_bytes() {
    let bench = DevBench::new();
    let mut wire = Wire::open(&bench, OUTBOUND_QUEUE);
    let recorded = ChaincodeMessage::decode(bytes("08011a0a12086d7963633a312e30")).unwrap();
    assert_eq!(recorded, register("mycc:1.0"));
    wire.send(recorded).await;
    let registered = wire.next().await.unwrap().unwrap();
    let ready = wire.next().await.unwrap().unwrap();
    assert_eq!(registered.encode_to_vec(), bytes("0802"));
    assert_eq!(ready.encode_to_vec(), bytes("0804"));
}

#[tokio::test]
async fn ready_announces_batches_only_when_told_to() {
    let bench = DevBench::with(Config {
        announce_batches: true,
        ..Config::default()
    });
    let shim = bench.attach(FakeShim::echo("mycc:1.0")).await;
    let ready = shim.wait_for(Type::Ready).await;
    let params = ChaincodeAdditionalParams::decode(ready.payload).unwrap();
    assert!(params.use_write_batch && params.use_get_multiple_keys);
    assert_eq!(params.max_size_write_batch, 1000);
}

#[tokio::test]
async fn messages_before_registration_end_the_stream() {
    let bench = DevBench::new();
    let mut wire = Wire::open(&bench, OUTBOUND_QUEUE);
    wire.send(plain(Type::Keepalive)).await;
    wire.send(ChaincodeMessage {
        txid: "tx".into(),
        ..plain(Type::GetState)
    })
    .await;
    let text = "error handling message, ending stream: \
                [tx] Fabric side handler cannot handle message (GET_STATE) while in created state";
    assert_eq!(wire.next().await.unwrap().unwrap_err().message(), text);
    assert!(wire.next().await.is_none());
    assert_eq!(wire.ended().await, text);
}

#[tokio::test]
async fn a_second_register_ends_the_stream() {
    let bench = DevBench::new();
    let shim = bench.attach(FakeShim::echo("mycc:1.0")).await;
    shim.send(register("mycc:1.0")).await;
    let status = shim.ended().await.unwrap();
    assert!(
        status
            .message()
            .ends_with("cannot handle message (REGISTER) while in ready state")
    );
    assert!(bench.support.registry().ready_handler("mycc:1.0").is_none());
}

#[tokio::test]
async fn who_waits_for_a_launch_learns_that_another_stream_took_the_name() {
    let bench = DevBench::new();
    let (launch, _) = bench.support.registry().launching("mycc:1.0");
    // registered, but not ready: nobody reads what the peer sends
    let first = Wire::open(&bench, 1);
    first.send(register("mycc:1.0")).await;
    while bench.support.registry().is_unclaimed("mycc:1.0") {
        tokio::task::yield_now().await;
    }
    let mut second = Wire::open(&bench, OUTBOUND_QUEUE);
    second.send(register("mycc:1.0")).await;
    assert_eq!(
        wire_message(&launch.wait().await.unwrap_err()),
        "chaincode registration failed: duplicate chaincodeID: mycc:1.0 (phase register)"
    );
    let status = second.next().await.unwrap().unwrap_err();
    assert_eq!(status.message(), "duplicate chaincodeID: mycc:1.0");
}

#[tokio::test]
async fn a_stream_of_the_same_name_is_refused_and_the_first_lives_on() {
    let bench = DevBench::new();
    let _first = bench.attach(FakeShim::echo("mycc:1.0")).await;
    let second = FakeShim::echo("mycc:1.0").attach(&bench.support);
    let status = second.ended().await.unwrap();
    assert_eq!(status.message(), "duplicate chaincodeID: mycc:1.0");
    assert!(second.received().is_empty());
    let outcome = bench.call(&["still there"]).await.unwrap();
    assert_eq!(outcome.response.payload.as_ref(), b"still there");
}

#[tokio::test]
async fn a_register_without_a_name_or_of_garbage_is_refused() {
    let bench = DevBench::new();
    let nameless = FakeShim::echo("").attach(&bench.support);
    assert_eq!(
        nameless.ended().await.unwrap().message(),
        "error in handling register chaincode, chaincodeID name is empty"
    );
    let garbage = ChaincodeMessage {
        payload: Bytes::from_static(&[0xff]),
        ..plain(Type::Register)
    };
    let garbage = FakeShim::echo("x:1")
        .first_message(garbage)
        .attach(&bench.support);
    assert!(
        garbage
            .ended()
            .await
            .unwrap()
            .message()
            .starts_with("error in received REGISTER")
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_ended() {
    let bench = DevBench::new();
    let wire = Wire::open(&bench, OUTBOUND_QUEUE);
    assert_eq!(wire.ended().await, "no REGISTER within 60 s");
}

#[tokio::test]
async fn a_chaincode_that_cannot_be_welcomed_is_not_registered() {
    let bench = DevBench::new();
    let mut wire = Wire::open(&bench, OUTBOUND_QUEUE);
    wire.from_peer.close();
    wire.send(register("mycc:1.0")).await;
    assert!(wire.ended().await.contains("error sending REGISTERED"));
    assert!(bench.support.registry().launch("mycc:1.0").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_chaincode_that_goes_before_ready_is_not_registered() {
    let bench = DevBench::new();
    // room for REGISTERED only
    let mut wire = Wire::open(&bench, 1);
    wire.send(register("mycc:1.0")).await;
    let text = "received error while sending message, ending chaincode support stream: \
                [] error sending READY: the chaincode does not read";
    let launching = async {
        loop {
            match bench.support.registry().launch("mycc:1.0") {
                Some(launch) => break launch,
                None => tokio::task::yield_now().await,
            }
        }
    }
    .await;
    let failure = launching.wait().await.unwrap_err();
    assert_eq!(
        wire_message(&failure),
        "chaincode registration failed: [] error sending READY: the chaincode does not read (phase register)"
    );
    assert_eq!(
        wire.next().await.unwrap().unwrap().r#type,
        i32::from(Type::Registered)
    );
    assert!(wire.next().await.is_none());
    assert_eq!(wire.ended().await, text);
}

#[tokio::test(start_paused = true)]
async fn keepalives_are_sent_only_when_configured_and_always_tolerated() {
    let bench = DevBench::with(Config {
        keepalive: Some(Duration::from_millis(50)),
        ..Config::default()
    });
    let shim = bench.attach(FakeShim::echo("mycc:1.0")).await;
    shim.wait_for(Type::Keepalive).await;
    shim.send(plain(Type::Keepalive)).await;
    assert!(bench.call(&["x"]).await.is_ok());

    let quiet = DevBench::new();
    let shim = quiet.attach(FakeShim::echo("mycc:1.0")).await;
    shim.send(plain(Type::Keepalive)).await;
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert!(quiet.call(&["x"]).await.is_ok());
    let sent_keepalive = |message: &ChaincodeMessage| message.r#type == i32::from(Type::Keepalive);
    assert!(!shim.received().iter().any(sent_keepalive));
}

#[tokio::test]
async fn the_end_of_the_stream_deregisters_the_name() {
    let bench = DevBench::new();
    for _ in 0..3 {
        let shim = bench.attach(FakeShim::echo("mycc:1.0")).await;
        assert!(bench.call(&["x"]).await.is_ok());
        shim.hang_up();
        while bench.support.registry().launch("mycc:1.0").is_some() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_transport_error_ends_the_stream_with_it() {
    let bench = DevBench::new();
    let mut wire = Wire::open(&bench, OUTBOUND_QUEUE);
    wire.send(register("mycc:1.0")).await;
    wire.next().await.unwrap().unwrap();
    let error = Status::unknown("error reading a body");
    wire.to_peer.send(Err(error)).await.unwrap();
    let text = wire.ended().await;
    assert!(
        text.starts_with("receive from chaincode support stream failed: "),
        "{text}"
    );
    assert!(text.contains("error reading a body"), "{text}");
}

#[tokio::test]
async fn a_message_beyond_the_limit_ends_the_stream_in_grpcs_words() {
    let bench = DevBench::new();
    let mut wire = Wire::open(&bench, OUTBOUND_QUEUE);
    let tonics = "Error, decoded message length too large: found 9 bytes, the limit is: 5 bytes";
    wire.to_peer
        .send(Err(Status::out_of_range(tonics)))
        .await
        .unwrap();
    let status = wire.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(
        status.message(),
        "receive from chaincode support stream failed: rpc error: code = ResourceExhausted desc = grpc: received \
         message larger than max (9 vs. 5)"
    );
}

#[tokio::test]
async fn deregistering_from_the_peers_side_ends_the_stream() {
    let bench = DevBench::new();
    let shim = bench.attach(FakeShim::echo("mycc:1.0")).await;
    bench.support.registry().deregister("mycc:1.0").unwrap();
    let status = shim.ended().await.unwrap();
    assert_eq!(status.message(), "chaincode mycc:1.0 has been deregistered");
}

#[tokio::test]
async fn requests_outside_a_transaction_are_answered_with_an_error() {
    let bench = DevBench::new();
    let mut wire = Wire::open(&bench, OUTBOUND_QUEUE);
    wire.send(register("mycc:1.0")).await;
    for _ in 0..2 {
        wire.next().await.unwrap().unwrap();
    }
    let mut request = ChaincodeMessage {
        txid: "nobody".into(),
        channel_id: "ch".into(),
        ..plain(Type::GetState)
    };
    wire.send(request.clone()).await;
    let reply = wire.next().await.unwrap().unwrap();
    assert_eq!((reply.txid.as_str(), reply.channel_id.as_str()), ("nobody", "ch"));
    assert_eq!(
        reply.payload,
        "GET_STATE failed: transaction ID: nobody: no ledger context"
    );
    request.r#type = Type::InvokeChaincode.into();
    wire.send(request).await;
    let reply = wire.next().await.unwrap().unwrap();
    assert_eq!(
        reply.payload,
        "INVOKE_CHAINCODE failed: transaction ID: nobody: could not get valid transaction"
    );
}

#[tokio::test]
async fn a_flood_of_requests_is_slowed_down_and_the_stream_survives() {
    let bench = DevBench::new();
    let mut wire = Wire::open(&bench, 4);
    wire.send(register("mycc:1.0")).await;
    for _ in 0..2 {
        wire.next().await.unwrap().unwrap();
    }
    let request = ChaincodeMessage {
        txid: "nobody".into(),
        ..plain(Type::GetState)
    };
    // nobody reads the answers: the peer stops taking requests
    let mut taken = 0;
    loop {
        tokio::task::yield_now().await;
        match wire.to_peer.try_send(Ok(request.clone())) {
            Ok(()) => taken += 1,
            Err(_full) => {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                if wire.to_peer.try_send(Ok(request.clone())).is_err() {
                    break;
                }
                taken += 1;
            }
        }
        assert!(taken < 100, "no back-pressure");
    }
    for _ in 0..taken {
        assert_eq!(wire.next().await.unwrap().unwrap().r#type, i32::from(Type::Error));
    }
    let running = {
        let support = bench.support.clone();
        tokio::spawn(async move { support.execute(params("tx"), invoke("mycc", &["x"])).await })
    };
    let call = wire.next().await.unwrap().unwrap();
    assert_eq!(call.r#type, i32::from(Type::Transaction));
    let response = Response {
        status: 200,
        ..Default::default()
    };
    wire.send(ChaincodeMessage {
        payload: response.encode_to_vec().into(),
        txid: call.txid,
        channel_id: call.channel_id,
        ..plain(Type::Completed)
    })
    .await;
    assert_eq!(running.await.unwrap().unwrap().response.status, 200);
}
