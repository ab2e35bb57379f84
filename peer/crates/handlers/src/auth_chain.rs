//! [`AuthChain`]: the auth filters around the endorser.

use crate::binding::Binding;
use crate::config::Mode;
use crate::hook::Hook;
use crate::instance::{Culprit, Instance, Origin, Patience, PluginInfo, client_left};
use crate::metrics::PluginStats;
use crate::rejection::Rejection;
use crate::request::{ParsedRequest, view};
use crate::shadow::Shadow;
use abi_stable::std_types::RResult;
use bytes::Bytes;
use plugin_api::{Action, AuthFilterObject, Before, Code, PluginError, Request, Res, SharedBytes, State};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Largest answer that is taken from a filter: that of a gRPC message.
const MAX_ANSWER: usize = protos::MAX_MESSAGE_SIZE;

pub(crate) type FilterInstance = Instance<AuthFilterObject>;

/// An entry: the instance, and when its word counts.
pub(crate) struct BoundFilter {
    pub(crate) instance: Arc<FilterInstance>,
    pub(crate) info: PluginInfo,
    pub(crate) binding: Binding,
}

/// The configured auth filters, in order. Cloning counts references.
#[derive(Clone, Default)]
pub struct AuthChain {
    filters: Arc<[BoundFilter]>,
    names: Arc<str>,
}

impl fmt::Debug for AuthChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.filters.iter().map(|filter| filter.instance.name))
            .finish()
    }
}

/// A filter that wants to see the outcome, and what it gave us to keep.
struct Entered<'a> {
    filter: &'a FilterInstance,
    state: State,
}

impl AuthChain {
    pub(crate) fn new(filters: Vec<BoundFilter>) -> Self {
        let names: Vec<&str> = filters
            .iter()
            .filter(|filter| filter.info.mode == Mode::Enforce)
            .map(|filter| filter.instance.name)
            .collect();
        Self {
            names: names.join(", ").into(),
            filters: filters.into(),
        }
    }

    pub(crate) fn infos(&self) -> impl Iterator<Item = &PluginInfo> {
        self.filters.iter().map(|filter| &filter.info)
    }

    /// Names of the filters whose word counts, for logs.
    #[must_use]
    pub fn names(&self) -> &str {
        &self.names
    }

    pub(crate) fn stats(&self) -> impl Iterator<Item = PluginStats> {
        self.filters.iter().map(|filter| filter.instance.stats())
    }

    pub(crate) fn bound(&self) -> impl Iterator<Item = (&PluginInfo, &Binding)> {
        self.filters.iter().map(|filter| (&filter.info, &filter.binding))
    }

    /// The instance that an entry of this name has, if it can go on as that.
    pub(crate) fn kept(&self, name: &str, origin: &Origin) -> Option<Arc<FilterInstance>> {
        let mut instances = self.filters.iter().map(|filter| &filter.instance);
        let kept = instances.find(|instance| instance.name == name && instance.goes_on_as(origin));
        kept.cloned()
    }

    /// Runs one request: every `before` in order, the endorser at most once, then every `after` that was
    /// asked for in reverse order, whatever the outcome. The outcome is an encoded `ProposalResponse`.
    pub async fn run<E, F>(&self, request: Arc<ParsedRequest>, endorser: E) -> Result<Bytes, Rejection>
    where
        E: FnOnce() -> F,
        F: Future<Output = Result<Bytes, Rejection>>,
    {
        if self.filters.is_empty() {
            return endorser().await;
        }
        let seen = view(&request);
        let mut entered = Vec::new();
        let mut shadows = Vec::new();
        let mut outcome = match self.before(&request, &seen, &mut entered, &mut shadows).await {
            Ok(None) => endorser().await,
            Ok(Some(answer)) => Ok(answer),
            Err(error) => Err(Rejection::from(error)),
        };
        for Entered { filter, state } in entered.into_iter().rev() {
            outcome = after(filter, &seen, state, outcome).await;
        }
        for shadow in shadows {
            shadow.conclude(&outcome);
        }
        outcome
    }

