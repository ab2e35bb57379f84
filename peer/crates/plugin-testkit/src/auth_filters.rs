//! Promises of auth filters.

use crate::check::Step;
use crate::growth;
use crate::inputs::{Input, middling, request, undecoded};
use crate::promises::Promises;
use crate::subject::Subject;
use anyhow::{Result, bail};
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

pub(crate) async fn check(subject: &Subject, step: Step, promises: &mut Promises) -> Result<()> {
    for executor in [Executor::Inline, Executor::Isolated] {
        let registry = subject.good(Kind::AuthFilter, executor)?;
        let chain = registry.auth_chain();
        match step {
            Step::Input(input) => hostile(&chain, input, promises).await,
            Step::Determinism => {
                let second = subject.good(Kind::AuthFilter, executor)?.auth_chain();
                same_decisions(&chain, &second, promises).await;
            }
            Step::Order => order(&chain, promises).await,
            Step::EndorserError => endorser_errors(&chain, promises).await,
            Step::Concurrency => concurrently(&registry, promises).await,
            Step::Cancellation => cancelled(&chain, promises).await,
            Step::CallMemory => {
                let request = request(&middling());
                growth::calls(|| run(&chain, &request), promises).await?;
            }
            _ => bail!("no check of auth filters"),
        }
        promises.check_stats(&registry, step_when(step));
    }
    Ok(())
}

fn step_when(step: Step) -> &'static str {
    match step {
        Step::Input(input) => input.when(),
        Step::Concurrency => "under load",
        Step::Cancellation => "when requests are cancelled",
        Step::CallMemory => "however often it is called",
        _ => "when it is called",
    }
}

async fn hostile(chain: &AuthChain, input: Input, promises: &mut Promises) {
    let bytes = input.bytes();
    for request in [request(&bytes), undecoded(&bytes)] {
        twice(chain, &request, input.when(), promises).await;
    }
}

/// Two instances with one configuration have no secrets from each other.
async fn same_decisions(first: &AuthChain, second: &AuthChain, promises: &mut Promises) {
    for input in [Input::Empty, Input::Garbage, Input::LyingLength] {
        let request = request(&input.bytes());
        let same = run(first, &request).await == run(second, &request).await;
        promises.check(same, format!("decides as another instance does {}", input.when()));
    }
}

/// Whatever the filter makes of the request, the endorser runs at most once, and never for a request that `before`
/// has answered or refused.
async fn order(chain: &AuthChain, promises: &mut Promises) {
    for input in [Input::Empty, Input::Garbage] {
        for request in [request(&input.bytes()), undecoded(&input.bytes())] {
            let (outcome, endorsed) = run(chain, &request).await;
            let when = input.when();
            promises.check(
                endorsed <= 1,
                format!("runs the endorser at most once {when} ({endorsed} times)"),
            );
            let answered = endorsed == 1 || outcome.as_ref().map_or(true, |answer| !answer.is_empty());
            promises.check(
                answered,
                format!("answers with bytes when it answers itself {when}"),
            );
        }
    }
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
