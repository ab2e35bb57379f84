//! The writer with a sink that fails when it is told to.

use super::*;
use crate::queue::{Queue, queue};
use crate::record::tests::done;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

#[derive(Clone, Default)]
struct FakeSink {
    fails: Arc<AtomicBool>,
    tries: Arc<AtomicU64>,
    written: Arc<Mutex<String>>,
}

impl Sink for FakeSink {
    fn write(&mut self, lines: &str) -> io::Result<()> {
        self.tries.fetch_add(1, Ordering::Relaxed);
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.written.lock().unwrap().push_str(lines);
        Ok(())
    }
}

struct Running {
    sink: FakeSink,
    queue: Queue,
    lost: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

fn start(on_full: OnFull, places: usize, retry: Duration) -> Running {
    let (sink, lost) = (FakeSink::default(), Arc::new(AtomicU64::new(0)));
    let (queue, waiting) = queue(places);
    let counted = Arc::clone(&lost);
    let count = Box::new(move |records| {
        counted.fetch_add(records, Ordering::Relaxed);
    });
    let mut writer = Writer::new(Box::new(sink.clone()), on_full, count);
    writer.retry = retry;
    let thread = writer.start(waiting).unwrap();
    Running {
        sink,
        queue,
        lost,
        thread,
    }
}

impl Running {
    fn put(&self, name: &str) -> bool {
        let place = self.queue.take();
        place.is_some_and(|place| self.queue.put(done(b"", name), place))
    }

    fn ids(&self) -> Vec<String> {
        let written = self.sink.written.lock().unwrap();
        let ids = written.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["txId"].as_str().unwrap().to_owned()
        });
        ids.collect()
    }

    fn stop(self) -> (Vec<String>, u64) {
        self.queue.stop();
        let Self {
            sink,
            queue,
            lost,
            thread,
        } = self;
        thread.join().unwrap();
        assert!(queue.is_broken(), "nobody writes any more");
        let ids = Running {
            sink,
            queue,
            lost: Arc::clone(&lost),
            thread: std::thread::spawn(|| ()),
        }
        .ids();
        (ids, lost.load(Ordering::Relaxed))
    }
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::yield_now();
    }
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn records_are_written_in_order_and_the_last_ones_at_the_end() {
    let running = start(OnFull::Deny, 5000, RETRY);
    for name in names(0..1000) {
        assert!(running.put(&name));
    }
    assert_eq!(running.stop(), (names(0..1000), 0));
}

#[test]
fn what_cannot_be_written_waits_until_it_can() {
    let running = start(OnFull::Deny, 20, Duration::from_millis(1));
    running.sink.fails.store(true, Ordering::Relaxed);
    let mut accepted = 0;
    while running.put(&accepted.to_string()) {
        accepted += 1;
    }
    assert_eq!(accepted, 20, "all places are taken");
    eventually("several tries", || running.sink.tries.load(Ordering::Relaxed) > 5);
    assert!(running.queue.is_broken() && !running.put("no place"));
    running.sink.fails.store(false, Ordering::Relaxed);
    eventually("all written", || running.ids().len() == 20);
    eventually("well again", || !running.queue.is_broken());
    assert!(running.put("20"));
    assert_eq!(running.stop(), (names(0..21), 0));
}

#[test]
fn what_may_be_dropped_is_counted() {
    let running = start(OnFull::Drop, 20, RETRY);
    running.sink.fails.store(true, Ordering::Relaxed);
    for name in names(0..3) {
        assert!(running.put(&name));
    }
    eventually("given up", || running.lost.load(Ordering::Relaxed) == 3);
    running.sink.fails.store(false, Ordering::Relaxed);
    assert!(running.put("3"));
    assert_eq!(running.stop(), (vec!["3".to_owned()], 3));
}

#[test]
fn an_end_while_writing_fails_does_not_wait() {
    let running = start(OnFull::Deny, 20, Duration::from_secs(3600));
    running.sink.fails.store(true, Ordering::Relaxed);
    for name in names(0..3) {
        assert!(running.put(&name));
    }
    eventually("a try", || running.sink.tries.load(Ordering::Relaxed) > 0);
    assert_eq!(running.stop(), (Vec::new(), 3));
}
