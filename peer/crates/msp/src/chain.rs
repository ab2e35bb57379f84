//! Certification chains, built as Go's `x509.Verify` builds them: up to the roots through the intermediates, at
//! the moment one second after the certificate's own beginning. Expiry of an identity is deliberately not a
//! question here (the expiration filter asks it).

use std::sync::Arc;

use crate::certificate::Certificate;

/// Most signatures checked while building the chains of one certificate (Go's own limit).
const MAX_SIGNATURE_CHECKS: usize = 100;

/// Why no chain leads from a certificate to a root. The texts are Go's.
#[derive(Debug, thiserror::Error)]
pub enum X509Error {
    /// No parent among the known CAs signed it.
    #[error("x509: certificate signed by unknown authority")]
    UnknownAuthority,
    /// Outside the validity period.
    #[error("x509: certificate has expired or is not yet valid")]
    Expired,
    /// A parent is not a CA.
    #[error("x509: certificate is not authorized to sign other certificates")]
    NotAuthorizedToSign,
    /// More CAs below one than it allows.
    #[error("x509: too many intermediates for path length constraint")]
    TooManyIntermediates,
    /// A critical extension that nobody here understands.
    #[error("x509: unhandled critical extension")]
    UnhandledCriticalExtension,
    /// The extended key usages exclude authentication.
    #[error("x509: certificate specifies an incompatible key usage")]
    IncompatibleUsage,
    /// A CA restricts names, which this peer does not evaluate and therefore refuses.
    #[error("x509: name constraints are not supported")]
    NameConstraints,
    /// Too many candidate parents.
    #[error("x509: signature check attempts limit reached while verifying certificate chain")]
    TooManyChecks,
}

/// Why a certificate has no usable chain in an MSP. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// No chain at all.
    #[error("the supplied identity is not valid")]
    NotValid(#[source] X509Error),
    /// More than one chain: unclear who owns the identity.
    #[error("this MSP only supports a single validation chain, got {0}")]
    NotUnique(usize),
    /// The certificate is a root itself.
    #[error("expected a chain of length at least 2, got {0}")]
    TooShort(usize),
    /// The issuing CA has issued CAs as well.
    #[error("invalid validation chain. Parent certificate should be a leaf of the certification tree")]
    ParentNotLeaf,
    /// A CA cannot act.
    #[error(
        "An X509 certificate with Basic Constraint: Certificate Authority equals true cannot be used as an identity"
    )]
    CaAsIdentity,
}

/// The CAs of an MSP.
#[derive(Debug, Default)]
pub(crate) struct CaPool {
    pub(crate) roots: Vec<Arc<Certificate>>,
    pub(crate) intermediates: Vec<Arc<Certificate>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Intermediate,
    Root,
}

/// One search: the moment it is made for, what it may still cost and what it found.
struct Search {
    now: i64,
    checks: usize,
    chains: Vec<Vec<Arc<Certificate>>>,
    failure: X509Error,
}

impl CaPool {
    /// The CAs above a certificate, nearest first; empty when the certificate is a root itself.
    pub(crate) fn parents(&self, certificate: &Certificate) -> Result<Vec<Arc<Certificate>>, ChainError> {
        let now = certificate.not_before.saturating_add(1);
        check_leaf(certificate, now).map_err(ChainError::NotValid)?;
        if self.roots.iter().any(|root| root.der() == certificate.der()) {
            return Ok(Vec::new());
        }
        let mut search = Search {
            now,
            checks: 0,
            chains: Vec::new(),
            failure: X509Error::UnknownAuthority,
        };
        self.extend(&mut search, certificate, &mut Vec::new());
        let found = search.chains.len();
        match search.chains.pop() {
            None => Err(ChainError::NotValid(search.failure)),
            Some(chain) if found == 1 => Ok(chain),
            Some(_) => Err(ChainError::NotUnique(found)),
        }
    }

    /// Tries every CA as the next parent. The depth is limited because no CA occurs twice in a chain.
    fn extend(&self, search: &mut Search, leaf: &Certificate, chain: &mut Vec<Arc<Certificate>>) {
        let roots = self.roots.iter().map(|root| (root, Position::Root));
        let intermediates = self.intermediates.iter().map(|ca| (ca, Position::Intermediate));
        for (candidate, position) in roots.chain(intermediates) {
            let child = chain.last().map_or(leaf, |last| last.as_ref());
            if child.issuer != candidate.subject || occurs(candidate, leaf, chain) {
                continue;
            }
            if search.checks >= MAX_SIGNATURE_CHECKS {
                search.failure = X509Error::TooManyChecks;
                return;
            }
            search.checks += 1;
            if !child.is_signed_by(candidate) {
                continue;
            }
            if let Err(error) = check_ca(candidate, chain.len(), search.now) {
                search.failure = error;
                continue;
            }
            chain.push(Arc::clone(candidate));
            match position {
                Position::Root => search.finish(leaf, chain),
                Position::Intermediate => self.extend(search, leaf, chain),
            }
            chain.pop();
        }
    }
}

impl Search {
    fn finish(&mut self, leaf: &Certificate, chain: &[Arc<Certificate>]) {
        let excluded = |certificate: &Certificate| certificate.extensions.usage_excluded;
        if excluded(leaf) || chain.iter().any(|ca| excluded(ca)) {
            self.failure = X509Error::IncompatibleUsage;
        } else {
            self.chains.push(chain.to_vec());
        }
    }
}

/// Whether a CA (by name, key and alternative names) is in the chain already.
fn occurs(candidate: &Certificate, leaf: &Certificate, chain: &[Arc<Certificate>]) -> bool {
    let same = |other: &Certificate| {
        candidate.subject == other.subject
            && candidate.public_key() == other.public_key()
            && candidate.extensions.alternative_names == other.extensions.alternative_names
    };
    same(leaf) || chain.iter().any(|ca| same(ca))
}

fn check_leaf(certificate: &Certificate, now: i64) -> Result<(), X509Error> {
    if certificate.extensions.unhandled_critical {
        return Err(X509Error::UnhandledCriticalExtension);
    }
    check_period(certificate, now)
}

fn check_period(certificate: &Certificate, now: i64) -> Result<(), X509Error> {
    if now < certificate.not_before || now > certificate.not_after {
        return Err(X509Error::Expired);
    }
    Ok(())
}

/// Checks a parent with `below` CAs between it and the leaf.
fn check_ca(ca: &Certificate, below: usize, now: i64) -> Result<(), X509Error> {
    check_leaf(ca, now)?;
    if ca.extensions.name_constraints {
        return Err(X509Error::NameConstraints);
    }
    let Some(constraints) = ca.extensions.constraints.filter(|constraints| constraints.ca) else {
        return Err(X509Error::NotAuthorizedToSign);
    };
    let most = constraints
        .path_length
        .and_then(|length| usize::try_from(length).ok());
    if most.is_some_and(|most| below > most) {
        return Err(X509Error::TooManyIntermediates);
    }
    Ok(())
}
