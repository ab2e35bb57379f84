//! Services that do not do what they should: nothing passes.

use crate::harness::{Filter, UNAVAILABLE, filter};
use crate::service::{Answer, Authorization, no, yes};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic::Code;

async fn refuses(filter: &Filter, says: &str) {
    let (code, text) = filter.refusal().await;
    assert_eq!((code, text.as_str()), (UNAVAILABLE, says));
}

const NOT_AVAILABLE: &str = "the authorization service is not available";
const TOO_LATE: &str = "the authorization service did not answer in time";

#[tokio::test]
async fn errors_and_garbage_are_a_refusal() {
    let service = Authorization::start(Answer::Wrong).await;
    let filter = filter(&service.url(), json!({}));
    refuses(&filter, NOT_AVAILABLE).await;
    for code in [
        Code::PermissionDenied,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
    ] {
        service.says(Answer::Fails(code));
        refuses(&filter, NOT_AVAILABLE).await;
    }
    service.says(Answer::Says(Default::default()));
    refuses(&filter, "the authorization service's answer is unintelligible").await;
    service.says(Answer::Says(no(403, &"x".repeat(2 << 20))));
    refuses(&filter, NOT_AVAILABLE).await;
    service.says(Answer::Says(yes()));
    filter.ask().await.expect("the connection is still good");
}

#[tokio::test]
async fn a_slow_service_is_not_waited_for() {
    let service = Authorization::start(Answer::Late(Duration::from_secs(30), yes())).await;
    let filter = filter(&service.url(), json!({"timeoutSeconds": 1}));
    let start = Instant::now();
    refuses(&filter, TOO_LATE).await;
    assert!(start.elapsed() < Duration::from_secs(20));
    service.says(Answer::Says(yes()));
    filter.will_pass().await;
}

#[tokio::test]
async fn something_else_on_the_port_is_no_service() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            drop(connection.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await);
        }
    });
    let (code, _) = filter(&url, json!({"timeoutSeconds": 1})).refusal().await;
    assert_eq!(code, UNAVAILABLE);
}

#[tokio::test]
async fn a_port_that_takes_and_says_nothing_is_no_service() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let filter = filter(&url, json!({"timeoutSeconds": 0.2}));
    let start = Instant::now();
    let (code, _) = filter.refusal().await;
    assert_eq!(code, UNAVAILABLE);
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn no_more_than_the_limit_is_asked_at_once() {
    let refused = Arc::new(Semaphore::new(0));
    let service = Authorization::start(Answer::Held(Arc::clone(&refused), yes())).await;
    let filter = filter(&service.url(), json!({"maxInFlight": 2}));
    let third = async {
        while service.asked().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        refuses(&filter, "the authorization service is asked too much at once").await;
        refused.add_permits(2);
    };
    let (first, second, ()) = tokio::join!(filter.ask(), filter.ask(), third);
    assert!(first.is_ok() && second.is_ok());
    service.says(Answer::Says(yes()));
    filter.ask().await.expect("there is room again");
}

#[tokio::test]
async fn a_client_that_hangs_up_takes_its_question_back() {
    let service = Authorization::start(Answer::Late(Duration::from_secs(60), yes())).await;
    let filter = filter(&service.url(), json!({"maxInFlight": 1, "timeoutSeconds": 60}));
    let hung_up = tokio::time::timeout(Duration::from_millis(300), filter.ask()).await;
    assert!(hung_up.is_err(), "the client gave up first");
    service.says(Answer::Says(yes()));
    filter.will_pass().await;
}
