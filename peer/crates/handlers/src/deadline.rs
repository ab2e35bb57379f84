//! [`within`] and [`lasting`]: code of a plugin that runs while it is loaded, on another thread and not for ever.

use crate::current::inside;
use crate::load_error::LoadError;
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::Duration;

/// How long a library may take to be mapped and described, and an instance to be constructed.
pub(crate) const LOADING: Duration = Duration::from_secs(10);

/// What `call` returns, unless it takes too long. Its thread is then left behind: nothing can end it.
pub(crate) fn within<T: Send + 'static>(
    deadline: Duration,
    plugin: &'static str,
    what: &'static str,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    let (answer, answered) = channel();
    let thread = Builder::new()
        // Linux shows 15 bytes of it
        .name(format!("load-{plugin}"))
        .spawn(move || {
            // nobody is there to hear it after the deadline
            answer.send(inside(plugin, call)).ok()
        });
    thread.map_err(LoadError::Io)?;
    answered
        .recv_timeout(deadline)
        .map_err(|error| unanswered(error, deadline, plugin, what))
}

fn unanswered(error: RecvTimeoutError, deadline: Duration, plugin: &str, what: &str) -> LoadError {
    LoadError::Ctor {
        reason: match error {
            RecvTimeoutError::Timeout => format!("{what} took longer than {deadline:?} ({plugin})"),
            RecvTimeoutError::Disconnected => format!("{what} panicked ({plugin})"),
        },
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads that wait for the next call of [`lasting`]: one, unless libraries are mapped at the same time.
static WAITING: Mutex<Vec<Sender<Job>>> = Mutex::new(Vec::new());

/// Calls of [`lasting`] that have not ended.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

struct Counted(&'static AtomicUsize);

impl Counted {
    fn new(under_way: &'static AtomicUsize) -> Self {
        under_way.fetch_add(1, Ordering::Relaxed);
        Self(under_way)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a library is being mapped. The dynamic linker is locked meanwhile: if the library's initialisers never end, a
/// process that ends in an orderly way does not, either. [`exit_now`](crate::exit_now) does not wait.
#[must_use]
pub fn is_mapping() -> bool {
    UNDER_WAY.load(Ordering::Relaxed) > 0
}

/// Like [`within`], on a thread that ends with the process only.
///
/// What a library's initialisers find out about their thread has to stay true. mimalloc takes the one that they run on
/// for the main thread: when it ends, its heap is gone, and the next thread that the system gives the same address takes
/// that heap for its own.
pub(crate) fn lasting<T: Send + 'static>(
    deadline: Duration,
    plugin: &'static str,
    what: &'static str,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    counted(Counted::new(&UNDER_WAY), deadline, plugin, what, call)
}

fn counted<T: Send + 'static>(
    under_way: Counted,
    deadline: Duration,
    plugin: &'static str,
    what: &'static str,
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<T, LoadError> {
    let (answer, answered) = channel();
    let mut job: Job = Box::new(move || {
        let said = inside(plugin, call);
        // before anybody hears of it: who has the answer must not find it under way
        drop(under_way);
        // nobody is there to hear it after the deadline
        drop(answer.send(said));
    });
    let thread = loop {
        let waiting = WAITING.lock().pop();
        let thread = match waiting {
            Some(thread) => thread,
            None => start().map_err(LoadError::Io)?,
        };
        match thread.send(job) {
            Ok(()) => break thread,
            // no such thread ends; if one did, another takes its place
            Err(unsent) => job = unsent.0,
        }
    };
    let outcome = answered.recv_timeout(deadline);
    if !matches!(outcome, Err(RecvTimeoutError::Timeout)) {
        WAITING.lock().push(thread);
    }
    outcome.map_err(|error| unanswered(error, deadline, plugin, what))
}

fn start() -> std::io::Result<Sender<Job>> {
    let (sender, jobs) = channel();
    Builder::new()
        .name("plugin-loader".to_owned())
        .spawn(move || work(&jobs))?;
    Ok(sender)
}

fn work(jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(job)) {
            // its destructor might panic as well
            std::mem::forget(payload);
        }
    }
    // its last call took too long, and nobody gives it another one
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The thread that a call was made on, for as long as it lives.
    fn threads_end() -> std::sync::Weak<()> {
        thread_local!(static HERE: std::sync::Arc<()> = std::sync::Arc::new(()));
        HERE.with(std::sync::Arc::downgrade)
    }

    #[test]
    fn who_has_the_answer_finds_nothing_under_way() {
        static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);
        for _ in 0..2000 {
            counted(Counted::new(&UNDER_WAY), LOADING, "p", "it", || ()).unwrap();
            assert_eq!(UNDER_WAY.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn a_lasting_call_leaves_its_thread_alive() {
        let made = || lasting(LOADING, "p", "it", threads_end).unwrap();
        let first = made();
        let bad = lasting::<()>(LOADING, "bad", "its library", || panic!("ouch"));
        let text = bad.unwrap_err().to_string();
        assert!(text.ends_with("its library panicked (bad)"), "{text}");
        let (release, go_on) = channel::<()>();
        let hangs = move || (go_on.recv().is_ok(), threads_end());
        let slow = lasting(Duration::from_millis(1), "slow", "its library", hangs);
        let text = slow.map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("its library took longer than 1ms (slow)"), "{text}");
        // the next one does not wait for the one that hangs
        let others = made();
        release.send(()).unwrap();
        // of `within`, on the other hand, the thread ends
        let short = within(LOADING, "p", "it", threads_end).unwrap();
        let started = std::time::Instant::now();
        while short.strong_count() > 0 {
            assert!(started.elapsed() < LOADING, "it does not end");
            std::thread::yield_now();
        }
        assert_eq!((first.strong_count(), others.strong_count()), (1, 1));
    }

    #[test]
    fn what_hangs_is_left_behind_by_name() {
        let (release, go_on) = channel::<()>();
        let hangs = move || go_on.recv().is_ok();
        let error = within(Duration::from_millis(1), "slow", "it", hangs).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the constructor failed: it took longer than 1ms (slow)"
        );
        drop(release);
        assert_eq!(within(LOADING, "fast", "it", || 7).unwrap(), 7);
        let error = within(LOADING, "bad", "its metadata", || panic!("ouch")).unwrap_err();
        assert!(
            error.to_string().ends_with("its metadata panicked (bad)"),
            "{error}"
        );
    }
}
