//! Author traits behind the border: called the way the peer calls them.

use abi_stable::erased_types::TD_Opaque;
use abi_stable::std_types::{RArc, ROption, RResult, RSlice, RStr};
use futures::executor::block_on;
use plugin_api::export::{around, filter};
use plugin_api::{
    Action, Around, Code, Filter, Flow, Host, Host_TO, HostRef, Init, Next, Pairs, PluginError, Request,
    RequestView, RequestView_TO, Result, SharedBytes, State,
};
use std::sync::Arc;

#[derive(Clone)]
struct Facts;

impl RequestView for Facts {
    fn proposal_bytes(&self) -> SharedBytes {
        SharedBytes::from_static(b"proposal")
    }
    fn signature(&self) -> SharedBytes {
        SharedBytes::empty()
    }
    fn channel_id(&self) -> RStr<'_> {
        "mychannel".into()
    }
    fn tx_id(&self) -> RStr<'_> {
        "".into()
    }
    fn chaincode_name(&self) -> RStr<'_> {
        "".into()
    }
    fn msp_id(&self) -> RStr<'_> {
        "".into()
    }
    fn creator_cert(&self) -> RSlice<'_, u8> {
        RSlice::EMPTY
    }
    fn remote_addr(&self) -> RStr<'_> {
        "".into()
    }
    fn deadline_unix_ms(&self) -> u64 {
        0
    }
    fn attr(&self, _key: RStr<'_>) -> ROption<SharedBytes> {
        ROption::RNone
    }
}

#[derive(Clone)]
struct Silent;

impl Host for Silent {
    fn log_enabled(&self, _level: u8, _target: RStr<'_>) -> bool {
        false
    }
    fn log(&self, _level: u8, _target: RStr<'_>, _message: RStr<'_>, _fields: Pairs<'_>) {}
    fn counter_add(&self, _name: RStr<'_>, _value: u64, _labels: Pairs<'_>) {}
    fn observe(&self, _name: RStr<'_>, _value: f64, _labels: Pairs<'_>) {}
    fn sleep_ms(&self, _milliseconds: u64) -> async_ffi::FfiFuture<()> {
        async_ffi::FutureExt::into_ffi(std::future::ready(()))
    }
}

fn request() -> Request {
    RequestView_TO::from_ptr(RArc::new(Facts), TD_Opaque)
}

fn init() -> Init<'static> {
    let host: HostRef = Host_TO::from_ptr(RArc::new(Silent), TD_Opaque);
    Init {
        host,
        instance: "test".into(),
        config_json: "{}".into(),
        ext: RSlice::EMPTY,
    }
}

struct Doubling;

impl Around for Doubling {
    async fn handle(self: Arc<Self>, request: Request, next: Next) -> Result<SharedBytes> {
        if request.channel_id().as_str() != "mychannel" {
            return next.refuse(Code::PERMISSION_DENIED, "wrong channel");
        }
        let outcome = next.run().await?;
        Ok([outcome.as_slice(), outcome.as_slice()].concat().into())
    }
}

#[test]
fn middleware_is_parked_between_before_and_after() {
    let object = around(init(), |_| Ok(Doubling)).unwrap();
    let before = block_on(object.before(request())).unwrap();
    assert_eq!((before.action, before.wants_after), (Action::CONTINUE, true));
    let outcome = RResult::ROk(SharedBytes::from_static(b"ab"));
    let answer = block_on(object.after(request(), before.state, outcome)).unwrap();
    assert_eq!(answer.as_slice(), b"abab");
    let before = block_on(object.before(request())).unwrap();
    let failed = RResult::RErr(PluginError::denied("no"));
    assert_eq!(
        block_on(object.after(request(), before.state, failed))
            .unwrap_err()
            .message,
        "no"
    );
}

struct Answers;

impl Around for Answers {
    async fn handle(self: Arc<Self>, _request: Request, _next: Next) -> Result<SharedBytes> {
        Ok(SharedBytes::from_static(b"cached"))
    }
}

#[test]
fn middleware_that_does_not_ask_for_next_answers() {
    let object = around(init(), |_| Ok(Answers)).unwrap();
    let before = block_on(object.before(request())).unwrap();
    assert_eq!(
        (before.action, before.response.as_slice()),
        (Action::RESPOND, b"cached".as_slice())
    );
}

struct Plain;

impl Filter for Plain {
    type State = u32;
    async fn before(&self, _request: &Request) -> Result<Flow<u32>> {
        Ok(Flow::ContinueThenAfter(7))
    }
}

#[test]
fn a_state_that_is_not_the_filters_own_is_an_error() {
    let object = filter(init(), |_| Ok(Plain)).unwrap();
    let before = block_on(object.before(request())).unwrap();
    let outcome = || RResult::ROk(SharedBytes::from_static(b"ab"));
    assert_eq!(
        block_on(object.after(request(), before.state, outcome()))
            .unwrap()
            .as_slice(),
        b"ab"
    );
    for foreign in [State::empty(), State::new("text")] {
        let error = block_on(object.after(request(), foreign, outcome())).unwrap_err();
        assert_eq!(error.code, Code::INTERNAL);
    }
}

#[test]
fn a_constructor_that_panics_or_refuses_yields_an_error() {
    let panicked = filter(init(), |_| -> Result<Plain> { panic!("no") });
    assert_eq!(panicked.map(|_| ()).unwrap_err().code, Code::PANIC);
    let refused = filter(init(), |_| -> Result<Plain> { Err(PluginError::config("no")) });
    assert_eq!(refused.map(|_| ()).unwrap_err().code, Code::CONFIG);
}
