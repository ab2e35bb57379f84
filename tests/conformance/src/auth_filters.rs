//! Promises of auth filters.

use crate::Plugin;
use crate::inputs::{hostile, request, undecoded};
use crate::promises::Promises;
use anyhow::Result;
use bytes::Bytes;
use futures::future::join_all;
use futures::poll;
use handlers::{AuthChain, Executor, Kind, ParsedRequest, Registry, Rejection};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Requests at the same time: below the peer's limit.
const CONCURRENT: usize = 200;
const WAVES: usize = 5;

pub(crate) async fn check(plugin: &Plugin, executor: Executor, promises: &mut Promises) -> Result<()> {
    let registry = plugin.good(Kind::AuthFilter, executor)?;
    let chain = registry.auth_chain();
    for (when, bytes) in hostile() {
        for request in [request(&bytes), undecoded(&bytes)] {
            twice(&chain, &request, when, promises).await;
        }
        promises.check_stats(&registry, when);
    }
    endorser_errors(&chain, promises).await;
    concurrently(&registry, promises).await;
    cancelled(&chain, promises).await;
    promises.check_stats(&registry, "when requests are cancelled");
    Ok(())
}

/// Runs a request through the chain; also says how often the endorser ran.
async fn run(chain: &AuthChain, request: &Arc<ParsedRequest>) -> (Result<Bytes, Rejection>, usize) {
    let endorsed = AtomicUsize::new(0);
    let endorser = || async {
        endorsed.fetch_add(1, Ordering::Relaxed);
        Ok(Bytes::from_static(b"\x08\x01"))
    };
    let outcome = chain.run(Arc::clone(request), endorser).await;
    (outcome, endorsed.into_inner())
}

async fn twice(chain: &AuthChain, request: &Arc<ParsedRequest>, when: &str, promises: &mut Promises) {
    let (first, second) = (run(chain, request).await, run(chain, request).await);
    promises.check(first == second, format!("decides the same twice {when}"));
    if let Err(rejection) = &first.0 {
        promises.check(!rejection.message.is_empty(), format!("gives a reason {when}"));
        let internal = rejection.code == 13;
        promises.check(!internal, format!("has no internal error {when}: {rejection}"));
    }
}

/// Whatever a filter makes of the endorser's error, it must get along with it.
async fn endorser_errors(chain: &AuthChain, promises: &mut Promises) {
    let request = Arc::new(ParsedRequest::default());
    let refuse = || async { Err(Rejection::new(5, "not found")) };
    let outcome = chain.run(request, refuse).await;
    let internal = matches!(&outcome, Err(rejection) if rejection.code == 13);
    promises.check(
        !internal,
        "hands on the endorser's error, or makes something of it",
    );
}

async fn concurrently(registry: &Registry, promises: &mut Promises) {
    let chain = registry.auth_chain();
    let request = undecoded(&Bytes::new());
    let alone = run(&chain, &request).await;
    for _ in 0..WAVES {
        let runs = join_all((0..CONCURRENT).map(|_| run(&chain, &request))).await;
        promises.check(
            runs.iter().all(|one| *one == alone),
            "decides the same under load",
        );
    }
    promises.check_stats(registry, "under load");
}

/// The client hangs up while a hook or the endorser is under way.
async fn cancelled(chain: &AuthChain, promises: &mut Promises) {
    let request = undecoded(&Bytes::new());
    let before = run(chain, &request).await;
    for polls in 1..5 {
        let mut running = pin!(chain.run(
            Arc::clone(&request),
            std::future::pending::<Result<Bytes, Rejection>>
        ));
        for _ in 0..polls {
            if poll!(&mut running).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    promises.check(
        run(chain, &request).await == before,
        "decides the same after cancelled requests",
    );
}
