//! Bytes that cross the border to and from C.
#![allow(unsafe_code, reason = "C's bytes are addresses and lengths")]

use super::tables::{Borrowed, Buf};
use plugin_api::SharedBytes;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls code of a plugin; an exception of another language that unwinds out of it is forgotten.
pub(super) fn call<T>(call: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(value) => Some(value),
        Err(payload) => {
            // its destructor may be anybody's
            std::mem::forget(payload);
            None
        }
    }
}

impl Borrowed {
    /// At most so many of the bytes; none for an address that cannot be one.
    pub(super) fn bytes(&self, most: usize) -> &[u8] {
        if self.ptr.is_null() {
            return &[];
        }
        // SAFETY: the plugin says that so many bytes are there for the time of its call, which is ours as well.
        // JUSTIFICATION: what C borrows to us is an address and a length.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len.min(most)) }
    }

    /// At most so many bytes of text.
    pub(super) fn text(&self, most: usize) -> String {
        String::from_utf8_lossy(self.bytes(most)).into_owned()
    }
}

impl Buf {
    pub(super) const EMPTY: Self = Self {
        ptr: std::ptr::null_mut(),
        len: 0,
        owner: std::ptr::null_mut(),
        free: None,
    };

    /// Bytes of the peer's for a plugin, which gives them back through `free`.
    pub(super) fn of(bytes: SharedBytes) -> Self {
        let owner = Box::new(bytes);
        let (ptr, len) = (owner.as_ptr().cast_mut(), owner.len());
        Self {
            ptr,
            len,
            owner: Box::into_raw(owner).cast(),
            free: Some(free_shared),
        }
    }
}

unsafe extern "C-unwind" fn free_shared(owner: *mut c_void, _ptr: *mut u8, _len: usize) {
    if owner.is_null() {
        return;
    }
    // SAFETY: `owner` came from `Buf::of`, and whoever has the buffer frees it once.
    // JUSTIFICATION: C gives back what it was given as an address.
    drop(unsafe { Box::from_raw(owner.cast::<SharedBytes>()) });
}

/// A buffer that a plugin has handed over; freed by the plugin's own function.
pub(super) struct Owned(Buf);

// SAFETY: the header demands that `free` may be called from any thread, and nobody else has the bytes.
// JUSTIFICATION: an address has no other way to say so.
unsafe impl Send for Owned {}
// SAFETY: as above; the bytes are only read.
unsafe impl Sync for Owned {}

impl Owned {
    pub(super) fn new(buf: Buf) -> Self {
        Self(buf)
    }

    /// Whether there is an address where there are bytes.
    pub(super) fn is_sound(&self) -> bool {
        self.0.len == 0 || !self.0.ptr.is_null()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len
    }
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        if self.0.ptr.is_null() || self.0.len > isize::MAX.unsigned_abs() {
            return &[];
        }
        // SAFETY: the plugin has handed over so many bytes, and they are there until `free` is called, in `drop`.
        // JUSTIFICATION: as for `Borrowed`.
        unsafe { std::slice::from_raw_parts(self.0.ptr, self.0.len) }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let Some(free) = self.0.free else { return };
        // SAFETY: the plugin's own function with its own values, called here and nowhere else.
        // JUSTIFICATION: memory of a plugin is freed by the plugin.
        call(|| unsafe { free(self.0.owner, self.0.ptr, self.0.len) });
    }
}
