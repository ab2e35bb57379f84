//! A tokio runtime of the plugin's own: hooks run on the peer's threads, where this plugin's copy of tokio
//! has no reactor. Feature `rt`.

use crate::error::{Code, PluginError, Result};
use std::future::Future;
use std::sync::OnceLock;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();

fn runtime() -> Result<&'static Runtime> {
    let started = RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("plugin-rt")
            .enable_all()
            .build()
    });
    started
        .as_ref()
        .map_err(|error| PluginError::new(Code::INTERNAL, format!("no runtime: {error}")))
}

/// A task that ends with whoever waits for it.
struct Awaited<T>(JoinHandle<T>);

impl<T> Drop for Awaited<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs `future` on the plugin's own runtime (one worker thread, started at first use) and waits for it.
///
/// When the hook ends before (the client has hung up, the peer's deadline has passed), so does `future`. What has
/// to outlive a request is for [`detach`].
pub async fn spawn<F, T>(future: F) -> Result<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let mut task = Awaited(runtime()?.spawn(future));
    (&mut task.0)
        .await
        .map_err(|error| PluginError::new(Code::INTERNAL, format!("task failed: {error}")))
}

/// Starts `future` on the plugin's own runtime and does not wait for it; constructors may call this, too.
///
/// It is not ended when the instance is: give it a deadline, or something that tells it that the instance is gone.
/// A panic in it ends it, and nothing else.
pub fn detach<F>(future: F) -> Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    runtime()?.spawn(future);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_task_ends_with_the_hook_that_waits_for_it_and_a_detached_one_does_not() {
        struct Says(std::sync::mpsc::Sender<&'static str>);
        impl Drop for Says {
            fn drop(&mut self) {
                self.0.send("dropped").unwrap();
            }
        }
        let (says, heard) = channel();
        let says = Says(says);
        let mut hook = Box::pin(spawn(async move {
            let _says = says;
            std::future::pending::<()>().await;
        }));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(hook.as_mut().poll(&mut context).is_pending());
        drop(hook);
        assert_eq!(heard.recv_timeout(PATIENCE), Ok("dropped"));

        let (says, heard) = channel();
        detach(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            says.send("done").unwrap();
        })
        .unwrap();
        assert_eq!(heard.recv_timeout(PATIENCE), Ok("done"));
    }

    #[test]
    fn a_task_gives_its_value_and_a_panic_is_an_error() {
        let value = futures::executor::block_on(spawn(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            7
        }));
        assert_eq!(value.unwrap(), 7);
        let broken = futures::executor::block_on(spawn(async { panic!("as it should") }));
        let broken: PluginError = broken.map(|(): ()| ()).unwrap_err();
        assert_eq!(broken.code, Code::INTERNAL);
    }
}
