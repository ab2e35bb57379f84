//! [`DecoratorChain`]: the decorators between a proposal and its chaincode.

use crate::binding::Binding;
use crate::config::{Executor, Mode, OnError};
use crate::hook::Hook;
use crate::input_editor::Editing;
use crate::instance::{Ended, Instance, Origin, Place, PluginInfo};
use crate::metrics::PluginStats;
use crate::rejection::bounded;
use crate::request::{ParsedRequest, view};
use plugin_api::{DecoratorObject, PluginError, Request, Res};
use protos::peer::ChaincodeInput;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use thiserror::Error;
use tracing::{Instrument as _, info, warn};

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
    pub(crate) info: PluginInfo,
    pub(crate) binding: Binding,
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
        self.decorators.iter().map(|one| &one.info)
    }

    pub(crate) fn stats(&self) -> impl Iterator<Item = PluginStats> {
        self.decorators.iter().map(|one| one.instance.stats())
    }

    pub(crate) fn bound(&self) -> impl Iterator<Item = (&PluginInfo, &Binding)> {
        self.decorators.iter().map(|one| (&one.info, &one.binding))
    }

    /// The instance that an entry of this name has, if it can go on as that.
    pub(crate) fn kept(&self, name: &str, origin: &Origin) -> Option<Arc<Instance<DecoratorObject>>> {
        let mut instances = self.decorators.iter().map(|one| &one.instance);
        let kept = instances.find(|instance| instance.name == name && instance.goes_on_as(origin));
        kept.cloned()
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
        for one in self.decorators.iter().filter(|one| one.binding.applies(request)) {
            if one.info.mode == Mode::Shadow {
                one.shadow(request, &input);
                continue;
            }
            input = one.decorate(&seen, input).await?;
        }
        Ok(input)
    }
}

impl DecoratorInstance {
    async fn decorate(&self, seen: &Request, input: ChaincodeInput) -> Result<ChaincodeInput, DecorateError> {
        let instance = &self.instance;
        let place = match instance.admit(Hook::Decorate) {
            Ok(place) => place,
            // it is counted as refused; saying it each time would fill the log
            Err(_refused) if instance.is_bypassed() => return Ok(input),
            Err(refused) => return self.failed(&refused, Some(input)),
        };
        // an isolated call that never ends keeps its input
        let kept = (self.on_error == OnError::Skip).then(|| input.clone());
        match attempt(instance, place, seen, input).await {
            Ok(input) => Ok(input),
            Err(error) => self.failed(&error, kept),
        }
    }

    fn failed(
        &self,
        error: &PluginError,
        kept: Option<ChaincodeInput>,
    ) -> Result<ChaincodeInput, DecorateError> {
        match kept {
            Some(input) if self.on_error == OnError::Skip => {
                warn!(plugin = self.instance.name, %error, "decorator failed, its edits are left out");
                Ok(input)
            }
            _ => Err(DecorateError {
                instance: self.instance.name.to_owned(),
                message: bounded(&error.message),
            }),
        }
    }

    /// Lets it edit a copy, beside the request, and records what that would have meant.
    fn shadow(&self, request: &ParsedRequest, input: &ChaincodeInput) {
        let (instance, input) = (Arc::clone(&self.instance), input.clone());
        let seen = view(&Arc::new(request.clone()));
        let shadow = async move {
            let Ok(place) = instance.admit(Hook::Decorate) else {
                return;
            };
            let would = match attempt(&instance, place, &seen, input.clone()).await {
                Ok(edited) if edited == input => return,
                Ok(_) => "edit the input".to_owned(),
                Err(error) => format!("refuse: {}", bounded(&error.message)),
            };
            info!(plugin = instance.name, would, "shadow");
        };
        tokio::spawn(shadow.in_current_span());
    }
}

async fn attempt(
    instance: &Arc<Instance<DecoratorObject>>,
    place: Place,
    seen: &Request,
    input: ChaincodeInput,
) -> Result<ChaincodeInput, PluginError> {
    let editing = Editing::new(input);
    if instance.info.executor == Executor::Isolated {
        let seen = seen.clone();
        return instance
            .run_admitted(Hook::Decorate, place, instance.timeout, move |instance| {
                edit(instance, &seen, editing)
            })
            .await;
    }
    let started = Instant::now();
    let span = instance.span(Hook::Decorate);
    let edited = span.in_scope(|| edit(instance, seen, editing));
    drop(place);
    instance.conclude(Hook::Decorate, started.elapsed(), Ended::Answered(edited))
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
