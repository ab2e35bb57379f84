//! Whether an identity satisfies a principal: a role, a unit, one identity, or several at once.

use std::sync::Arc;

use prost::Message;
use protos::msp::msp_principal::Classification;
use protos::msp::msp_role::MspRoleType;
use protos::msp::{CombinedPrincipal, MspPrincipal, MspRole, OrganizationUnit};

use crate::identity::{DeserializeError, Identity};
use crate::msp::RoleError;
use crate::validate::ValidateError;

/// Most principals inside combined principals: real ones combine two or three.
const MAX_COMBINED: usize = 64;

/// Deepest nesting of combined principals.
const MAX_COMBINED_DEPTH: usize = 8;

/// Why an identity does not satisfy a principal. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum PrincipalError {
    /// The principal does not decode, or is of a kind that X.509 identities never satisfy.
    #[error("{0}")]
    Unusable(String),
    /// A role or unit of another organisation.
    #[error("the identity is a member of a different MSP (expected {expected}, got {got})")]
    OtherMsp {
        /// The principal's MSP.
        expected: String,
        /// The identity's MSP.
        got: String,
    },
    /// Not a valid member.
    #[error(transparent)]
    NotMember(Arc<ValidateError>),
    /// Not a valid member, so it has no role either.
    #[error("The identity is not valid under this MSP [{msp}]")]
    NotValid {
        /// The MSP.
        msp: String,
        /// Why not.
        #[source]
        source: Arc<ValidateError>,
    },
    /// Not a listed admin.
    #[error("This identity is not an admin")]
    NotListedAdmin,
    /// A valid member without the role.
    #[error("The identity is not {role} under this MSP [{msp}]")]
    WithoutRole {
        /// The role with its article.
        role: &'static str,
        /// The MSP.
        msp: String,
        /// Why not.
        #[source]
        source: RoleError,
    },
    /// The principal names an identity that cannot be read.
    #[error("invalid identity principal, not a certificate")]
    PrincipalIdentity(#[source] DeserializeError),
    /// Another identity, or none of its units.
    #[error("The identities do not match")]
    NoMatch,
}

/// `msp.MSPIdentityAnonymity`: whether the identity may be anonymous.
#[derive(Clone, PartialEq, Message)]
struct IdentityAnonymity {
    /// NOMINAL 0, ANONYMOUS 1.
    #[prost(int32, tag = "1")]
    anonymity_type: i32,
}

/// Checks an identity against a principal without looking at what it remembers.
pub(crate) fn satisfies(identity: &Identity, principal: &MspPrincipal) -> Result<(), PrincipalError> {
    let mut single = Vec::new();
    collect(principal, MAX_COMBINED_DEPTH, &mut single)?;
    single
        .iter()
        .try_for_each(|principal| satisfies_single(identity, principal))
}

/// Flattens combined principals.
fn collect(
    principal: &MspPrincipal,
    depth: usize,
    out: &mut Vec<MspPrincipal>,
) -> Result<(), PrincipalError> {
    if principal.principal_classification() != Classification::Combined {
        out.push(principal.clone());
        return Ok(());
    }
    let combined = CombinedPrincipal::decode(principal.principal.clone())
        .map_err(|error| unusable("could not unmarshal CombinedPrincipal from principal", &error))?;
    if combined.principals.is_empty() {
        return Err(PrincipalError::Unusable(
            "No principals in CombinedPrincipal".into(),
        ));
    }
    let Some(depth) = depth.checked_sub(1) else {
        return Err(PrincipalError::Unusable(
            "CombinedPrincipal is nested too deeply".into(),
        ));
    };
    for principal in &combined.principals {
        if out.len() >= MAX_COMBINED {
            return Err(PrincipalError::Unusable(
                "CombinedPrincipal has too many principals".into(),
            ));
        }
        collect(principal, depth, out)?;
    }
    Ok(())
}

