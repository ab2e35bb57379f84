//! Whether a certificate is a valid member of an MSP.

use std::sync::Arc;

use crate::certificate::Certificate;
use crate::chain::ChainError;
use crate::msp::{Msp, certifiers_identifier};
use crate::organizational_units::{UnitError, Units, check_recognised};
use crate::revocation::Verdict;

/// Why an identity is not valid. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// No usable chain to a root.
    #[error("could not obtain certification chain")]
    Chain(#[source] ChainError),
    /// Revoked, or nobody can tell.
    #[error("could not validate identity against certification chain")]
    Revocation(#[source] RevocationError),
    /// The units do not fit.
    #[error("could not validate identity's OUs")]
    Units(#[source] UnitError),
}

/// What the revocation lists say against a certificate.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// A list names it.
    #[error("The certificate has been revoked")]
    Revoked,
    /// A list does not say whose it is.
    #[error(
        "could not obtain Authority Key Identifier for crl: authorityKeyIdentifier not found in certificate"
    )]
    NoAuthority,
    /// The issuing CA has no key id to look lists up by.
    #[error(
        "could not obtain Subject Key Identifier for signer cert: subjectKeyIdentifier not found in certificate"
    )]
    NoSubjectKeyId,
}

/// Checks chain, revocation and units of a sanitised certificate.
pub(crate) fn validate(msp: &Msp, certificate: &Certificate) -> Result<(), ValidateError> {
    let chain = msp
        .certification_chain(certificate)
        .map_err(ValidateError::Chain)?;
    check_revocation(msp, certificate, &chain).map_err(ValidateError::Revocation)?;
    let units = Units {
        names: certificate.organizational_units().to_vec(),
        certifiers: certifiers_identifier(&chain),
    };
    check_units(msp, &units).map_err(ValidateError::Units)
}

fn check_revocation(
    msp: &Msp,
    certificate: &Certificate,
    chain: &[Arc<Certificate>],
) -> Result<(), RevocationError> {
    let Some(issuer) = chain.first() else {
        return Ok(());
    };
    if issuer.extensions.subject_key_id.is_none() {
        return Err(RevocationError::NoSubjectKeyId);
    }
    for list in &msp.revocation_lists {
        match list.verdict(certificate, issuer) {
            Verdict::Silent => {}
            Verdict::Revoked => return Err(RevocationError::Revoked),
            Verdict::NoAuthority => return Err(RevocationError::NoAuthority),
        }
    }
    Ok(())
}

fn check_units(msp: &Msp, units: &Units) -> Result<(), UnitError> {
    check_recognised(&msp.recognised_units, units, &msp.id)?;
    match &msp.node_ous {
        Some(node_ous) => node_ous.check(units, &msp.id),
        None => Ok(()),
    }
}
