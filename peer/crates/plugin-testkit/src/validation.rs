//! Promises of validation plugins.

use crate::check::Step;
use crate::growth;
use crate::inputs::{Input, middling};
use crate::promises::Promises;
use crate::subject::{NAME, Subject};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use handlers::{Executor, JudgedAction, Kind, Signed, Validator, Verdict};
use std::sync::Arc;
use std::thread;

/// Transactions at the same time, and how often each of them is judged.
const CONCURRENT: usize = 8;
const ROUNDS: usize = 50;

/// An action with the same bytes in every place.
#[derive(Clone)]
struct Action {
    bytes: Bytes,
    text: String,
    /// Whether the ledger can be read.
    works: bool,
    /// Whether policies are satisfied, and all capabilities on.
    content: bool,
}

fn held(held: bool) -> Result<(), String> {
    match held {
        true => Ok(()),
        false => Err("signature set did not satisfy policy".to_owned()),
    }
}

impl Action {
    fn read(&self) -> Result<Option<Bytes>, String> {
        match self.works {
            true => Ok(self.content.then(|| self.bytes.clone())),
            false => Err("disk is gone".to_owned()),
        }
    }
}

impl JudgedAction for Action {
    fn channel_id(&self) -> &str {
        "mychannel"
    }
    fn block_number(&self) -> u64 {
        u64::MAX
    }
    fn tx_position(&self) -> u64 {
        u64::MAX
    }
    fn tx_id(&self) -> &str {
        &self.text
    }
    fn chaincode_name(&self) -> &str {
        &self.text
    }
    fn namespace(&self) -> &str {
        &self.text
    }
    fn policy(&self) -> &[u8] {
        &self.bytes
    }
    fn envelope(&self) -> Bytes {
        self.bytes.clone()
    }
    fn signed_payload(&self) -> &[u8] {
        &self.bytes
    }
    fn creator(&self) -> &[u8] {
        &self.bytes
    }
    fn signature(&self) -> &[u8] {
        &self.bytes
    }
    fn proposal_payload(&self) -> &[u8] {
        &self.bytes
    }
    fn response_payload(&self) -> &[u8] {
        &self.bytes
    }
    fn results(&self) -> Bytes {
        self.bytes.clone()
    }
    fn endorsements_len(&self) -> usize {
        3
    }
    fn endorsement(&self, index: usize) -> Option<(&[u8], &[u8])> {
        (index < 3).then_some((&self.bytes, &self.bytes))
    }
    fn has_capability(&self, _name: &str) -> bool {
        self.content
    }
    fn state(&self, _namespace: &str, _key: &str) -> Result<Option<Bytes>, String> {
        self.read()
    }
    fn state_metadata(&self, _namespace: &str, _key: &str, _entry: &str) -> Result<Option<Bytes>, String> {
        self.read()
    }
    fn private_metadata(
        &self,
        _namespace: &str,
        _collection: &str,
        _key_hash: &[u8],
        _entry: &str,
    ) -> Result<Option<Bytes>, String> {
        self.read()
    }
    fn signers(&self, signed: &[Signed<'_>]) -> Result<usize, String> {
        Ok(signed.len())
    }
    fn satisfies(&self, _signers: usize, _policy: &[u8]) -> Result<Result<(), String>, String> {
        Ok(held(self.content))
    }
    fn verify(&self, _signed: &Signed<'_>) -> Result<Result<(), String>, String> {
        Ok(held(self.content))
    }
    fn satisfies_principal(&self, _identity: &[u8], _principal: &[u8]) -> Result<Result<(), String>, String> {
        Ok(held(self.content))
    }
}

pub(crate) async fn check(subject: &Subject, step: Step, promises: &mut Promises) -> Result<()> {
    for executor in [Executor::Inline, Executor::Isolated] {
        let registry = subject.good(Kind::Validation, executor)?;
        let validator = registry.validators().get(NAME).context("nothing was loaded")?;
        let mut when = "when it is called";
        match step {
            Step::Input(input) => {
                when = input.when();
                hostile(&validator, input, promises);
            }
            Step::BrokenPeer => {
                when = "when the ledger cannot be read";
                let unreadable = Action {
                    works: false,
                    ..action(Bytes::new())
                };
                // no verdict may rest on a ledger that cannot be read: the peer sees to that, whatever the plugin says
                drop(validator.validate(Arc::new(unreadable)));
            }
            Step::Concurrency => {
                when = "under load";
                concurrently(&validator, promises);
            }
            Step::CallMemory => {
                let action = action(middling());
                growth::calls(|| std::future::ready(verdict(&validator, &action)), promises).await?;
            }
            _ => bail!("no check of validation plugins"),
        }
        promises.check_stats(&registry, when);
    }
    Ok(())
}

fn action(bytes: Bytes) -> Action {
    Action {
        bytes,
        text: "mycc".into(),
        works: true,
        content: true,
    }
}

fn hostile(validator: &Validator, input: Input, promises: &mut Promises) {
    let bytes = input.bytes();
    for text in ["lscc".to_owned(), text(&bytes)] {
        for content in [true, false] {
            let action = Action {
                text: text.clone(),
                content,
                ..action(bytes.clone())
            };
            promises.check(
                verdict(validator, &action) == verdict(validator, &action),
                format!("judges the same twice {}", input.when()),
            );
        }
    }
}

fn concurrently(validator: &Validator, promises: &mut Promises) {
    let action = action(Bytes::new());
    let alone = verdict(validator, &action);
    let alike = thread::scope(|scope| {
        let round = || (0..ROUNDS).all(|_| verdict(validator, &action) == alone);
        let threads: Vec<_> = (0..CONCURRENT).map(|_| scope.spawn(round)).collect();
        threads
            .into_iter()
            .all(|thread| thread.join().is_ok_and(|alike| alike))
    });
    promises.check(alike, "judges the same under load");
}

/// The verdict without its words: peers must agree on nothing else.
fn verdict(validator: &Validator, action: &Action) -> Option<bool> {
    let verdict = validator.validate(Arc::new(action.clone())).ok()?;
    Some(verdict == Verdict::Valid)
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).chars().take(1 << 20).collect()
}
