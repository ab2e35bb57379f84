//! [`SharedBytes`]: reference-counted bytes that cross the border without a copy and are freed by the
//! library that made them.

use crate::guard;
use abi_stable::StableAbi;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Immutable bytes with shared ownership. Cloning counts a reference; nothing is ever copied.
#[repr(C)]
#[derive(StableAbi)]
pub struct SharedBytes {
    ptr: *const u8,
    len: usize,
    owner: *const (),
    vtable: &'static SharedBytesVtable,
}

#[repr(C)]
#[derive(StableAbi)]
struct SharedBytesVtable {
    clone: extern "C" fn(*const ()),
    drop: extern "C" fn(*const ()),
}

// SAFETY: the bytes are immutable, the owner is an `Arc` of a `Send + Sync` value, and both functions of
// the table only touch its atomic counter (or drop the value, which `Send` allows on any thread).
// JUSTIFICATION: raw pointers are what a C-compatible struct is made of; `Arc` itself has no fixed layout.
unsafe impl Send for SharedBytes {}
// SAFETY: as above.
unsafe impl Sync for SharedBytes {}

extern "C" fn clone_owner<T>(owner: *const ()) {
    // SAFETY: `owner` came from `Arc::into_raw` of this very `T` and still holds a count.
    // JUSTIFICATION: a counter behind an erased pointer cannot be raised by safe code.
    unsafe { Arc::increment_strong_count(owner.cast::<T>()) }
}

extern "C" fn drop_owner<T>(owner: *const ()) {
    guard::quietly(|| {
        // SAFETY: `owner` came from `Arc::into_raw` of this very `T`; the caller gives up its one count.
        // JUSTIFICATION: see `clone_owner`.
        unsafe { Arc::decrement_strong_count(owner.cast::<T>()) }
    });
}

extern "C" fn nothing(_owner: *const ()) {}

struct TableOf<T>(std::marker::PhantomData<T>);

impl<T> TableOf<T> {
    const TABLE: &'static SharedBytesVtable = &SharedBytesVtable {
        clone: clone_owner::<T>,
        drop: drop_owner::<T>,
    };
}

static STATIC_TABLE: SharedBytesVtable = SharedBytesVtable {
    clone: nothing,
    drop: nothing,
};

impl SharedBytes {
    /// No bytes.
    pub const fn empty() -> Self {
        Self::from_static(&[])
    }

    /// Bytes that live as long as the program.
    pub const fn from_static(bytes: &'static [u8]) -> Self {
        Self {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
            owner: std::ptr::null(),
            vtable: &STATIC_TABLE,
        }
    }

    /// Wraps whatever owns bytes: a `Vec<u8>`, a `bytes::Bytes`, a memory map. The owner must return the
    /// same bytes each time, which every such type does.
    pub fn from_owner<T>(owner: T) -> Self
    where
        T: AsRef<[u8]> + Send + Sync + 'static,
    {
        let owner = Arc::new(owner);
        let bytes = (*owner).as_ref();
        let (ptr, len) = (bytes.as_ptr(), bytes.len());
        Self {
            ptr,
            len,
            owner: Arc::into_raw(owner).cast(),
            vtable: TableOf::<T>::TABLE,
        }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `ptr` and `len` describe bytes that the owner keeps alive and unchanged for as long as
        // this value holds its count (or that are static).
        // JUSTIFICATION: the slice's owner lives behind an erased pointer.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl Clone for SharedBytes {
    fn clone(&self) -> Self {
        (self.vtable.clone)(self.owner);
        Self {
            ptr: self.ptr,
            len: self.len,
            owner: self.owner,
            vtable: self.vtable,
        }
    }
}

impl Drop for SharedBytes {
    fn drop(&mut self) {
        (self.vtable.drop)(self.owner);
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl From<Vec<u8>> for SharedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from_owner(bytes)
    }
}

impl Default for SharedBytes {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBytes({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_dropped_with_the_last_clone() {
        struct Owner {
            _alive: Arc<()>,
        }
        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                b"abc"
            }
        }
        let alive = Arc::new(());
        let bytes = SharedBytes::from_owner(Owner {
            _alive: Arc::clone(&alive),
        });
        let second = bytes.clone();
        drop(bytes);
        assert_eq!(second.as_slice(), b"abc");
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(second);
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn a_clone_shares_the_memory() {
        let bytes = SharedBytes::from(vec![1, 2, 3]);
        assert_eq!(bytes.clone().as_ptr(), bytes.as_ptr());
        assert!(SharedBytes::empty().is_empty());
    }

    #[test]
    fn a_panic_in_the_owners_drop_stays_inside() {
        struct Bad;
        impl AsRef<[u8]> for Bad {
            fn as_ref(&self) -> &[u8] {
                &[]
            }
        }
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("bad owner");
            }
        }
        drop(SharedBytes::from_owner(Bad));
    }
}
