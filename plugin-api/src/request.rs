//! The view of a request that plugins get. The peer implements it, parsed once per request.
//!
//! Filters run before any check: when the proposal cannot be decoded the parsed facts are empty and only
//! [`RequestView::proposal_bytes`] and [`RequestView::signature`] say something.

#![allow(
    missing_docs,
    clippy::all,
    elided_lifetimes_in_paths,
    non_local_definitions,
    clippy::allow_attributes_without_reason,
    reason = "code that the sabi_trait macro generates"
)]

use crate::shared_bytes::SharedBytes;
use abi_stable::sabi_trait;
use abi_stable::std_types::{RArc, ROption, RSlice, RStr, RVec};

/// The facts of one signed proposal.
#[sabi_trait]
pub trait RequestView: Send + Sync + Clone {
    /// `SignedProposal.proposal_bytes`, exactly as received.
    fn proposal_bytes(&self) -> SharedBytes;
    /// `SignedProposal.signature`.
    fn signature(&self) -> SharedBytes;
    /// The channel, empty for a request without one.
    fn channel_id(&self) -> RStr<'_>;
    /// The transaction id as the client wrote it.
    fn tx_id(&self) -> RStr<'_>;
    /// The chaincode that the proposal addresses.
    fn chaincode_name(&self) -> RStr<'_>;
    /// The MSP id that the creator claims; not verified yet.
    fn msp_id(&self) -> RStr<'_>;
    /// The creator's `id_bytes` (PEM for X.509); not verified yet.
    fn creator_cert(&self) -> RSlice<'_, u8>;
    /// Address of the client, `host:port`, empty when unknown.
    fn remote_addr(&self) -> RStr<'_>;
    /// When the client stops waiting, in milliseconds since 1970; 0 = it did not say.
    fn deadline_unix_ms(&self) -> u64;
    /// Further facts by name: `tls.peer-cert` (DER), `trace.parent` (W3C), `grpc.metadata.NAME` (a header that the
    /// client sent, such as `grpc.metadata.authorization`; decoded when NAME ends with `-bin`), and what filters
    /// before this one have said with [`RequestView::set_attr`].
    #[sabi(last_prefix_field)]
    fn attr(&self, key: RStr<'_>) -> ROption<SharedBytes>;
    /// Says something about the request to the filters that come later, to every `after` hook and to decorators. A
    /// client cannot set such a fact. False when it was not taken: the name begins with one of the peer's own
    /// (`tls.`, `trace.`, `grpc.`) or is empty, a limit is passed (64 facts, names of 100 and values of 65536 bytes),
    /// or the peer knows API 1.0 only. A later value goes before a former one.
    fn set_attr(&self, _key: RStr<'_>, _value: RVec<u8>) -> bool {
        false
    }
}

/// A request as plugins hold it; cloning counts a reference.
pub type Request = RequestView_TO<'static, RArc<()>>;
