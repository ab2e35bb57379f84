//! A tokio runtime of the plugin's own: hooks run on the peer's threads, where this plugin's copy of tokio
//! has no reactor. Feature `rt`.

use crate::error::{Code, PluginError, Result};
use std::future::Future;
use std::sync::OnceLock;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();

fn runtime() -> &'static std::io::Result<Runtime> {
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("plugin-rt")
            .enable_all()
            .build()
    })
}

/// Runs `future` on the plugin's own runtime (one worker thread, started at first use) and waits for it.
pub async fn spawn<F, T>(future: F) -> Result<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let failed = |text: String| PluginError::new(Code::INTERNAL, text);
    let runtime = runtime()
        .as_ref()
        .map_err(|error| failed(format!("no runtime: {error}")))?;
    runtime
        .spawn(future)
        .await
        .map_err(|error| failed(format!("task failed: {error}")))
}
