//! Limits on what clients may do at a time.

use integration::network::Harness;
use protos::common::Envelope;
use protos::peer::deliver_client::DeliverClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

fn refused(status: &Status, service: &str, limit: usize) -> bool {
    let text = format!("too many requests for /protos.{service}, exceeding concurrency limit ({limit})");
    status.code() == Code::Unknown && status.message() == text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_takes_its_place_until_it_is_done_though_its_client_has_gone() {
    let harness = Harness::start_with([
        ("peer.limits.concurrency.endorserService", 1.into()),
        ("chaincode.executetimeout", "300s".into()),
    ])
    .await;
    let shim = harness.connect("kv:1").await;
    let waiting = harness.call(&["silence"]);
    tokio::pin!(waiting);
    // until the first call holds the place, the second ones get through; a few may meet one another, whose places
    // are given back a moment after their answers
    let mut refusals = 0;
    while refusals < 20 {
        tokio::select! {
            biased;
            answer = &mut waiting => {
                // one of the second ones was faster
                assert!(refused(&answer.expect_err("silent"), "Endorser", 1));
                waiting.set(harness.call(&["silence"]));
                refusals = 0;
            }
            second = harness.call(&["put", "a"]) => match second {
                Err(status) if refused(&status, "Endorser", 1) => refusals += 1,
                _ => refusals = 0,
            }
        }
    }
    waiting.set(harness.call(&["put", "a"]));
    for _ in 0..50 {
        let status = harness.call(&["put", "a"]).await.expect_err("the place is taken");
        assert!(refused(&status, "Endorser", 1), "{status:?}");
    }
    // the chaincode goes, and with it the transaction
    drop(shim);
    while harness.call(&["put", "a"]).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_stream_takes_its_place_until_it_ends() {
    let harness = Harness::start_with([("peer.limits.concurrency.deliverService", 4.into())]).await;
    let channel = harness.network.admin_client().peer().channel();
    let open = async || {
        let (requests, stream) = mpsc::channel::<Envelope>(1);
        let mut client = DeliverClient::new(channel.clone());
        let answers = client.deliver_filtered(ReceiverStream::new(stream)).await;
        answers.map(|answers| (requests, answers))
    };
    let patience = std::time::Duration::from_secs(60);
    // the network's own clients hold some, and may give others back a moment after they are done: until none comes for
    // a while
    let mut held = Vec::new();
    let mut taken = tokio::time::Instant::now();
    while taken.elapsed() < std::time::Duration::from_secs(2) {
        match open().await {
            Ok(stream) => {
                held.push(stream);
                taken = tokio::time::Instant::now();
            }
            Err(status) => assert!(refused(&status, "Deliver", 4), "{status:?}"),
        }
    }
    assert!((1..=4).contains(&held.len()), "{}", held.len());
    let status = open().await.expect_err("the places are taken");
    assert!(refused(&status, "Deliver", 4), "{status:?}");
    held.pop();
    let freed = async { while open().await.is_err() {} };
    tokio::time::timeout(patience, freed)
        .await
        .expect("the place is free again");
}
