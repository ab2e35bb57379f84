//! Requests over a real ledger: what the chaincode gets and what ends up in the read-write set.

mod calls;
mod queries;
mod states;

use std::sync::Arc;

use ledger::{KvLedger, TxSimulator};
use protos::kvrwset::KvrwSet;
use protos::{ChannelId, wire_message};

use crate::bench::{DevBench, invoke, params, proposal};
use crate::channel_access::ChannelCapabilities;
use crate::test_support::{FakeLedgers, FakeShim, ShimAnswer, ShimHandle, ShimStub};
use crate::transaction::{Invocation, TransactionParams};

/// Channel `ch` with a ledger, and chaincode `mycc:1.0` that runs a script.
pub(super) struct LedgerBench {
    pub dev: DevBench,
    pub ledgers: FakeLedgers,
    pub ledger: Arc<KvLedger>,
}

impl LedgerBench {
    pub fn new() -> Self {
        let dev = DevBench::new();
        let ledgers = FakeLedgers::new().unwrap();
        let ledger = ledgers.create("ch").unwrap();
        dev.channels.join("ch", ledger.clone());
        dev.channels.set_capabilities(ChannelCapabilities {
            key_level_endorsement: true,
            purge_private_data: true,
            new_lifecycle: false,
        });
        Self { dev, ledgers, ledger }
    }

    /// Commits `count` keys `k0000`, `k0001`, … of `mycc`.
    pub fn fill(&self, count: usize) {
        FakeLedgers::commit(&self.ledger, "fill", |simulator| {
            (0..count).try_for_each(|number| {
                simulator.set_state("mycc", &format!("k{number:04}"), format!("v{number}").into())
            })
        })
        .unwrap();
    }

    pub fn simulator(&self) -> Arc<TxSimulator> {
        Arc::new(self.ledger.new_tx_simulator(&"tx".into()))
    }

    pub fn params(&self) -> TransactionParams {
        TransactionParams {
            simulator: Some(self.simulator()),
            history: self.ledger.history_query_executor().ok().map(Arc::new),
            signed_proposal: Some(proposal()),
            ..TransactionParams::clone(&params("tx"))
        }
    }

    /// Connects `mycc` with a script.
    pub async fn attach<F, A>(&self, script: F) -> ShimHandle
    where
        F: Fn(ShimStub) -> A + Send + Sync + 'static,
        A: Future + Send + 'static,
        A::Output: Into<ShimAnswer>,
    {
        self.dev.attach(FakeShim::new("mycc:1.0", script)).await
    }

    /// Runs one invocation; the payload, or the text of whatever failed, and the simulator.
    pub async fn execute(&self, invocation: Invocation) -> (Result<String, String>, Arc<TxSimulator>) {
        let params = self.params();
        let simulator = params.simulator.clone().unwrap();
        let outcome = self.dev.support.execute(Arc::new(params), invocation).await;
        let result = match outcome {
            Ok(outcome) if outcome.response.status < 400 => {
                Ok(String::from_utf8(outcome.response.payload.to_vec()).unwrap())
            }
            Ok(outcome) => Err(outcome.response.message),
            Err(error) => Err(wire_message(&error)),
        };
        (result, simulator)
    }

    /// Runs a script once as `mycc`.
    pub async fn run<F, A>(&self, script: F) -> (Result<String, String>, Arc<TxSimulator>)
    where
        F: Fn(ShimStub) -> A + Send + Sync + 'static,
        A: Future + Send + 'static,
        A::Output: Into<ShimAnswer>,
    {
        let shim = self.attach(script).await;
        let result = self.execute(invoke("mycc", &[])).await;
        assert_eq!(shim.orphans(), [], "answers that nobody asked for");
        shim.hang_up();
        while self.dev.support.registry().launch("mycc:1.0").is_some() {
            tokio::task::yield_now().await;
        }
        result
    }
}

/// What a simulation did in a namespace.
pub(super) fn rwset(simulator: &TxSimulator, namespace: &str) -> KvrwSet {
    let namespaces = simulator.results().unwrap().rwset.namespaces;
    let set = namespaces.into_iter().find(|set| set.namespace == namespace);
    set.map(|set| set.kv).unwrap_or_default()
}

pub(super) fn written(set: &KvrwSet) -> Vec<(String, String)> {
    let text = |value: &bytes::Bytes| String::from_utf8(value.to_vec()).unwrap();
    set.writes
        .iter()
        .map(|write| (write.key.clone(), text(&write.value)))
        .collect()
}

pub(super) fn channel(name: &str) -> ChannelId {
    name.into()
}
