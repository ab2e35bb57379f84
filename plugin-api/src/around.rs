//! [`Around`]: how authors write an auth filter as one function around the rest of the chain.
//!
//! The border only knows `before` and `after`. The adapter polls the author's future in `before` until it
//! asks for `next`, parks it in the `State`, and resumes it in `after`. While parked it is not polled.

use crate::auth::{AuthFilter, AuthFilter_TO, AuthFilterObject, Before};
use crate::error::{Code, PluginError, Res, Result};
use crate::filter::{Flow, before_of, foreign_state};
use crate::guard::{Guarded, Instance};
use crate::request::Request;
use crate::shared_bytes::SharedBytes;
use crate::state::State;
use abi_stable::erased_types::TD_Opaque;
use async_ffi::{FfiFuture, FutureExt};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

/// An auth filter written as middleware.
///
/// Await `next.run()` plainly, not inside a `select!` or a timeout: the future is not polled while the
/// rest of the chain runs, so nothing else in the `select!` could make progress.
pub trait Around: Send + Sync + 'static {
    /// Handles one signed proposal; `next.run()` is the rest of the chain, including the endorser.
    fn handle(
        self: Arc<Self>,
        request: Request,
        next: Next,
    ) -> impl Future<Output = Result<SharedBytes>> + Send + 'static;
}

/// The rest of the chain. It runs at most once, because [`Next::run`] consumes it.
pub struct Next(Meeting);

/// Where the author's future and the adapter meet.
#[derive(Clone, Default)]
struct Meeting(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    asked: bool,
    outcome: Option<Result<SharedBytes>>,
}

impl Meeting {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Next {
    /// Runs the rest of the chain and returns its outcome, an encoded `ProposalResponse`.
    pub async fn run(self) -> Result<SharedBytes> {
        self.0.slot().asked = true;
        poll_fn(|_context| match self.0.slot().outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        })
        .await
    }
}

type Handling = Pin<Box<dyn Future<Output = Result<SharedBytes>> + Send>>;

struct Parked {
    handling: Handling,
    meeting: Meeting,
}

struct AroundAdapter<T>(Instance<T>);

/// Puts an author's middleware behind the border.
pub fn around_object<T: Around>(around: T) -> AuthFilterObject {
    AuthFilter_TO::from_value(AroundAdapter(Instance::new(around)), TD_Opaque)
}

/// Polls until the author's future ends or asks for the rest of the chain.
async fn until_next(mut parked: Parked) -> Result<Before> {
    let ended = poll_fn(|context| match parked.handling.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if parked.meeting.slot().asked => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await;
    Ok(before_of(match ended {
        Some(outcome) => Flow::Respond(outcome?.to_vec()),
        None => Flow::ContinueThenAfter(parked),
    }))
}

impl<T: Around> AuthFilter for AroundAdapter<T> {
    fn before(&self, request: Request) -> FfiFuture<Res<Before>> {
        let around = self.0.clone();
        Guarded::new(async move {
            let meeting = Meeting::default();
            let next = Next(meeting.clone());
            let handling = Arc::clone(around.get()).handle(request, next);
            until_next(Parked {
                handling: Box::pin(handling),
                meeting,
            })
            .await
        })
        .into_ffi()
    }

    fn after(
        &self,
        _request: Request,
        state: State,
        outcome: Res<SharedBytes>,
    ) -> FfiFuture<Res<SharedBytes>> {
        let around = self.0.clone();
        Guarded::new(async move {
            let _around = around;
            let parked = state.take::<Parked>().ok_or_else(foreign_state)?;
            parked.meeting.slot().outcome = Some(outcome.into_result());
            parked.handling.await
        })
        .into_ffi()
    }
}

impl Next {
    /// An outcome for callers that must not go on; the counterpart of [`Next::run`].
    pub fn refuse(self, code: Code, message: impl Into<String>) -> Result<SharedBytes> {
        Err(PluginError::new(code, message))
    }
}
