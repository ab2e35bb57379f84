//! [`Decorator`]: changes the chaincode input between the proposal and the chaincode.

#![allow(
    missing_docs,
    clippy::all,
    elided_lifetimes_in_paths,
    non_local_definitions,
    clippy::allow_attributes_without_reason,
    reason = "code that the sabi_trait macro generates"
)]

use crate::error::{Res, Result};
use crate::guard::{Instance, guard};
use crate::request::Request;
use abi_stable::erased_types::TD_Opaque;
use abi_stable::sabi_trait;
use abi_stable::sabi_types::RMut;
use abi_stable::std_types::{RBox, ROption, RSlice, RStr, RVec};

/// The chaincode input under decoration; the peer's object, borrowed for one call. The peer takes the
/// edits over only when the decorator returns `Ok`.
#[sabi_trait]
pub trait InputEditor {
    /// How many arguments there are.
    fn args_len(&self) -> usize;
    /// The argument at `index`, empty past the end.
    fn arg(&self, index: usize) -> RSlice<'_, u8>;
    /// Replaces the argument at `index`; an index past the end fails the proposal.
    fn set_arg(&mut self, index: usize, value: RVec<u8>);
    /// Appends an argument.
    fn push_arg(&mut self, value: RVec<u8>);
    /// Keeps the first `len` arguments.
    fn truncate_args(&mut self, len: usize);
    /// A decoration that an earlier decorator has set.
    fn decoration(&self, key: RStr<'_>) -> ROption<RSlice<'_, u8>>;
    /// Whether this is an init call.
    fn is_init(&self) -> bool;
    /// Sets a decoration, which the chaincode reads with `GetDecorations`.
    #[sabi(last_prefix_field)]
    fn set_decoration(&mut self, key: RStr<'_>, value: RVec<u8>);
    /// The whole input as it is now, an encoded `ChaincodeInput`; nothing if the peer knows API 1.0 only.
    fn encoded(&self) -> RVec<u8> {
        RVec::new()
    }
}

/// The editor as decorators get it.
pub type Editor<'a> = InputEditor_TO<'a, RMut<'a, ()>>;

/// The border's side of decorators. Authors write [`Decorator`] instead.
#[sabi_trait]
pub trait InputDecorator: Send + Sync {
    /// Edits the input of one proposal.
    #[sabi(last_prefix_field)]
    fn decorate<'a>(&self, request: &Request, input: InputEditor_TO<'a, RMut<'a, ()>>) -> Res<()>;
}

/// A decorator as the peer holds it.
pub type DecoratorObject = InputDecorator_TO<'static, RBox<()>>;

/// Changes the input of a chaincode call: its arguments, or the decorations that the chaincode can read.
/// Decorations that the client sent are gone by then.
pub trait Decorator: Send + Sync + 'static {
    /// Edits the input of one proposal; an error fails the proposal.
    fn decorate(&self, request: &Request, input: &mut Editor<'_>) -> Result<()>;
}

struct DecoratorAdapter<T>(Instance<T>);

/// Puts an author's decorator behind the border.
pub fn decorator_object<T: Decorator>(decorator: T) -> DecoratorObject {
    InputDecorator_TO::from_value(DecoratorAdapter(Instance::new(decorator)), TD_Opaque)
}

impl<T: Decorator> InputDecorator for DecoratorAdapter<T> {
    fn decorate<'a>(&self, request: &Request, mut input: Editor<'a>) -> Res<()> {
        guard(|| self.0.get().decorate(request, &mut input))
    }
}
