//! [`Instance`]: what `fabric_peer_plugin_create` has made.
#![allow(unsafe_code, reason = "a C plugin's functions can only be called so")]

use super::calls::{Carried, Decision, Held, decide};
use super::host::CHost;
use super::memory::{Owned, call};
use super::tables::{Answer, Borrowed, Buf, Create, PluginTable, size};
use futures::channel::oneshot::Receiver;
use plugin_api::{Code, Init, PluginError, Request, Res, Result, SharedBytes};
use std::ffi::c_void;
use std::sync::Arc;
use tracing::warn;

/// Bytes for the plugin's table: a later version's is larger, and may write all of it.
const ROOM: usize = 1024;

#[repr(C, align(16))]
struct Room([u8; ROOM]);

/// One instance of a C plugin; dropping the last reference ends it.
pub(super) struct Instance {
    table: PluginTable,
    host: &'static CHost,
}

// SAFETY: the header demands that every function may be called from any thread, and `self` is only passed to them.
// JUSTIFICATION: an address has no other way to say so.
unsafe impl Send for Instance {}
// SAFETY: as above, at the same time as well.
unsafe impl Sync for Instance {}

fn fault(what: &str) -> PluginError {
    PluginError::new(Code::INTERNAL, what)
}

impl Instance {
    /// Calls the constructor.
    pub(super) fn create(create: Create, init: &Init<'_>) -> Result<Arc<Self>> {
        let host = CHost::leaked(init.instance.as_str().to_owned(), init.host.clone());
        let name = Borrowed::of(init.instance.as_bytes());
        let config = Borrowed::of(init.config_json.as_bytes());
        let mut room = Room([0; ROOM]);
        let out: *mut PluginTable = room.0.as_mut_ptr().cast();
        // SAFETY: all addresses are valid for the time of the call, and there is room for what the plugin fills in.
        // JUSTIFICATION: a C constructor can only be called so.
        let code = call(|| unsafe { create(host.table(), name, config, out) })
            .ok_or_else(|| PluginError::new(Code::PANIC, "fabric_peer_plugin_create unwound"))?;
        // SAFETY: zeroes are a valid table, and the plugin says that what it wrote is one; the room is aligned for it and
        // not read again.
        // JUSTIFICATION: as above.
        let mut table = unsafe { out.read() };
        let error = Owned::new(std::mem::replace(&mut table.error, Buf::EMPTY));
        if code != 0 {
            let text =
                String::from_utf8_lossy(error.as_ref().get(..ROOM).unwrap_or(error.as_ref())).into_owned();
            return Err(PluginError::new(Code(code), text));
        }
        let filled = usize::try_from(table.size).unwrap_or(usize::MAX);
        if table.size < size::<PluginTable>() || filled > ROOM {
            return Err(fault("fabric_peer_plugin_create left no size of its table"));
        }
        Ok(Arc::new(Self { table, host }))
    }

    pub(super) fn is_filter(&self) -> bool {
        self.table.before.is_some()
    }

    pub(super) fn is_decorator(&self) -> bool {
        self.table.decorate.is_some()
    }

    pub(super) fn has_after(&self) -> bool {
        self.table.after.is_some()
    }

    /// Starts `before`; the answer arrives when the plugin completes the call.
    pub(super) fn before(self: &Arc<Self>, request: &Request) -> Result<Receiver<Decision>> {
        let before = self.table.before.ok_or_else(|| fault("no function before"))?;
        let held = Held::new(request, None);
        let (id, answered) = self.host.calls.open(&held, self)?;
        // SAFETY: the plugin's own function and `self`; what `held` holds stays until the call is completed, because
        // the open call has it as well.
        // JUSTIFICATION: a C function can only be called so.
        let returned = call(|| unsafe { before(self.table.this, &raw const held.facts, id) });
        self.returned(returned, id).map(|()| answered)
    }

    /// Starts `after`.
    pub(super) fn after(
        self: &Arc<Self>,
        request: &Request,
        carried: Carried,
        outcome: Res<SharedBytes>,
    ) -> Result<Receiver<Decision>> {
        let after = self.table.after.ok_or_else(|| fault("no function after"))?;
        let held = Held::new(request, Some(outcome));
        let (id, answered) = self.host.calls.open(&held, self)?;
        let state = carried.give_up();
        // SAFETY: as in `before`; the state is the one that the plugin gave us, and this is the only time it gets it.
        // JUSTIFICATION: as in `before`.
        let returned = call(|| unsafe {
            after(
                self.table.this,
                &raw const held.facts,
                state,
                &raw const held.outcome,
                id,
            );
        });
        self.returned(returned, id).map(|()| answered)
    }

    /// Runs `decorate`.
    pub(super) fn decorate(self: &Arc<Self>, request: &Request, input: &[u8]) -> Result<Decision> {
        let decorate = self.table.decorate.ok_or_else(|| fault("no function decorate"))?;
        let held = Held::new(request, None);
        let (id, _unused) = self.host.calls.open(&held, self)?;
        let mut answer = Answer::default();
        let input = Borrowed::of(input);
        // SAFETY: the plugin's own function and `self`; everything else is valid until it returns.
        // JUSTIFICATION: a C function can only be called so.
        let returned = call(|| unsafe {
            decorate(self.table.this, &raw const held.facts, input, id, &raw mut answer);
        });
        self.host.calls.close(id);
        let decision = decide(Some(answer.into()), self);
        self.returned(returned, id).map(|()| decision)
    }

    fn returned(&self, returned: Option<()>, id: u64) -> Result<()> {
        returned.ok_or_else(|| {
            self.host.calls.close(id);
            PluginError::new(Code::PANIC, "plugin unwound across its border")
        })
    }

    pub(super) fn drop_state(&self, state: *mut c_void) {
        let Some(drop_state) = self.table.drop_state else {
            return;
        };
        // SAFETY: the plugin's own function with `self` and a state that it gave us and does not get again.
        // JUSTIFICATION: a C function can only be called so.
        call(|| unsafe { drop_state(self.table.this, state) });
    }
}

/// What the thread that ends an instance needs.
struct Ending {
    this: *mut c_void,
    destroy: unsafe extern "C-unwind" fn(*mut c_void),
}

// SAFETY: as for `Instance`.
// JUSTIFICATION: as for `Instance`.
unsafe impl Send for Ending {}

impl Ending {
    fn run(self) {
        // SAFETY: the last call of the plugin's own function with `self`: every call has been completed.
        // JUSTIFICATION: a C function can only be called so.
        call(|| unsafe { (self.destroy)(self.this) });
    }
}

impl Drop for Instance {
    /// On a thread of its own: the last reference may go away inside of `complete`, on a thread of the plugin that
    /// `destroy` may want to wait for.
    fn drop(&mut self) {
        let Some(destroy) = self.table.destroy else { return };
        let ending = Ending {
            this: self.table.this,
            destroy,
        };
        let started = std::thread::Builder::new()
            .name("plugin-drop".to_owned())
            .spawn(move || ending.run());
        if let Err(error) = started {
            warn!(plugin = self.host.name, %error, "plugin instance left behind");
        }
    }
}
