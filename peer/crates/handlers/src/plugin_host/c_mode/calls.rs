//! [`Calls`]: the hooks of one instance that are under way. C gets numbers, never addresses, so that an answer that comes
//! twice, too late, or for a call that never was, finds nothing.
#![allow(unsafe_code, reason = "C's tables are made of addresses")]

use super::instance::Instance;
use super::memory::Owned;
use super::tables::{
    Answer, Borrowed, CONTINUE, CONTINUE_THEN_AFTER, CallId, Facts, Outcome, REJECT, RESPOND, size,
};
use abi_stable::std_types::RResult;
use futures::channel::oneshot::{Receiver, Sender, channel};
use parking_lot::Mutex;
use plugin_api::{Code, PluginError, Request, Res, Result, SharedBytes};
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Calls of one instance that have not been completed, those that nobody waits for any more included.
const MAX_OWED: usize = 1024;
/// Most bytes that a plugin may answer with.
const MAX_ANSWER: usize = protos::MAX_MESSAGE_SIZE;
/// Most bytes of an error's text that are looked at.
const MAX_TEXT: usize = 8192;

/// Numbers are never used again, by no instance.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What a call is about, at addresses that stay while anybody has this.
pub(super) struct Held {
    pub(super) request: Request,
    _proposal: SharedBytes,
    _signature: SharedBytes,
    pub(super) facts: Facts,
    /// What `after` is told.
    _original: Option<Res<SharedBytes>>,
    pub(super) outcome: Outcome,
}

// SAFETY: the addresses point into what the same value holds, which is `Send` and never changed.
// JUSTIFICATION: C's tables are made of addresses.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

impl Held {
    pub(super) fn new(request: &Request, original: Option<Res<SharedBytes>>) -> Arc<Self> {
        let request = request.clone();
        let (proposal, signature) = (request.proposal_bytes(), request.signature());
        let facts = Facts {
            size: size::<Facts>(),
            reserved: 0,
            proposal_bytes: Borrowed::of(&proposal),
            signature: Borrowed::of(&signature),
            channel_id: Borrowed::of(request.channel_id().as_bytes()),
            tx_id: Borrowed::of(request.tx_id().as_bytes()),
            chaincode_name: Borrowed::of(request.chaincode_name().as_bytes()),
            msp_id: Borrowed::of(request.msp_id().as_bytes()),
            creator_cert: Borrowed::of(request.creator_cert().as_slice()),
            remote_addr: Borrowed::of(request.remote_addr().as_bytes()),
            deadline_unix_ms: request.deadline_unix_ms(),
        };
        let (code, bytes) = match &original {
            Some(RResult::ROk(bytes)) => (0, Borrowed::of(bytes)),
            Some(RResult::RErr(error)) => (error.code.0, Borrowed::of(error.message.as_bytes())),
            None => (0, Borrowed::of(&[])),
        };
        Arc::new(Self {
            request,
            _proposal: proposal,
            _signature: signature,
            facts,
            _original: original,
            outcome: Outcome {
                size: size::<Outcome>(),
                code,
                bytes,
            },
        })
    }
}

/// A state that a filter carries from `before` to `after`; given back to the plugin if it gets no further.
pub(super) struct Carried {
    state: *mut c_void,
    instance: Arc<Instance>,
}

// SAFETY: the state is the plugin's, whose functions may be called from any thread; here it is a number.
// JUSTIFICATION: an address has no other way to say so.
unsafe impl Send for Carried {}

impl Carried {
    pub(super) fn new(state: *mut c_void, instance: &Arc<Instance>) -> Self {
        Self {
            state,
            instance: Arc::clone(instance),
        }
    }

    /// The state, which is the plugin's from here on.
    pub(super) fn give_up(mut self) -> *mut c_void {
        std::mem::replace(&mut self.state, std::ptr::null_mut())
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if !self.state.is_null() {
            self.instance.drop_state(self.state);
        }
    }
}

