//! [`State`]: what a filter carries from `before` to `after`, kept by the peer, understood by the plugin.

use crate::guard;
use abi_stable::StableAbi;
use std::any::Any;
use std::fmt;

/// Identifies the library that this copy of the crate is linked into.
static LIBRARY: u8 = 0;

/// A plugin-owned value that the peer keeps and gives back once, or drops.
#[repr(C)]
#[derive(StableAbi)]
pub struct State {
    value: *mut (),
    library: *const u8,
    drop: extern "C" fn(*mut ()),
}

type Value = Box<dyn Any + Send>;

// SAFETY: the value is `Send`, owned by this one struct, and never reachable by reference.
// JUSTIFICATION: raw pointers are what a C-compatible struct is made of.
unsafe impl Send for State {}
// SAFETY: no method gives out a reference to the value.
unsafe impl Sync for State {}

extern "C" fn drop_value(value: *mut ()) {
    guard::quietly(|| {
        // SAFETY: `value` came from `Box::into_raw` in `State::new` of this library, and `State` calls
        // this once.
        // JUSTIFICATION: the peer drops a value whose type only the plugin knows.
        drop(unsafe { Box::from_raw(value.cast::<Value>()) });
    });
}

extern "C" fn nothing(_value: *mut ()) {}

impl State {
    /// Nothing to carry.
    pub fn empty() -> Self {
        Self {
            value: std::ptr::null_mut(),
            library: std::ptr::null(),
            drop: nothing,
        }
    }

    /// Carries `value`.
    pub fn new<T: Any + Send>(value: T) -> Self {
        let value: Box<Value> = Box::new(Box::new(value));
        Self {
            value: Box::into_raw(value).cast(),
            library: &raw const LIBRARY,
            drop: drop_value,
        }
    }

    /// The value again, if it is a `T` that this very library put in.
    pub fn take<T: Any>(self) -> Option<T> {
        if self.value.is_null() || !std::ptr::eq(self.library, &raw const LIBRARY) {
            return None;
        }
        let value = self.value;
        std::mem::forget(self);
        // SAFETY: the value is not null and was made by `State::new` of this library (its mark says so);
        // `self` is forgotten, so this is the only owner.
        // JUSTIFICATION: the counterpart of `Box::into_raw` in `new`.
        let value: Box<Value> = unsafe { Box::from_raw(value.cast()) };
        value.downcast::<T>().ok().map(|value| *value)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        (self.drop)(self.value);
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.value.is_null() {
            "State(empty)"
        } else {
            "State"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn gives_the_value_back_once() {
        assert_eq!(State::new(7_u32).take::<u32>(), Some(7));
        assert_eq!(State::new(7_u32).take::<u64>(), None);
        assert_eq!(State::empty().take::<u32>(), None);
    }

    #[test]
    fn drops_the_value_when_nobody_asks() {
        let alive = Arc::new(());
        drop(State::new(Arc::clone(&alive)));
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
