//! Progress of steps that take longer than a moment: a spinner on a terminal, a line in a log.

use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// A step shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_millis(700);
/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// What turns on the terminal at the moment.
static SPINNERS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Writes to a terminal where a spinner may turn, so that the two do not share a line.
pub fn aside<T>(write: impl FnOnce() -> T) -> T {
    SPINNERS.suspend(write)
}

/// Runs a step; if it takes longer than a moment, shows what is going on and for how long.
pub async fn during<T>(what: &str, step: impl Future<Output = T>) -> T {
    let mut step = std::pin::pin!(step);
    if let Ok(done) = tokio::time::timeout(PATIENCE, &mut step).await {
        return done;
    }
    let bar = SPINNERS.add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(TICK);
    if bar.is_hidden() {
        tracing::info!(step = what, "working");
    }
    let done = step.await;
    bar.finish_and_clear();
    SPINNERS.remove(&bar);
    done
}
