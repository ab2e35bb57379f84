//! [`Shadow`]: an auth filter that is asked beside a request. What it says is recorded and has no effect, nor has the time
//! that it takes.

use crate::auth_chain::{FilterInstance, Step, before};
use crate::hook::Hook;
use crate::instance::Patience;
use crate::rejection::{Rejection, bounded};
use crate::request::{ParsedRequest, view};
use abi_stable::std_types::RResult;
use bytes::Bytes;
use plugin_api::{AuthFilterObject, Code, PluginError, Request, SharedBytes, State};
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing::{Instrument as _, info};

/// What became of the request, as far as a shadow is told.
type Outcome = Result<Bytes, Rejection>;

/// One filter beside one request. Dropped without an outcome (the request was cancelled), its `after` is not called.
pub(crate) struct Shadow(oneshot::Sender<Outcome>);

impl Shadow {
    /// Starts it on a copy of the request: what it says with `set_attr` stays there.
    pub(crate) fn cast(filter: &Arc<FilterInstance>, request: &ParsedRequest) -> Self {
        let (outcome, told) = oneshot::channel();
        let (filter, seen) = (Arc::clone(filter), view(&Arc::new(request.clone())));
        let tx_id = protos::clamped(&request.tx_id).into_owned();
        tokio::spawn(
            async move {
                if let Some(would) = verdict(&filter, &seen, told).await {
                    info!(plugin = filter.name, tx_id, would, "shadow");
                }
            }
            .in_current_span(),
        );
        Self(outcome)
    }

    /// Tells it how the request has ended.
    pub(crate) fn conclude(self, outcome: &Outcome) {
        // nobody listens any more when its verdict does not depend on it
        drop(self.0.send(outcome.clone()));
    }
}

/// What the filter would have done to the request; `None` for nothing.
async fn verdict(
    filter: &FilterInstance,
    seen: &Request,
    outcome: oneshot::Receiver<Outcome>,
) -> Option<String> {
    let patience = Patience {
        own: filter.timeout,
        client: None,
        given: None,
    };
    match before(filter, patience, seen).await {
        Ok(Step::On) => None,
        Ok(Step::OnThenAfter(state)) => after(filter, seen, state, outcome.await.ok()?).await,
        Ok(Step::Answer(_)) => Some("answer instead of the endorser".to_owned()),
        Err(error) => Some(refuse(&error)),
    }
}

async fn after(filter: &FilterInstance, seen: &Request, state: State, outcome: Outcome) -> Option<String> {
    let patience = Patience {
        own: filter.timeout,
        client: None,
        given: outcome.as_ref().err().map(|rejection| Code(rejection.code)),
    };
    let (told, original) = match outcome {
        Ok(bytes) => (RResult::ROk(SharedBytes::from_owner(bytes.clone())), Ok(bytes)),
        Err(rejection) => (RResult::RErr(rejection.clone().into()), Err(rejection)),
    };
    let compared = original.as_ref().ok().cloned();
    let start = |object: &AuthFilterObject| object.after(seen.clone(), state, told);
    let accept = move |answer: SharedBytes| Ok(compared.is_some_and(|original| *original != *answer));
    let changed = filter.run(Hook::After, patience, start, accept).await;
    match (original, changed) {
        (Ok(_), Ok(changed)) => changed.then(|| "change the answer".to_owned()),
        (Err(_), Ok(_)) => Some("answer in spite of the rejection".to_owned()),
        (Ok(_), Err(error)) => Some(refuse(&error)),
        (Err(original), Err(error)) => {
            (original != Rejection::from(error)).then(|| "change the rejection".to_owned())
        }
    }
}

fn refuse(error: &PluginError) -> String {
    format!("refuse: {}", bounded(&error.message))
}
