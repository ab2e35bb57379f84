//! Signature policies made by the program, encoded as Fabric's policydsl does.

use protos::common::signature_policy::{NOutOf, Type};
use protos::common::{SignaturePolicy, SignaturePolicyEnvelope};
use protos::msp::msp_role::MspRoleType;

use crate::principal::role_principal;

/// A rule: one signature by the principal at `index`.
#[must_use]
pub fn signed_by(index: i32) -> SignaturePolicy {
    SignaturePolicy {
        r#type: Some(Type::SignedBy(index)),
    }
}

/// A rule: at least `n` of `rules` hold.
#[must_use]
pub fn n_out_of(n: i32, rules: Vec<SignaturePolicy>) -> SignaturePolicy {
    SignaturePolicy {
        r#type: Some(Type::NOutOf(NOutOf { n, rules })),
    }
}

/// A policy that anything satisfies.
#[must_use]
pub fn accept_all() -> SignaturePolicyEnvelope {
    without_identities(0)
}

/// A policy that nothing satisfies.
#[must_use]
pub fn reject_all() -> SignaturePolicyEnvelope {
    without_identities(1)
}

fn without_identities(n: i32) -> SignaturePolicyEnvelope {
    SignaturePolicyEnvelope {
        version: 0,
        rule: Some(n_out_of(n, Vec::new())),
        identities: Vec::new(),
    }
}

/// A policy: `n` signatures by different organisations, each of the role. The ids are sorted first.
#[must_use]
pub fn signed_by_n_out_of_role(n: i32, role: MspRoleType, msp_ids: &[&str]) -> SignaturePolicyEnvelope {
    let mut sorted = msp_ids.to_vec();
    sorted.sort_unstable();
    SignaturePolicyEnvelope {
        version: 0,
        rule: Some(n_out_of(n, (0..).take(sorted.len()).map(signed_by).collect())),
        identities: sorted.iter().map(|id| role_principal(id, role)).collect(),
    }
}

/// A policy: one signature by a member of any of the organisations.
#[must_use]
pub fn signed_by_any_member(msp_ids: &[&str]) -> SignaturePolicyEnvelope {
    signed_by_n_out_of_role(1, MspRoleType::Member, msp_ids)
}

/// A policy: one signature by an admin of any of the organisations.
#[must_use]
pub fn signed_by_any_admin(msp_ids: &[&str]) -> SignaturePolicyEnvelope {
    signed_by_n_out_of_role(1, MspRoleType::Admin, msp_ids)
}

/// A policy: one signature by a peer of any of the organisations.
#[must_use]
pub fn signed_by_any_peer(msp_ids: &[&str]) -> SignaturePolicyEnvelope {
    signed_by_n_out_of_role(1, MspRoleType::Peer, msp_ids)
}

/// A policy: one signature by a member of the organisation.
#[must_use]
pub fn signed_by_msp_member(msp_id: &str) -> SignaturePolicyEnvelope {
    signed_by_any_member(&[msp_id])
}

/// A policy: one signature by an admin of the organisation.
#[must_use]
pub fn signed_by_msp_admin(msp_id: &str) -> SignaturePolicyEnvelope {
    signed_by_any_admin(&[msp_id])
}