    /// An answer, when a filter gave one instead of the endorser.
    async fn before<'a>(
        &'a self,
        request: &ParsedRequest,
        seen: &Request,
        entered: &mut Vec<Entered<'a>>,
        shadows: &mut Vec<Shadow>,
    ) -> Result<Option<Bytes>, PluginError> {
        for bound in self.filters.iter().filter(|bound| bound.binding.applies(request)) {
            let filter = &bound.instance;
            if bound.info.mode == Mode::Shadow {
                shadows.push(Shadow::cast(filter, request));
                continue;
            }
            let patience = patience(filter, request)?;
            match before(filter, patience, seen).await? {
                Step::On => {}
                Step::OnThenAfter(state) => entered.push(Entered { filter, state }),
                Step::Answer(answer) => return Ok(Some(answer)),
            }
        }
        Ok(None)
    }
}

/// What a filter decided in `before`.
pub(crate) enum Step {
    On,
    OnThenAfter(State),
    Answer(Bytes),
}

pub(crate) async fn before(
    filter: &FilterInstance,
    patience: Patience,
    seen: &Request,
) -> Result<Step, PluginError> {
    let culprit = filter.culprit();
    let accept = move |answer: Before| match answer.action {
        Action::CONTINUE if answer.wants_after => Ok(Step::OnThenAfter(answer.state)),
        Action::CONTINUE => Ok(Step::On),
        Action::RESPOND => {
            within_limit(culprit, answer.response.len())?;
            Ok(Step::Answer(Bytes::from_owner(answer.response)))
        }
        _ => Err(culprit.failure("answered something unknown")),
    };
    let start = |object: &AuthFilterObject| object.before(seen.clone());
    filter.run(Hook::Before, patience, start, accept).await
}

async fn after(
    filter: &FilterInstance,
    seen: &Request,
    state: State,
    outcome: Result<Bytes, Rejection>,
) -> Result<Bytes, Rejection> {
    // a filter that asked for it sees the outcome, whether or not the client still waits for it
    let patience = Patience {
        own: filter.timeout,
        client: None,
        given: outcome.as_ref().err().map(|rejection| Code(rejection.code)),
    };
    let (culprit, original) = (filter.culprit(), outcome.as_ref().ok().cloned());
    let outcome: Res<SharedBytes> = match outcome {
        Ok(bytes) => RResult::ROk(SharedBytes::from_owner(bytes)),
        Err(rejection) => RResult::RErr(rejection.into()),
    };
    let accept = move |answer: SharedBytes| match original {
        // most filters hand on what they got
        Some(original) if same(&original, &answer) => Ok(original),
        _ => {
            within_limit(culprit, answer.len())?;
            // copied: the plugin's own would be freed by code of the plugin, on whichever thread has it last
            Ok(Bytes::copy_from_slice(&answer))
        }
    };
    let start = |object: &AuthFilterObject| object.after(seen.clone(), state, outcome);
    Ok(filter.run(Hook::After, patience, start, accept).await?)
}

fn same(original: &Bytes, answer: &SharedBytes) -> bool {
    std::ptr::eq(original.as_ptr(), answer.as_ptr()) && original.len() == answer.len()
}

fn within_limit(culprit: Culprit, length: usize) -> Result<(), PluginError> {
    if length > MAX_ANSWER {
        return Err(culprit.failure("answered more than a message may carry"));
    }
    Ok(())
}

/// The deadline of `before`, which is never past the client's.
fn patience(filter: &FilterInstance, request: &ParsedRequest) -> Result<Patience, PluginError> {
    let client = request.time_left();
    if client == Some(Duration::ZERO) {
        return Err(client_left());
    }
    Ok(Patience {
        own: filter.timeout,
        client,
        given: None,
    })
}
