//! [`Filter`]: how authors write an auth filter with two hooks.

use crate::auth::{Action, AuthFilter, AuthFilter_TO, AuthFilterObject, Before};
use crate::error::{Code, Ext, PluginError, Res, Result};
use crate::guard::{Guarded, Instance};
use crate::request::Request;
use crate::shared_bytes::SharedBytes;
use crate::state::State;
use abi_stable::erased_types::TD_Opaque;
use abi_stable::std_types::RVec;
use async_ffi::{FfiFuture, FutureExt};
use std::future::Future;

/// What a filter decided in `before`.
#[derive(Debug)]
pub enum Flow<S> {
    /// Go on; this filter does not want to see the outcome.
    Continue,
    /// Go on, and call `after` with this value and the outcome.
    ContinueThenAfter(S),
    /// Answer with this encoded `ProposalResponse`; neither later filters nor the endorser run.
    Respond(Vec<u8>),
}

/// An auth filter: looks at every signed proposal before anything else does.
///
/// Hooks run on the peer's threads. The plugin has its own copy of tokio, whose timers and sockets do not
/// work there: sleep with `Host::sleep_ms`, do input and output with `rt::spawn` (feature `rt`).
pub trait Filter: Send + Sync + 'static {
    /// What is carried from `before` to `after`; `()` when nothing is.
    type State: Send + 'static;

    /// Lets the proposal pass, answers it, or refuses it with an error.
    fn before(&self, request: &Request) -> impl Future<Output = Result<Flow<Self::State>>> + Send;

    /// Sees the outcome, an encoded `ProposalResponse`, and may replace it.
    fn after(
        &self,
        _request: &Request,
        _state: Self::State,
        outcome: Result<SharedBytes>,
    ) -> impl Future<Output = Result<SharedBytes>> + Send {
        async move { outcome }
    }
}

struct FilterAdapter<T>(Instance<T>);

/// Puts an author's filter behind the border.
pub fn filter_object<T: Filter>(filter: T) -> AuthFilterObject {
    AuthFilter_TO::from_value(FilterAdapter(Instance::new(filter)), TD_Opaque)
}

pub(crate) fn before_of<S: Send + 'static>(flow: Flow<S>) -> Before {
    let (action, wants_after, state, response) = match flow {
        Flow::Continue => (Action::CONTINUE, false, State::empty(), RVec::new()),
        Flow::ContinueThenAfter(state) => (Action::CONTINUE, true, State::new(state), RVec::new()),
        Flow::Respond(bytes) => (Action::RESPOND, false, State::empty(), RVec::from(bytes)),
    };
    Before {
        action,
        wants_after,
        state,
        response,
        ext: Ext::new(),
    }
}

pub(crate) fn foreign_state() -> PluginError {
    PluginError::new(
        Code::INTERNAL,
        "the peer returned a state that is not this plugin's",
    )
}

impl<T: Filter> AuthFilter for FilterAdapter<T> {
    fn before(&self, request: Request) -> FfiFuture<Res<Before>> {
        let filter = self.0.clone();
        Guarded::new(async move { filter.get().before(&request).await.map(before_of) }).into_ffi()
    }

    fn after(
        &self,
        request: Request,
        state: State,
        outcome: Res<SharedBytes>,
    ) -> FfiFuture<Res<SharedBytes>> {
        let filter = self.0.clone();
        Guarded::new(async move {
            let state = state.take::<T::State>().ok_or_else(foreign_state)?;
            filter.get().after(&request, state, outcome.into_result()).await
        })
        .into_ffi()
    }
}
