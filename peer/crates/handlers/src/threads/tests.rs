//! Calls that hang, wait, and come back.

use super::*;
use std::sync::mpsc;
use std::time::Duration;

/// A call that holds its thread until it is told, and says when it does.
fn blocking() -> (
    impl Future<Output = ()> + Unpin + Send,
    mpsc::Receiver<()>,
    mpsc::Sender<()>,
) {
    let (entered, is_in) = mpsc::channel();
    let (release, go_on) = mpsc::channel();
    let future = std::future::poll_fn(move |_context| {
        entered.send(()).unwrap();
        go_on.recv().ok();
        Poll::Ready(())
    });
    (future, is_in, release)
}

async fn eventually(met: impl Fn() -> bool) {
    let waiting = async {
        while !met() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .expect("it never happened");
}

#[tokio::test]
async fn what_hangs_in_a_thread_is_counted_until_it_ends() {
    let threads = Threads::new("t", Shape::Futures);
    let (future, is_in, release) = blocking();
    let running = threads.spawn(future).unwrap();
    is_in.recv().unwrap();
    assert_eq!(threads.stuck(), 0, "somebody waits for it");
    drop(running);
    assert_eq!(threads.stuck(), 1);
    release.send(()).unwrap();
    eventually(|| threads.stuck() == 0).await;
}

#[tokio::test]
async fn what_waits_elsewhere_or_has_not_begun_does_not_hang() {
    let threads = Threads::new("t", Shape::Futures);
    drop(threads.spawn(std::future::pending::<()>()).unwrap());
    // it may be on its thread for the moment of a poll when it is given up
    eventually(|| threads.stuck() == 0).await;
    let blocking = Threads::new("t", Shape::Blocking(1));
    let (release, go_on) = mpsc::channel::<()>();
    let first = blocking.spawn_blocking(move || go_on.recv().ok()).unwrap();
    let (began, second) = mpsc::channel();
    drop(blocking.spawn_blocking(move || began.send(()).ok()).unwrap());
    release.send(()).unwrap();
    drop(first);
    eventually(|| blocking.stuck() == 0).await;
    assert!(second.recv().is_err(), "nobody waited for it, so it was not made");
}

#[tokio::test]
async fn replaced_threads_finish_what_is_under_way_and_stay_counted() {
    let threads = Threads::new("t", Shape::Futures);
    assert_eq!(threads.recover(), Recovery::Unneeded);
    let (tell, told) = tokio::sync::oneshot::channel();
    let mut healthy = threads.spawn(told).unwrap();
    let mut releases = Vec::new();
    for _ in 0..MAX_REPLACEMENTS {
        let (future, is_in, release) = blocking();
        let hanging = threads.spawn(future).unwrap();
        is_in.recv().unwrap();
        drop(hanging);
        releases.push(release);
        assert_eq!(threads.recover(), Recovery::Replaced);
        assert_eq!(threads.recover(), Recovery::Unneeded, "the new ones are free");
    }
    assert_eq!(threads.stuck(), MAX_REPLACEMENTS);
    tell.send(7).unwrap();
    assert_eq!((&mut healthy.task).await.unwrap(), Some(Ok(7)));
    let (future, is_in, _release) = blocking();
    let hanging = threads.spawn(future).unwrap();
    is_in.recv().unwrap();
    drop(hanging);
    assert_eq!(threads.recover(), Recovery::GivenUp);
    assert_eq!(threads.stuck(), MAX_REPLACEMENTS + 1);
    releases.clear();
    eventually(|| threads.stuck() == 1).await;
}
