//! Ends a process that was told to stop and cannot: a plugin that blocks the peer's own threads (`executor:
//! inline`) may hold the one that would have noticed the signal, and every timer.

use std::io;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// How long an orderly stop may take: less than the 30 seconds after which orchestrators kill.
const LONGEST_STOP: Duration = Duration::from_secs(20);

/// From now on SIGINT or SIGTERM ends the process at the latest after `LONGEST_STOP`. The thread for that has
/// a runtime of its own and runs no other code.
///
/// # Errors
/// When the thread or its runtime cannot be had.
pub fn arm() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let guard = move || {
        let told = runtime.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            tokio::time::sleep(LONGEST_STOP).await;
            io::Result::Ok(())
        });
        match told {
            Ok(()) => leave(),
            Err(error) => tracing::warn!(%error, "a peer whose threads hang cannot be stopped by signals"),
        }
    };
    std::thread::Builder::new()
        .name("last-resort".to_owned())
        .spawn(guard)?;
    Ok(())
}

/// Main cannot return, and the ledger survives an end at any moment.
fn leave() {
    // logging might wait for the lock that a hanging library holds
    if !handlers::is_mapping() {
        tracing::error!("the peer did not stop in time, it is left as it is");
    }
    handlers::exit_now(1)
}
