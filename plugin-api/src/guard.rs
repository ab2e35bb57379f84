//! The panic fence: no author's code runs outside of it, because a panic that reaches the border would
//! end the whole peer.

use crate::error::{Code, PluginError, Res, Result};
use abi_stable::std_types::RResult;
use std::any::Any;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Runs a call of an author's code; a panic becomes an error with [`Code::PANIC`].
pub fn guard<T>(call: impl FnOnce() -> Result<T>) -> Res<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => RResult::from(result),
        Err(payload) => RResult::RErr(panicked(payload)),
    }
}

/// Runs a destructor; a panic in it is forgotten (the panic hook has logged it).
pub fn quietly(call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call)) {
        discard(payload);
    }
}

fn panicked(payload: Box<dyn Any + Send>) -> PluginError {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(no text)".to_owned());
    discard(payload);
    PluginError::new(Code::PANIC, format!("plugin panicked: {text}"))
}

/// A panic's payload is an author's value too: its destructor may panic again.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        std::mem::forget(second);
    }
}

/// A future of an author, whose polls and whose destructor are fenced.
pub struct Guarded<F> {
    future: ManuallyDrop<F>,
}

impl<F> Guarded<F> {
    /// Fences `future`.
    pub fn new(future: F) -> Self {
        Self {
            future: ManuallyDrop::new(future),
        }
    }
}

impl<F, T> Future for Guarded<F>
where
    F: Future<Output = Result<T>>,
{
    type Output = Res<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Res<T>> {
        // SAFETY: the inner future is never moved out; it is dropped in place by `Drop` below.
        // JUSTIFICATION: pin projection to a `ManuallyDrop` field has no safe form.
        let future = unsafe { self.map_unchecked_mut(|this| &mut *this.future) };
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => Poll::Ready(RResult::from(result)),
            Err(payload) => Poll::Ready(RResult::RErr(panicked(payload))),
        }
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        quietly(|| {
            // SAFETY: dropped exactly here and in place; nothing uses the field afterwards.
            // JUSTIFICATION: a destructor can only be fenced when the drop glue does not run it.
            unsafe { ManuallyDrop::drop(&mut self.future) }
        });
    }
}

/// An author's instance: the last owner drops it inside the fence.
pub struct Instance<T>(ManuallyDrop<Arc<T>>);

impl<T> Instance<T> {
    /// Keeps `value`.
    pub fn new(value: T) -> Self {
        Self(ManuallyDrop::new(Arc::new(value)))
    }

    /// The instance.
    pub fn get(&self) -> &Arc<T> {
        &self.0
    }
}

impl<T> Clone for Instance<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Drop for Instance<T> {
    fn drop(&mut self) {
        quietly(|| {
            // SAFETY: dropped exactly here; nothing uses the field afterwards.
            // JUSTIFICATION: a destructor can only be fenced when the drop glue does not run it.
            unsafe { ManuallyDrop::drop(&mut self.0) }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("in drop");
            }
        }
    }

    #[test]
    fn a_panic_becomes_an_error() {
        let error = guard::<()>(|| panic!("ouch")).unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            (Code::PANIC, "plugin panicked: ouch")
        );
    }

    #[test]
    fn a_payload_that_panics_in_its_own_drop_is_contained() {
        let error = guard::<()>(|| std::panic::panic_any(PanicsOnDrop)).unwrap_err();
        assert_eq!(error.message, "plugin panicked: (no text)");
    }

    #[test]
    fn polls_and_drops_of_futures_are_fenced() {
        let polled: Res<()> = block_on(Guarded::new(async { panic!("in poll") }));
        assert_eq!(polled.unwrap_err().message, "plugin panicked: in poll");
        let held = PanicsOnDrop;
        drop(Guarded::new(async move {
            let _held = held;
            Ok::<(), PluginError>(())
        }));
        drop(Instance::new(PanicsOnDrop));
    }
}
