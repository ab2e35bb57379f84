//! [`within`]: code of a plugin that runs while it is loaded, on a thread of its own and not for ever.

use crate::current::inside;
use crate::load_error::LoadError;
use std::sync::mpsc::{RecvTimeoutError, channel};
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
    let thread = std::thread::Builder::new()
        // Linux shows 15 bytes of it
        .name(format!("load-{plugin}"))
        .spawn(move || {
            // nobody is there to hear it after the deadline
            answer.send(inside(plugin, call)).ok()
        });
    thread.map_err(LoadError::Io)?;
    answered.recv_timeout(deadline).map_err(|error| LoadError::Ctor {
        reason: match error {
            RecvTimeoutError::Timeout => format!("{what} took longer than {deadline:?} ({plugin})"),
            RecvTimeoutError::Disconnected => format!("{what} panicked ({plugin})"),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
