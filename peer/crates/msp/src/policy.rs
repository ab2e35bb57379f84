//! Signature policies: which identities must have signed.

mod builder;
mod evaluate;
mod text;

pub use builder::{
    accept_all, n_out_of, reject_all, signed_by, signed_by_any_admin, signed_by_any_member,
    signed_by_any_peer, signed_by_msp_admin, signed_by_msp_member, signed_by_n_out_of_role,
};
pub use evaluate::{CompileError, PolicyError, SignaturePolicy, valid_identities};
pub use text::{PolicyTextError, from_string};
