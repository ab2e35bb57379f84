//! What one plugin call costs: a filter that lets everything through, alone, in chains, and isolated.
//!
//! `cargo bench -p fault-plugin`

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measuring tool"
)]

use bytes::Bytes;
use handlers::{AuthChain, Config, ParsedRequest, Registry};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

const CALLS: u32 = 200_000;

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

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let none = measure(&AuthChain::default(), CALLS).await;
        println!("no filter             {none:>8} ns");
        for length in [1, 4, 16] {
            let chain = chain(length, "inline");
            measure(&chain, CALLS / 10).await;
            let cost = measure(&chain, CALLS).await;
            println!("inline x {length:<2}           {cost:>8} ns");
        }
        let chain = chain(1, "isolated");
        println!(
            "isolated x 1          {:>8} ns",
            measure(&chain, CALLS / 10).await
        );
    });
}
