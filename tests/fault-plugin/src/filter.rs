//! The auth filter's faults, and some good behaviour to compare with.

use plugin_api::{Filter, Flow, HostRef, Init, Pairs, PluginError, Request, Result, SharedBytes};
use std::fmt;
use std::future::pending;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls of a filter that has moods.
static CALLS: AtomicUsize = AtomicUsize::new(0);

pub(crate) struct FaultFilter {
    mode: String,
    instance: String,
    host: HostRef,
}

/// Kept from `before` to `after`.
pub(crate) struct Kept {
    panics: bool,
}

impl Drop for Kept {
    #[allow(clippy::panic, reason = "this plugin is there to misbehave")]
    fn drop(&mut self) {
        if self.panics && !std::thread::panicking() {
            panic!("state drop fault");
        }
    }
}

impl Drop for FaultFilter {
    #[allow(clippy::panic, reason = "this plugin is there to misbehave")]
    fn drop(&mut self) {
        if self.mode == "panic in drop" {
            panic!("drop fault");
        }
    }
}

pub(crate) fn new(init: Init<'_>) -> Result<FaultFilter> {
    let instance = init.instance.as_str().to_owned();
    tracing::info!(instance, "constructed");
    log::info!("constructed {instance}, says log");
    Ok(FaultFilter {
        mode: crate::mode_of(&init)?,
        instance,
        host: init.host,
    })
}

/// A value that nothing can be done with.
struct Untouchable;

impl Drop for Untouchable {
    #[allow(clippy::panic, reason = "this plugin is there to misbehave")]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("payload fault");
        }
    }
}

impl fmt::Debug for Untouchable {
    #[allow(clippy::panic, reason = "this plugin is there to misbehave")]
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("debug fault")
    }
}

/// Bytes that nobody gets rid of.
struct Clinging;

impl AsRef<[u8]> for Clinging {
    fn as_ref(&self) -> &[u8] {
        b"clinging answer"
    }
}

impl Drop for Clinging {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

/// Needs more stack than there is.
#[allow(unconditional_recursion, reason = "this plugin is there to misbehave")]
fn overflow(depth: u64) -> u64 {
    let ballast = std::hint::black_box([depth; 1024]);
    overflow(depth + 1) + ballast[0]
}

/// Reads where nothing is mapped.
#[allow(unsafe_code, reason = "this plugin is there to misbehave")]
fn segv() -> ! {
    // SAFETY: there is none: the process is meant to end here.
    // JUSTIFICATION: safe code cannot cause this signal.
    unsafe { std::ptr::without_provenance::<u8>(16).read_volatile() };
    std::process::abort()
}

#[allow(clippy::panic, reason = "this plugin is there to misbehave")]
fn untouchable() -> ! {
    std::panic::panic_any(Untouchable)
}

#[allow(clippy::disallowed_methods, reason = "this plugin is there to misbehave")]
fn exit() -> ! {
    std::process::exit(0)
}

impl FaultFilter {
    #[allow(clippy::panic, reason = "this plugin is there to misbehave")]
    fn fault(&self) -> ! {
        panic!("fault of {}", self.instance)
    }
}

impl Filter for FaultFilter {
    type State = Kept;

    async fn before(&self, request: &Request) -> Result<Flow<Kept>> {
        if self.mode == "no-op" {
            return Ok(Flow::Continue);
        }
        self.host.counter_add("seen".into(), 1, plugin_api::Pairs::EMPTY);
        match self.mode.as_str() {
            "panic in before" => self.fault(),
            "deny" => Err(PluginError::denied(format!("denied by {}", self.instance))),
            "odd code" => Err(PluginError::new(plugin_api::Code(4711), "odd")),
            "respond" => Ok(Flow::Respond(b"own answer".to_vec())),
            "respond too much" => Ok(Flow::Respond(vec![0; 101 << 20])),
            "hang" => pending().await,
            "block" => {
                tracing::info!("entered block");
                loop {
                    std::thread::park();
                }
            }
            "abort" => std::process::abort(),
            "exit" => exit(),
            "overflow" => Err(PluginError::denied(overflow(0).to_string())),
            "untouchable payload" => untouchable(),
            "panic in a text" => {
                let what = std::mem::ManuallyDrop::new(Untouchable);
                Err(PluginError::denied(format!("no: {what:?}")))
            }
            "long text" => Err(PluginError::denied("x".repeat(64 << 20))),
            "segv" => segv(),
            "sleep" => {
                self.host.sleep_ms(5).await;
                Ok(Flow::Continue)
            }
            "observe" => {
                let value = "a \"quoted\" \\ value\nof two lines";
                let odd = [("odd \"label".into(), value.into()).into()];
                self.host
                    .observe("size in bytes".into(), 1500.0, Pairs::from_slice(&odd));
                Ok(Flow::Continue)
            }
            "echo" => Ok(Flow::Respond(request.proposal_bytes().to_vec())),
            "pass" => Ok(Flow::Continue),
            "print" => {
                std::io::stdout().write_all(b"debugging\n").ok();
                Ok(Flow::Continue)
            }
            "leak" => {
                std::mem::forget(vec![1_u8; 64 << 10]);
                Ok(Flow::Continue)
            }
            "moody" => match CALLS.fetch_add(1, Ordering::Relaxed) % 2 {
                0 => Ok(Flow::Continue),
                _ => Err(PluginError::denied("not now")),
            },
            _ => Ok(Flow::ContinueThenAfter(Kept {
                panics: self.mode == "panic in state drop",
            })),
        }
    }

    async fn after(
        &self,
        _request: &Request,
        _kept: Kept,
        outcome: Result<SharedBytes>,
    ) -> Result<SharedBytes> {
        match self.mode.as_str() {
            "panic in after" => self.fault(),
            "hang in after" => pending().await,
            "mark" => match outcome {
                Ok(bytes) => {
                    let mut marked = bytes.to_vec();
                    marked.extend(format!(" {}", self.instance).into_bytes());
                    Ok(marked.into())
                }
                Err(error) => Err(PluginError::new(error.code, format!("{error} {}", self.instance))),
            },
            "cling" => Ok(SharedBytes::from_owner(Clinging)),
            "answer too much" => Ok(vec![0; 101 << 20].into()),
            "heal" => Ok(outcome.unwrap_or_else(|_error| b"healed".to_vec().into())),
            _ => outcome,
        }
    }
}