fn satisfies_single(identity: &Identity, principal: &MspPrincipal) -> Result<(), PrincipalError> {
    let bytes = principal.principal.clone();
    match Classification::try_from(principal.principal_classification) {
        Ok(Classification::Role) => {
            let role = MspRole::decode(bytes)
                .map_err(|error| unusable("could not unmarshal MSPRole from principal", &error))?;
            has_role(identity, &role)
        }
        Ok(Classification::OrganizationUnit) => {
            let unit = OrganizationUnit::decode(bytes)
                .map_err(|error| unusable("could not unmarshal OrganizationUnit from principal", &error))?;
            has_unit(identity, &unit)
        }
        Ok(Classification::Identity) => {
            let expected = identity
                .msp()
                .deserialize(&bytes)
                .map_err(PrincipalError::PrincipalIdentity)?;
            if expected.certificate().der() != identity.certificate().der() {
                return Err(PrincipalError::NoMatch);
            }
            identity.validate().map_err(PrincipalError::NotMember)
        }
        Ok(Classification::Anonymity) => is_nominal(bytes),
        Ok(Classification::Combined) | Err(_) => Err(PrincipalError::Unusable(format!(
            "invalid principal type {}",
            principal.principal_classification
        ))),
    }
}

fn is_nominal(bytes: bytes::Bytes) -> Result<(), PrincipalError> {
    let anonymity = IdentityAnonymity::decode(bytes)
        .map_err(|error| unusable("could not unmarshal MSPIdentityAnonymity from principal", &error))?;
    match anonymity.anonymity_type {
        0 => Ok(()),
        1 => Err(PrincipalError::Unusable(
            "Principal is anonymous, but X.509 MSP does not support anonymous identities".into(),
        )),
        other => Err(PrincipalError::Unusable(format!(
            "Unknown principal anonymity type: {other}"
        ))),
    }
}

fn has_role(identity: &Identity, role: &MspRole) -> Result<(), PrincipalError> {
    check_msp(identity, &role.msp_identifier)?;
    let msp = identity.msp();
    let node_ous = msp.node_ous.is_some();
    match MspRoleType::try_from(role.role) {
        Ok(MspRoleType::Member) => identity.validate().map_err(PrincipalError::NotMember),
        Ok(MspRoleType::Admin) if msp.is_listed_admin(identity.certificate()) => Ok(()),
        Ok(MspRoleType::Admin) if !node_ous => Err(PrincipalError::NotListedAdmin),
        Ok(MspRoleType::Admin) => has_unit_of_role(identity, MspRoleType::Admin, "an admin"),
        Ok(MspRoleType::Client) => has_unit_of_role(identity, MspRoleType::Client, "a [CLIENT]"),
        Ok(MspRoleType::Peer) => has_unit_of_role(identity, MspRoleType::Peer, "a [PEER]"),
        Ok(MspRoleType::Orderer) if node_ous => {
            has_unit_of_role(identity, MspRoleType::Orderer, "a [ORDERER]")
        }
        Ok(MspRoleType::Orderer) | Err(_) => Err(PrincipalError::Unusable(format!(
            "invalid MSP role type {}",
            role.role
        ))),
    }
}

fn has_unit_of_role(
    identity: &Identity,
    role: MspRoleType,
    text: &'static str,
) -> Result<(), PrincipalError> {
    let msp = identity.msp();
    identity.validate().map_err(|source| PrincipalError::NotValid {
        msp: msp.id.to_string(),
        source,
    })?;
    let checked = msp.check_role(identity.units().as_ref(), role);
    checked.map_err(|source| PrincipalError::WithoutRole {
        role: text,
        msp: msp.id.to_string(),
        source,
    })
}

fn has_unit(identity: &Identity, unit: &OrganizationUnit) -> Result<(), PrincipalError> {
    check_msp(identity, &unit.msp_identifier)?;
    identity.validate().map_err(PrincipalError::NotMember)?;
    let fits = identity.units().is_some_and(|units| {
        units.names.contains(&unit.organizational_unit_identifier)
            && units.certifiers.as_slice() == unit.certifiers_identifier.as_ref()
    });
    if fits {
        Ok(())
    } else {
        Err(PrincipalError::NoMatch)
    }
}

fn check_msp(identity: &Identity, expected: &str) -> Result<(), PrincipalError> {
    if **identity.msp_id() == *expected {
        return Ok(());
    }
    Err(PrincipalError::OtherMsp {
        expected: expected.to_owned(),
        got: identity.msp_id().to_string(),
    })
}

fn unusable(text: &str, error: &prost::DecodeError) -> PrincipalError {
    PrincipalError::Unusable(format!("{text}: {error}"))
}

/// The principal that a role of an MSP is.
#[must_use]
pub fn role_principal(msp_id: &str, role: MspRoleType) -> MspPrincipal {
    let role = MspRole {
        msp_identifier: msp_id.to_owned(),
        role: role.into(),
    };
    MspPrincipal {
        principal_classification: Classification::Role.into(),
        principal: role.encode_to_vec().into(),
    }
}
