//! What one plugin call costs: a filter that lets everything through, alone, in chains, and isolated, beside the same
//! filter compiled into the peer behind an ordinary trait object.
//!
//! `cargo bench -p fault-plugin`

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measuring tool"
)]

use bytes::Bytes;
use handlers::{AuthChain, Config, ParsedRequest, Registry, Rejection};
use serde_json::json;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

const CALLS: u32 = 200_000;
const RUNS: usize = 5;

fn chain(length: usize, executor: &str) -> AuthChain {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let entries: Vec<_> = (0..length)
        .map(|number| {
            json!({
                "name": format!("{executor}-{length}-{number}"),
                "library": "libfault_plugin.so",
                "executor": executor,
                "config": { "mode": "no-op" },
            })
        })
        .collect();
    let config: Config = serde_json::from_value(json!({ "authFilters": entries })).unwrap();
    Registry::load(&config, &[folder]).unwrap().auth_chain()
}

async fn measure(chain: &AuthChain, calls: u32) -> u128 {
    let request = Arc::new(ParsedRequest::default());
    let start = Instant::now();
    for _ in 0..calls {
        let outcome = chain
            .run(Arc::clone(&request), || async { Ok(Bytes::new()) })
            .await;
        assert!(outcome.is_ok());
    }
    start.elapsed().as_nanos() / u128::from(calls)
}

/// A filter as it would be if it could only be compiled in: a trait object with a boxed future, as of async-trait.
trait CompiledIn: Send + Sync {
    fn before<'a>(
        &'a self,
        request: &'a ParsedRequest,
    ) -> Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send + 'a>>;
}

struct NoOp;

impl CompiledIn for NoOp {
    fn before<'a>(
        &'a self,
        request: &'a ParsedRequest,
    ) -> Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send + 'a>> {
        Box::pin(async move {
            black_box(request);
            Ok(())
        })
    }
}

async fn measure_compiled_in(length: usize) -> u128 {
    let chain: Vec<Box<dyn CompiledIn>> = (0..length).map(|_| Box::new(NoOp) as _).collect();
    let request = Arc::new(ParsedRequest::default());
    let start = Instant::now();
    for _ in 0..CALLS {
        let request = Arc::clone(&request);
        for filter in black_box(&chain) {
            filter.before(&request).await.unwrap();
        }
        black_box(Bytes::new());
    }
    start.elapsed().as_nanos() / u128::from(CALLS)
}

/// The middle one of several runs.
async fn median<F: Future<Output = u128>>(run: impl Fn() -> F) -> u128 {
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(run().await);
    }
    runs.sort_unstable();
    runs[RUNS / 2]
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let none = median(|| async { measure(&AuthChain::default(), CALLS).await }).await;
        println!("no filter             {none:>8} ns");
        for length in [1, 4, 16] {
            let chain = chain(length, "inline");
            let plugin = median(|| measure(&chain, CALLS)).await;
            let compiled_in = median(|| measure_compiled_in(length)).await;
            let filters = u128::try_from(length).unwrap();
            println!(
                "inline x {length:<2}           {plugin:>8} ns, {} a filter; compiled in {compiled_in} ns, {} a filter",
                plugin.saturating_sub(none) / filters,
                compiled_in / filters,
            );
        }
        let chain = chain(1, "isolated");
        println!(
            "isolated x 1          {:>8} ns",
            measure(&chain, CALLS / 10).await
        );
    });
}
