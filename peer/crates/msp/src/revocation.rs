//! Certificate revocation lists of an MSP.

use std::collections::HashSet;

use bytes::Bytes;
use x509_parser::oid_registry;
use x509_parser::prelude::{FromDer, ParsedExtension};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::certificate::{Certificate, significant};
use crate::public_key::SignatureAlgorithm;

/// Why bytes are not a revocation list.
#[derive(Debug, thiserror::Error)]
#[error("could not parse RevocationList: {0}")]
pub struct RevocationListError(String);

/// One revocation list.
#[derive(Debug)]
pub(crate) struct RevocationList {
    /// The key id of the CA it speaks for, empty where the list names its CA by other means: such a list matches no
    /// CA. `None` without any name, or with an unreadable one.
    authority: Option<Bytes>,
    serials: HashSet<Bytes>,
    signed: Bytes,
    signature: Bytes,
    algorithm: SignatureAlgorithm,
}

/// What a list says about a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Silent,
    /// It is revoked.
    Revoked,
    /// The list does not name its authority, so nobody can tell.
    NoAuthority,
}

impl RevocationList {
    /// Parses PEM or DER.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, RevocationListError> {
        let der = match pem::parse(bytes) {
            Ok(block) => block.into_contents(),
            Err(_) => bytes.to_vec(),
        };
        let (_, list) = CertificateRevocationList::from_der(&der)
            .map_err(|error| RevocationListError(error.to_string()))?;
        let authority = list
            .extensions()
            .iter()
            .find(|extension| extension.oid == oid_registry::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER)
            .and_then(|extension| match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    Some(id.key_identifier.as_ref().map_or(&[][..], |id| id.0))
                }
                _ => None,
            });
        let serials = list
            .iter_revoked_certificates()
            .map(|revoked| significant(revoked.raw_serial()));
        Ok(Self {
            authority: authority.map(Bytes::copy_from_slice),
            serials: serials.map(Bytes::copy_from_slice).collect(),
            signed: Bytes::copy_from_slice(list.tbs_cert_list.as_ref()),
            signature: Bytes::copy_from_slice(&list.signature_value.data),
            algorithm: SignatureAlgorithm::of(&list.signature_algorithm.algorithm),
        })
    }

    /// What the list says about a certificate that `issuer` signed. A list that the issuer itself did not sign
    /// says nothing.
    pub(crate) fn verdict(&self, certificate: &Certificate, issuer: &Certificate) -> Verdict {
        let Some(authority) = &self.authority else {
            return Verdict::NoAuthority;
        };
        if Some(authority) != issuer.extensions.subject_key_id.as_ref()
            || !self.serials.contains(&certificate.serial)
        {
            return Verdict::Silent;
        }
        if issuer.signed(self.algorithm, &self.signed, &self.signature) {
            return Verdict::Revoked;
        }
        tracing::warn!(
            issuer = issuer.subject(),
            "revocation list is not signed by the CA it names"
        );
        Verdict::Silent
    }
}
