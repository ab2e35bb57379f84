//! [`AuthFilter`]: the border's side of auth filters. Authors write [`crate::Filter`] or
//! [`crate::Around`] instead.

#![allow(
    missing_docs,
    clippy::all,
    elided_lifetimes_in_paths,
    non_local_definitions,
    clippy::allow_attributes_without_reason,
    reason = "code that the sabi_trait macro generates"
)]

use crate::error::{Ext, Res};
use crate::request::Request;
use crate::shared_bytes::SharedBytes;
use crate::state::State;
use abi_stable::StableAbi;
use abi_stable::sabi_trait;
use abi_stable::std_types::{RBox, RVec};
use async_ffi::FfiFuture;

/// What happens after `before`.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, PartialEq, Eq, Debug)]
pub struct Action(pub u32);

impl Action {
    /// The next filter, and then the endorser.
    pub const CONTINUE: Self = Self(0);
    /// Nothing further: [`Before::response`] is the answer.
    pub const RESPOND: Self = Self(1);
}

/// Answer of `before`.
#[repr(C)]
#[derive(StableAbi)]
pub struct Before {
    /// What happens next.
    pub action: Action,
    /// Whether `after` is to be called.
    pub wants_after: bool,
    /// What `after` gets back.
    pub state: State,
    /// The encoded `ProposalResponse`, only with [`Action::RESPOND`].
    pub response: RVec<u8>,
    /// Room for later.
    pub ext: Ext,
}

/// An auth filter.
#[sabi_trait]
pub trait AuthFilter: Send + Sync {
    /// Called in the configured order; an error ends the request.
    fn before(&self, request: Request) -> FfiFuture<Res<Before>>;
    /// Called in reverse order for those that asked, also when the endorser or a later filter failed.
    /// `outcome` is an encoded `ProposalResponse`.
    #[sabi(last_prefix_field)]
    fn after(&self, request: Request, state: State, outcome: Res<SharedBytes>)
    -> FfiFuture<Res<SharedBytes>>;
}

/// An auth filter as the peer holds it.
pub type AuthFilterObject = AuthFilter_TO<'static, RBox<()>>;
