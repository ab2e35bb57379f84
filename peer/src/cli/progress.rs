//! Progress of steps that take longer than a moment: a spinner on a terminal, a line in a log.

use std::future::Future;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A step shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_millis(700);
/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Runs a step; if it takes longer than a moment, shows what is going on and for how long.
pub async fn during<T>(what: &str, step: impl Future<Output = T>) -> T {
    let mut step = std::pin::pin!(step);
    if let Ok(done) = tokio::time::timeout(PATIENCE, &mut step).await {
        return done;
    }
    let bar = ProgressBar::new_spinner();
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
    done
}
