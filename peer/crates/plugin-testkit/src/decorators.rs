//! Promises of decorators.

use crate::check::Step;
use crate::growth;
use crate::inputs::{Input, middling, request};
use crate::promises::Promises;
use crate::subject::Subject;
use anyhow::{Result, bail};
use bytes::Bytes;
use futures::future::join_all;
use handlers::{DecoratorChain, Executor, Kind};
use protos::peer::ChaincodeInput;

/// Inputs at the same time: below the peer's limit.
const CONCURRENT: usize = 200;

pub(crate) async fn check(subject: &Subject, step: Step, promises: &mut Promises) -> Result<()> {
    for executor in [Executor::Inline, Executor::Isolated] {
        let registry = subject.good(Kind::Decorator, executor)?;
        let chain = registry.decorators();
        let mut when = "when it is called";
        match step {
            Step::Input(input) => {
                when = input.when();
                hostile(&chain, input, promises).await;
            }
            Step::Determinism => {
                let second = subject.good(Kind::Decorator, executor)?.decorators();
                same_edits(&chain, &second, promises).await;
            }
            Step::Order => order(&chain, promises).await,
            Step::Concurrency => {
                when = "under load";
                concurrently(&chain, promises).await;
            }
            Step::CallMemory => {
                let request = request(&middling());
                growth::calls(|| chain.decorate(&request, invocation()), promises).await?;
            }
            _ => bail!("no check of decorators"),
        }
        promises.check_stats(&registry, when);
    }
    Ok(())
}

async fn hostile(chain: &DecoratorChain, input: Input, promises: &mut Promises) {
    let bytes = input.bytes();
    let request = request(&bytes);
    for chaincode_input in inputs(&bytes) {
        let first = chain.decorate(&request, chaincode_input.clone()).await;
        let second = chain.decorate(&request, chaincode_input).await;
        promises.check(
            first == second,
            format!("decorates the same twice {}", input.when()),
        );
    }
}

/// Two instances with one configuration have no secrets from each other.
async fn same_edits(first: &DecoratorChain, second: &DecoratorChain, promises: &mut Promises) {
    for input in [Input::Empty, Input::Garbage, Input::LyingLength] {
        let request = request(&input.bytes());
        let same =
            first.decorate(&request, invocation()).await == second.decorate(&request, invocation()).await;
        promises.check(
            same,
            format!("decorates as another instance does {}", input.when()),
        );
    }
}

/// What one call was given does not turn up in the next.
async fn order(chain: &DecoratorChain, promises: &mut Promises) {
    let request = request(&Bytes::new());
    let before = chain.decorate(&request, invocation()).await;
    for input in inputs(&Bytes::from_static(b"something else")) {
        // refused or not, it is another call
        let _other = chain.decorate(&request, input).await;
    }
    let after = chain.decorate(&request, invocation()).await;
    promises.check(
        before == after,
        "decorates a call without regard to those before it",
    );
}

async fn concurrently(chain: &DecoratorChain, promises: &mut Promises) {
    let request = request(&Bytes::new());
    let alone = chain.decorate(&request, invocation()).await;
    let all = join_all((0..CONCURRENT).map(|_| chain.decorate(&request, invocation()))).await;
    promises.check(
        all.iter().all(|one| *one == alone),
        "decorates the same under load",
    );
}

fn invocation() -> ChaincodeInput {
    ChaincodeInput {
        args: vec![Bytes::from("invoke")],
        ..ChaincodeInput::default()
    }
}

fn inputs(bytes: &Bytes) -> Vec<ChaincodeInput> {
    let many = vec![Bytes::from_static(b"x"); 10_000];
    [Vec::new(), vec![bytes.clone()], many]
        .into_iter()
        .map(|args| ChaincodeInput {
            args,
            is_init: true,
            ..ChaincodeInput::default()
        })
        .collect()
}
