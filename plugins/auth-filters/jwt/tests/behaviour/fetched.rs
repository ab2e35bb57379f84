//! Keys from a server and from files that change.

use crate::harness::{Filter, UNAUTHENTICATED, UNAVAILABLE, config, load};
use crate::issuer::{Signer, claims, jwks};
use crate::server::{Answer, KeyServer};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// For what comes soon, on a machine that may be busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

fn signer(id: &str) -> Signer {
    Signer::new(id, Algorithm::ES256)
}

fn filter(server: &KeyServer, times: Value) -> Filter {
    let mut keys = json!({
        "url": server.url(), "allowHttp": true,
        // the machine may be busy with something else
        "waitSeconds": 30, "timeoutSeconds": 30,
    });
    for (name, value) in times.as_object().unwrap() {
        keys[name] = value.clone();
    }
    load(config(keys, json!({}))).unwrap()
}

async fn passes(filter: &Filter, signer: &Signer) -> bool {
    filter.token(&signer.token(&claims(json!({})))).await.is_ok()
}

async fn refusal(filter: &Filter, signer: &Signer) -> (u32, String) {
    filter.refusal(&signer.token(&claims(json!({})))).await
}

/// Waits until such tokens pass.
async fn will_pass(filter: &Filter, signer: &Signer) {
    let start = Instant::now();
    while !passes(filter, signer).await {
        assert!(start.elapsed() < PATIENCE, "the new keys are never used");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the server has been asked so often.
async fn asked(server: &KeyServer, times: usize) {
    let start = Instant::now();
    while server.asked() < times {
        assert!(
            start.elapsed() < PATIENCE,
            "asked {} times, not {times}",
            server.asked()
        );
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn keys_are_fetched_ahead_of_need_and_once() {
    let signer = signer("a");
    let server = KeyServer::http(Answer::Keys(jwks([&signer]))).await;
    let filter = filter(&server, json!({}));
    asked(&server, 1).await;
    for _ in 0..20 {
        assert!(passes(&filter, &signer).await);
    }
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn the_first_proposals_wait_for_the_first_keys() {
    let signer = signer("a");
    let server = KeyServer::http(Answer::Late(Duration::from_millis(200), jwks([&signer]))).await;
    let filter = filter(&server, json!({}));
    let both = tokio::join!(passes(&filter, &signer), passes(&filter, &signer));
    assert_eq!(both, (true, true));
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn https_is_verified() {
    let signer = signer("a");
    let server = KeyServer::https(Answer::Keys(jwks([&signer]))).await;
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("ca.pem");
    std::fs::write(&own, server.certificate.as_ref().unwrap()).unwrap();
    let with = |keys: Value| load(config(keys, json!({}))).unwrap();
    let trusting = with(json!({"url": server.url(), "caFile": own, "waitSeconds": 30, "timeoutSeconds": 30}));
    assert!(passes(&trusting, &signer).await);
    let other = KeyServer::https(Answer::HangUp).await;
    std::fs::write(&own, other.certificate.as_ref().unwrap()).unwrap();
    for distrusting in [
        with(json!({"url": server.url(), "caFile": own})),
        with(json!({"url": server.url()})),
    ] {
        assert_eq!(refusal(&distrusting, &signer).await.0, UNAVAILABLE);
    }
    assert_eq!(server.asked(), 1, "nothing was said over the others' connections");
}

#[tokio::test]
async fn nothing_passes_without_keys() {
    let signer = signer("a");
    let server = KeyServer::http(Answer::HangUp).await;
    for answer in [
        Answer::HangUp,
        Answer::Status("500 Oops"),
        Answer::Status("302 Found\r\nlocation: /keys"),
        Answer::Keys("no JSON".to_owned()),
        Answer::Keys(r#"{"keys": []}"#.to_owned()),
        Answer::Endless,
        Answer::Silence,
    ] {
        server.says(answer);
        let filter = filter(
            &server,
            json!({"timeoutSeconds": 1, "waitSeconds": 40, "retrySeconds": 600}),
        );
        let before = server.asked();
        let (code, text) = refusal(&filter, &signer).await;
        assert_eq!(
            (code, text.as_str()),
            (
                UNAVAILABLE,
                "bearer tokens cannot be checked now: the keys of their issuer are not available"
            )
        );
        let at_once = Instant::now();
        assert_eq!(refusal(&filter, &signer).await.0, UNAVAILABLE);
        assert!(
            at_once.elapsed() < Duration::from_secs(20),
            "the second does not wait for a retry"
        );
        assert!(server.asked() <= before + 1);
    }
}

#[tokio::test]
async fn a_proposal_waits_a_limited_time() {
    let signer = signer("a");
    let server = KeyServer::http(Answer::Silence).await;
    let filter = filter(&server, json!({"waitSeconds": 0.1}));
    let start = Instant::now();
    assert_eq!(refusal(&filter, &signer).await.0, UNAVAILABLE);
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_server_that_comes_up_later_is_found() {
    let signer = signer("a");
    let server = KeyServer::http(Answer::Status("503 Not yet")).await;
    let filter = filter(&server, json!({"retrySeconds": 0.05}));
    assert_eq!(refusal(&filter, &signer).await.0, UNAVAILABLE);
    server.says(Answer::Keys(jwks([&signer])));
    will_pass(&filter, &signer).await;
}

#[tokio::test]
async fn an_unknown_key_id_causes_one_fetch_and_not_one_per_token() {
    let (old, new) = (signer("old"), signer("new"));
    let server = KeyServer::http(Answer::Keys(jwks([&old]))).await;
    let filter = filter(&server, json!({"retrySeconds": 2}));
    assert!(passes(&filter, &old).await);
    sleep(Duration::from_millis(2010)).await;
    server.says(Answer::Keys(jwks([&old, &new])));
    assert!(passes(&filter, &new).await, "the issuer has a new key");
    assert_eq!(server.asked(), 2);
    let start = Instant::now();
    for number in 0..50 {
        let (code, text) = refusal(&filter, &signer(&format!("invented {number}"))).await;
        assert_eq!(code, UNAUTHENTICATED);
        assert!(text.contains("has not published"), "{text}");
    }
    let (more, allowed) = (server.asked() - 2, 1.0 + start.elapsed().as_secs_f64() / 2.0);
    assert!(
        more <= 25 && f64::from(u32::try_from(more).unwrap()) <= allowed,
        "{more} fetches for fifty invented ids"
    );
    assert!(passes(&filter, &old).await);
}

#[tokio::test]
async fn keys_are_refreshed_in_use_and_withdrawn_ones_end() {
    let (old, new) = (signer("old"), signer("new"));
    let server = KeyServer::http(Answer::Keys(jwks([&old]))).await;
    let filter = filter(&server, json!({"refreshSeconds": 2, "retrySeconds": 0.01}));
    assert!(passes(&filter, &old).await);
    server.says(Answer::Keys(jwks([&new])));
    sleep(Duration::from_millis(2010)).await;
    assert!(passes(&filter, &old).await, "nobody waits for a refresh");
    asked(&server, 2).await;
    let start = Instant::now();
    while passes(&filter, &old).await {
        assert!(start.elapsed() < PATIENCE, "a withdrawn key stays in use");
        sleep(Duration::from_millis(5)).await;
    }
    assert!(passes(&filter, &new).await);
}

#[tokio::test]
async fn known_keys_outlive_their_server_for_a_while() {
    const STALE: u64 = 4;
    let signer = signer("a");
    let server = KeyServer::http(Answer::Keys(jwks([&signer]))).await;
    let since = Instant::now();
    let filter = filter(
        &server,
        json!({"refreshSeconds": 0.05, "retrySeconds": 0.02, "maxStaleSeconds": STALE}),
    );
    // on a busy machine the keys may have become stale before they are used
    let in_time = || since.elapsed() < Duration::from_secs(STALE);
    let passed = passes(&filter, &signer).await;
    assert!(passed || !in_time());
    server.says(Answer::Status("500 Oops"));
    sleep(Duration::from_millis(100)).await;
    let passed = passes(&filter, &signer).await;
    assert!(passed || !in_time());
    asked(&server, 2).await;
    let passed = passes(&filter, &signer).await;
    assert!(passed || !in_time(), "failed refreshes take no key away");
    let start = Instant::now();
    while passes(&filter, &signer).await {
        assert!(start.elapsed() < PATIENCE, "stale keys stay in use");
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(refusal(&filter, &signer).await.0, UNAVAILABLE);
    server.says(Answer::Keys(jwks([&signer])));
    will_pass(&filter, &signer).await;
}

#[tokio::test]
async fn a_file_is_read_again() {
    let (old, new) = (signer("old"), signer("new"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, jwks([&old])).unwrap();
    let keys = json!({"file": file, "retrySeconds": 0.01, "refreshSeconds": 0.05});
    let filter = load(config(keys, json!({}))).unwrap();
    assert!(passes(&filter, &old).await);
    std::fs::write(&file, "half a fi").unwrap();
    sleep(Duration::from_millis(60)).await;
    for _ in 0..10 {
        assert!(passes(&filter, &old).await, "a broken file changes nothing");
    }
    std::fs::write(&file, jwks([&new])).unwrap();
    will_pass(&filter, &new).await;
}
