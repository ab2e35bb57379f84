//! [`DecoratorChain`]: the decorators between a proposal and its chaincode.

use crate::config::{Executor, OnError};
use crate::hook::Hook;
use crate::input_editor::Editing;
use crate::instance::{Ended, Instance, PluginInfo};
use crate::metrics::PluginStats;
use crate::rejection::bounded;
use crate::request::{ParsedRequest, view};
use plugin_api::{DecoratorObject, PluginError, Request, Res};
use protos::peer::ChaincodeInput;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use thiserror::Error;
use tracing::warn;

/// A decorator failed, and with it the proposal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct DecorateError {
    /// The decorator's instance name.
    pub instance: String,
    /// Its text.
    pub message: String,
}

/// A decorator and what its failure means.
pub(crate) struct DecoratorInstance {
    pub(crate) instance: Arc<Instance<DecoratorObject>>,
    pub(crate) on_error: OnError,
}

/// The configured decorators, in order. Cloning counts references.
#[derive(Clone, Default)]
pub struct DecoratorChain {
    decorators: Arc<[DecoratorInstance]>,
}

impl fmt::Debug for DecoratorChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.decorators.iter().map(|one| one.instance.name))
            .finish()
    }
}

impl DecoratorChain {
    pub(crate) fn new(decorators: Vec<DecoratorInstance>) -> Self {
        Self {
            decorators: decorators.into(),
        }
    }

    pub(crate) fn infos(&self) -> impl Iterator<Item = &PluginInfo> {
        self.decorators.iter().map(|one| &one.instance.info)
    }

    pub(crate) fn stats(&self) -> impl Iterator<Item = PluginStats> {
        self.decorators.iter().map(|one| one.instance.stats())
    }

    /// Forgets the client's decorations, then lets every decorator edit the previous one's result.
    pub async fn decorate(
        &self,
        request: &Arc<ParsedRequest>,
        mut input: ChaincodeInput,
    ) -> Result<ChaincodeInput, DecorateError> {
        input.decorations.clear();
        if self.decorators.is_empty() {
            return Ok(input);
        }
        let seen = view(request);
        for one in self.decorators.iter() {
            input = one.decorate(&seen, input).await?;
        }
        Ok(input)
    }
}

impl DecoratorInstance {
    async fn decorate(&self, seen: &Request, input: ChaincodeInput) -> Result<ChaincodeInput, DecorateError> {
        // an isolated call that never ends keeps its input
        let kept = (self.on_error == OnError::Skip).then(|| input.clone());
        match (self.attempt(seen, input).await, kept) {
            (Ok(input), _) => Ok(input),
            (Err(error), Some(kept)) => {
                warn!(plugin = self.instance.name, %error, "decorator failed, its edits are left out");
                Ok(kept)
            }
            (Err(error), None) => Err(DecorateError {
                instance: self.instance.name.to_owned(),
                message: bounded(&error.message),
            }),
        }
    }

    async fn attempt(&self, seen: &Request, input: ChaincodeInput) -> Result<ChaincodeInput, PluginError> {
        let (instance, editing) = (&self.instance, Editing::new(input));
        if instance.info.executor == Executor::Isolated {
            let seen = seen.clone();
            return instance
                .run_blocking(Hook::Decorate, instance.timeout, move |instance| {
                    edit(instance, &seen, editing)
                })
                .await;
        }
        let _place = instance.admit(Hook::Decorate)?;
        let started = Instant::now();
        let span = instance.span(Hook::Decorate);
        let edited = span.in_scope(|| edit(instance, seen, editing));
        instance.conclude(Hook::Decorate, started.elapsed(), Ended::Answered(edited))
    }
}

fn edit(instance: &Instance<DecoratorObject>, seen: &Request, mut editing: Editing) -> Res<ChaincodeInput> {
    let edited = instance
        .call(|object| object.decorate(seen, editing.editor()).into_result())
        .and_then(|result| result)
        .and_then(|()| {
            editing
                .fault()
                .map_or(Ok(()), |fault| Err(instance.failure(fault)))
        });
    edited.map(|()| editing.accept()).into()
}
