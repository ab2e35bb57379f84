//! The kinds that C plugins may have, as the peer knows them from any other plugin.

use super::calls::{Carried, Decision};
use super::instance::Instance;
use abi_stable::erased_types::TD_Opaque;
use abi_stable::std_types::RVec;
use async_ffi::{FfiFuture, FutureExt};
use bytes::Bytes;
use futures::channel::oneshot::Receiver;
use plugin_api::{
    Action, AuthFilter, AuthFilter_TO, AuthFilterObject, Before, Code, DecoratorObject, Editor, Ext,
    InputDecorator, InputDecorator_TO, PluginError, Request, Res, Result, SharedBytes, State,
};
use prost::Message;
use protos::peer::ChaincodeInput;
use std::sync::Arc;

struct Filter(Arc<Instance>);

/// The instance as an auth filter.
pub(super) fn filter(instance: Arc<Instance>) -> Result<AuthFilterObject> {
    if !instance.is_filter() {
        return Err(missing("before"));
    }
    Ok(AuthFilter_TO::from_value(Filter(instance), TD_Opaque))
}

fn missing(function: &str) -> PluginError {
    let text = format!("the manifest names the kind, and fabric_peer_plugin_create left {function} NULL");
    PluginError::new(Code::INTERNAL, text)
}

async fn decided(answered: Receiver<Decision>) -> Result<Decision> {
    let gone = |_dropped| PluginError::new(Code::INTERNAL, "the call is gone");
    answered.await.map_err(gone)
}

fn before_of(decision: Decision) -> Result<Before> {
    let (action, state, response) = match decision {
        Decision::Continue => (Action::CONTINUE, None, RVec::new()),
        Decision::ThenAfter(carried) => (Action::CONTINUE, Some(carried), RVec::new()),
        Decision::Respond(bytes) => (Action::RESPOND, None, RVec::from(bytes.as_ref())),
        Decision::Reject(error) => return Err(error),
    };
    Ok(Before {
        action,
        wants_after: state.is_some(),
        state: state.map_or_else(State::empty, State::new),
        response,
        ext: Ext::new(),
    })
}

impl AuthFilter for Filter {
    fn before(&self, request: Request) -> FfiFuture<Res<Before>> {
        let instance = Arc::clone(&self.0);
        let hook = async move {
            let answered = instance.before(&request)?;
            decided(answered).await.and_then(before_of)
        };
        into_res(hook)
    }

    fn after(
        &self,
        request: Request,
        state: State,
        outcome: Res<SharedBytes>,
    ) -> FfiFuture<Res<SharedBytes>> {
        let instance = Arc::clone(&self.0);
        let hook = async move {
            let carried = state
                .take::<Carried>()
                .ok_or_else(|| PluginError::new(Code::INTERNAL, "not a state of this plugin"))?;
            let answered = instance.after(&request, carried, outcome.clone())?;
            match decided(answered).await? {
                Decision::Continue => outcome.into_result(),
                Decision::Respond(bytes) => Ok(SharedBytes::from_owner(bytes)),
                Decision::Reject(error) => Err(error),
                Decision::ThenAfter(_) => Err(PluginError::new(
                    Code::INTERNAL,
                    "plugin answered something unknown",
                )),
            }
        };
        into_res(hook)
    }
}

fn into_res<T: Send + 'static>(hook: impl Future<Output = Result<T>> + Send + 'static) -> FfiFuture<Res<T>> {
    async move { Res::from(hook.await) }.into_ffi()
}

struct Decorator(Arc<Instance>);

/// The instance as a decorator.
pub(super) fn decorator(instance: Arc<Instance>) -> Result<DecoratorObject> {
    if !instance.is_decorator() {
        return Err(missing("decorate"));
    }
    Ok(InputDecorator_TO::from_value(Decorator(instance), TD_Opaque))
}

impl Decorator {
    fn run(&self, request: &Request, input: &mut Editor<'_>) -> Result<()> {
        let encoded = input.encoded();
        match self.0.decorate(request, &encoded)? {
            Decision::Continue => Ok(()),
            Decision::Reject(error) => Err(error),
            Decision::Respond(bytes) => edit(&encoded, bytes.as_ref(), input),
            Decision::ThenAfter(_) => Err(PluginError::new(
                Code::INTERNAL,
                "plugin answered something unknown",
            )),
        }
    }
}

impl InputDecorator for Decorator {
    fn decorate<'a>(&self, request: &Request, mut input: Editor<'a>) -> Res<()> {
        Res::from(self.run(request, &mut input))
    }
}

/// Turns the difference between two inputs into edits.
fn edit(before: &[u8], after: &[u8], input: &mut Editor<'_>) -> Result<()> {
    let unusable = |what: String| PluginError::new(Code::INTERNAL, format!("plugin answered {what}"));
    // copied once: the arguments are parts of it
    let decoded = |bytes: &[u8]| ChaincodeInput::decode(Bytes::copy_from_slice(bytes));
    let before = decoded(before).map_err(|error| unusable(error.to_string()))?;
    let after = decoded(after).map_err(|error| unusable(format!("no ChaincodeInput: {error}")))?;
    if before.is_init != after.is_init {
        return Err(unusable("another is_init".to_owned()));
    }
    input.truncate_args(after.args.len());
    for (at, arg) in after.args.into_iter().enumerate() {
        match before.args.get(at) {
            Some(former) if *former == arg => {}
            Some(_) => input.set_arg(at, arg.as_ref().into()),
            None => input.push_arg(arg.as_ref().into()),
        }
    }
    for (key, value) in &after.decorations {
        if before.decorations.get(key) != Some(value) {
            input.set_decoration(key.as_str().into(), value.as_ref().into());
        }
    }
    Ok(())
}
