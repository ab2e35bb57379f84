//! The types of `plugin-api/include/fabric_peer_plugin.h`, which says what they mean. They grow at their ends only.

use std::ffi::c_void;

/// `fpp_call`.
pub(super) type CallId = u64;

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Borrowed {
    pub(super) ptr: *const u8,
    pub(super) len: usize,
}

impl Borrowed {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self {
            ptr: bytes.as_ptr(),
            len: bytes.len(),
        }
    }
}

pub(super) type Free = unsafe extern "C-unwind" fn(*mut c_void, *mut u8, usize);

#[repr(C)]
pub(super) struct Buf {
    pub(super) ptr: *mut u8,
    pub(super) len: usize,
    pub(super) owner: *mut c_void,
    pub(super) free: Option<Free>,
}

#[repr(C)]
pub(super) struct Facts {
    pub(super) size: u32,
    pub(super) reserved: u32,
    pub(super) proposal_bytes: Borrowed,
    pub(super) signature: Borrowed,
    pub(super) channel_id: Borrowed,
    pub(super) tx_id: Borrowed,
    pub(super) chaincode_name: Borrowed,
    pub(super) msp_id: Borrowed,
    pub(super) creator_cert: Borrowed,
    pub(super) remote_addr: Borrowed,
    pub(super) deadline_unix_ms: u64,
}

#[repr(C)]
pub(super) struct Outcome {
    pub(super) size: u32,
    pub(super) code: u32,
    pub(super) bytes: Borrowed,
}

pub(super) const CONTINUE: u32 = 0;
pub(super) const CONTINUE_THEN_AFTER: u32 = 1;
pub(super) const RESPOND: u32 = 2;
pub(super) const REJECT: u32 = 3;

#[repr(C)]
pub(super) struct Answer {
    pub(super) size: u32,
    pub(super) outcome: u32,
    pub(super) code: u32,
    pub(super) reserved: u32,
    pub(super) bytes: Buf,
    pub(super) state: *mut c_void,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            size: size::<Self>(),
            outcome: CONTINUE,
            code: 0,
            reserved: 0,
            bytes: Buf::EMPTY,
            state: std::ptr::null_mut(),
        }
    }
}

#[repr(C)]
pub(super) struct HostTable {
    pub(super) size: u32,
    pub(super) api_minor: u32,
    pub(super) log_enabled: extern "C" fn(*const HostTable, u32) -> i32,
    pub(super) log: extern "C" fn(*const HostTable, u32, Borrowed),
    pub(super) counter_add: extern "C" fn(*const HostTable, Borrowed, u64),
    pub(super) observe: extern "C" fn(*const HostTable, Borrowed, f64),
    pub(super) attr: extern "C" fn(*const HostTable, CallId, Borrowed, *mut Buf) -> i32,
    pub(super) set_attr: extern "C" fn(*const HostTable, CallId, Borrowed, Borrowed) -> i32,
    pub(super) complete: extern "C" fn(*const HostTable, CallId, *const Answer) -> i32,
    pub(super) wanted: extern "C" fn(*const HostTable, CallId) -> i32,
}

pub(super) type Before = unsafe extern "C-unwind" fn(*mut c_void, *const Facts, CallId);
pub(super) type After =
    unsafe extern "C-unwind" fn(*mut c_void, *const Facts, *mut c_void, *const Outcome, CallId);
pub(super) type Decorate =
    unsafe extern "C-unwind" fn(*mut c_void, *const Facts, Borrowed, CallId, *mut Answer);

#[repr(C)]
pub(super) struct PluginTable {
    pub(super) size: u32,
    pub(super) reserved: u32,
    pub(super) this: *mut c_void,
    pub(super) error: Buf,
    pub(super) destroy: Option<unsafe extern "C-unwind" fn(*mut c_void)>,
    pub(super) before: Option<Before>,
    pub(super) after: Option<After>,
    pub(super) drop_state: Option<unsafe extern "C-unwind" fn(*mut c_void, *mut c_void)>,
    pub(super) decorate: Option<Decorate>,
}

pub(super) type Create =
    unsafe extern "C-unwind" fn(*const HostTable, Borrowed, Borrowed, *mut PluginTable) -> u32;

// the header asserts the same
const _: () = assert!(
    size_of::<Buf>() == 32
        && size_of::<Facts>() == 144
        && size_of::<Outcome>() == 24
        && size_of::<Answer>() == 56
        && size_of::<HostTable>() == 72
        && size_of::<PluginTable>() == 88
);

/// A table's size as it says it itself.
#[allow(clippy::cast_possible_truncation, reason = "tables have less than 1 KiB")]
pub(super) const fn size<T>() -> u32 {
    size_of::<T>() as u32
}