/// What a hook decided, checked.
pub(super) enum Decision {
    Continue,
    ThenAfter(Carried),
    Respond(Owned),
    Reject(PluginError),
}

struct Call {
    held: Arc<Held>,
    instance: Arc<Instance>,
    answer: Sender<Decision>,
}

/// The calls of one instance.
#[derive(Default)]
pub(super) struct Calls(Mutex<BTreeMap<CallId, Call>>);

impl Calls {
    /// Opens a call; its number, and where its answer arrives.
    pub(super) fn open(
        &self,
        held: &Arc<Held>,
        instance: &Arc<Instance>,
    ) -> Result<(CallId, Receiver<Decision>)> {
        let (answer, answered) = channel();
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut calls = self.0.lock();
        if calls.len() >= MAX_OWED {
            return Err(PluginError::new(
                Code::UNAVAILABLE,
                format!("plugin owes the answers of {MAX_OWED} calls"),
            ));
        }
        let call = Call {
            held: Arc::clone(held),
            instance: Arc::clone(instance),
            answer,
        };
        calls.insert(id, call);
        Ok((id, answered))
    }

    /// Forgets a call that the plugin has no business with any more.
    pub(super) fn close(&self, id: CallId) {
        let closed = self.0.lock().remove(&id);
        drop(closed);
    }

    /// The request of a call that has not been completed.
    pub(super) fn request(&self, id: CallId) -> Option<Request> {
        self.0.lock().get(&id).map(|call| call.held.request.clone())
    }

    pub(super) fn is_wanted(&self, id: CallId) -> bool {
        self.0
            .lock()
            .get(&id)
            .is_some_and(|call| !call.answer.is_canceled())
    }

    /// Ends a call with what the plugin says, which is consumed in any case. Whether there was such a call.
    pub(super) fn complete(&self, id: CallId, said: Option<Answer>) -> bool {
        let said = said.map(Said::from);
        let Some(call) = self.0.lock().remove(&id) else {
            return false;
        };
        let decision = decide(said, &call.instance);
        // nobody waits any more: what was decided goes back to the plugin
        drop(call.answer.send(decision));
        true
    }
}

/// An answer whose bytes are in safe hands.
pub(super) struct Said {
    size: u32,
    outcome: u32,
    code: u32,
    bytes: Owned,
    state: *mut c_void,
}

impl From<Answer> for Said {
    fn from(answer: Answer) -> Self {
        Self {
            size: answer.size,
            outcome: answer.outcome,
            code: answer.code,
            bytes: Owned::new(answer.bytes),
            state: answer.state,
        }
    }
}

pub(super) fn decide(said: Option<Said>, instance: &Arc<Instance>) -> Decision {
    let fault = |what: &str| {
        Decision::Reject(PluginError::new(
            Code::INTERNAL,
            format!("plugin answered {what}"),
        ))
    };
    let Some(said) = said else {
        return fault("NULL");
    };
    let carried = Carried::new(said.state, instance);
    if said.size < size::<Answer>() {
        return fault("with a size that is too small");
    }
    if !said.bytes.is_sound() {
        return fault("with bytes at NULL");
    }
    if said.bytes.len() > MAX_ANSWER {
        return fault("more than a message may carry");
    }
    match said.outcome {
        CONTINUE => Decision::Continue,
        CONTINUE_THEN_AFTER if instance.has_after() => Decision::ThenAfter(carried),
        CONTINUE_THEN_AFTER => fault("that it wants to see the outcome, and has no function for it"),
        RESPOND => Decision::Respond(said.bytes),
        REJECT => {
            let text = said.bytes.as_ref();
            let text = String::from_utf8_lossy(text.get(..MAX_TEXT).unwrap_or(text));
            Decision::Reject(PluginError::new(Code(said.code), text))
        }
        _ => fault("something unknown"),
    }
}
