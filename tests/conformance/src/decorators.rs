//! Promises of decorators.

use crate::Plugin;
use crate::inputs::{hostile, request};
use crate::promises::Promises;
use anyhow::Result;
use bytes::Bytes;
use futures::future::join_all;
use handlers::{Executor, Kind};
use protos::peer::ChaincodeInput;

/// Inputs at the same time: below the peer's limit.
const CONCURRENT: usize = 200;

pub(crate) async fn check(plugin: &Plugin, executor: Executor, promises: &mut Promises) -> Result<()> {
    let registry = plugin.good(Kind::Decorator, executor)?;
    let chain = registry.decorators();
    for (when, bytes) in hostile() {
        let request = request(&bytes);
        for input in inputs(&bytes) {
            let first = chain.decorate(&request, input.clone()).await;
            let second = chain.decorate(&request, input).await;
            promises.check(first == second, format!("decorates the same twice {when}"));
        }
        promises.check_stats(&registry, when);
    }
    let request = request(&Bytes::new());
    let input = ChaincodeInput {
        args: vec![Bytes::from("invoke")],
        ..ChaincodeInput::default()
    };
    let alone = chain.decorate(&request, input.clone()).await;
    let all = join_all((0..CONCURRENT).map(|_| chain.decorate(&request, input.clone()))).await;
    promises.check(
        all.iter().all(|one| *one == alone),
        "decorates the same under load",
    );
    promises.check_stats(&registry, "under load");
    Ok(())
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
