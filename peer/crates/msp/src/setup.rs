//! Building an MSP from its configuration, in Fabric's order.

use std::collections::HashSet;
use std::sync::Arc;

use aws_lc_rs::digest::{Algorithm, SHA3_256, SHA256};
use bytes::Bytes;
use protos::msp::msp_role::MspRoleType;
use protos::msp::{FabricCryptoConfig, FabricMspConfig, FabricOuIdentifier};

use crate::certificate::{Certificate, CertificateError};
use crate::chain::{CaPool, ChainError};
use crate::identity::issued;
use crate::msp::{Admins, Msp, RoleError, certifiers_identifier};
use crate::organizational_units::{CertifiersIdentifier, NodeOus, OuIdentifier, Units};
use crate::revocation::{RevocationList, RevocationListError, Verdict};
use crate::validate::{ValidateError, validate};

/// Why an MSP configuration is refused. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Not an X.509 MSP.
    #[error("Setup error: unsupported msp type {0}")]
    UnsupportedType(i32),
    /// The configuration does not decode.
    #[error("failed unmarshalling fabric msp config")]
    Undecodable(#[source] prost::DecodeError),
    /// There is no root CA.
    #[error("expected at least one CA certificate")]
    NoCa,
    /// A certificate of the configuration is not one.
    #[error("getCertFromPem error: failed to parse x509 cert")]
    Certificate(#[from] CertificateError),
    /// A CA certificate breaks a rule.
    #[error("CA Certificate {problem}, (SN: {serial})")]
    Ca {
        /// What is wrong.
        problem: &'static str,
        /// The serial number of the certificate.
        serial: String,
        /// Why, when the chain is the problem.
        #[source]
        source: Option<ChainError>,
    },
    /// A revocation list does not parse.
    #[error(transparent)]
    RevocationList(#[from] RevocationListError),
    /// A unit names a CA that is not of this MSP.
    #[error("Failed adding OU [{0}]. Certificate not in root or intermediate certs.")]
    UnitCa(String),
    /// A hash that nobody here computes.
    #[error("hash family not recognized [{0}]")]
    HashFamily(String),
    /// Nobody is admin.
    #[error("administrators must be declared when no admin ou classification is set")]
    NoAdmins,
    /// A listed admin is not a member.
    #[error("admin {index} is invalid")]
    AdminNotValid {
        /// Its place in the list.
        index: usize,
        /// Why.
        #[source]
        source: ValidateError,
    },
    /// A listed admin is neither client nor admin by its units.
    #[error("admin {index} is invalid [{client},{admin}]")]
    AdminRole {
        /// Its place in the list.
        index: usize,
        /// Why it is no client.
        client: RoleError,
        /// Why it is no admin.
        admin: RoleError,
    },
}

impl Msp {
    /// Builds an MSP from its configuration.
    ///
    /// # Errors
    /// When the configuration breaks a rule of MSP version 1.4.3.
    pub fn from_config(config: &FabricMspConfig, admins: Admins) -> Result<Self, SetupError> {
        let mut msp = Self {
            id: config.name.as_str().into(),
            signature_hash: signature_hash(config.crypto_config.as_ref())?,
            cas: ca_pool(&config.root_certs, &config.intermediate_certs)?,
            internal_nodes: HashSet::new(),
            revocation_lists: revocation_lists(&config.revocation_list)?,
            recognised_units: std::collections::BTreeMap::new(),
            node_ous: None,
            admins: Vec::new(),
            tls_root_certs: config.tls_root_certs.clone(),
            tls_intermediate_certs: config.tls_intermediate_certs.clone(),
        };
        check_cas(&msp.cas, &msp.revocation_lists)?;
        msp.internal_nodes = internal_nodes(&msp.cas)?;
        check_tls_cas(config)?;
        for unit in &config.organizational_unit_identifiers {
            let identifier = msp.unit_certifiers(unit)?;
            let known = msp
                .recognised_units
                .entry(unit.organizational_unit_identifier.clone())
                .or_default();
            if !known.contains(&identifier) {
                known.push(identifier);
            }
        }
        msp.node_ous = msp.read_node_ous(config)?;
        msp.read_admins(config, admins)?;
        Ok(msp)
    }

    fn read_node_ous(&self, config: &FabricMspConfig) -> Result<Option<NodeOus>, SetupError> {
        let Some(node_ous) = &config.fabric_node_ous else {
            return Ok(None);
        };
        let read = |unit: &Option<FabricOuIdentifier>| -> Result<Option<OuIdentifier>, SetupError> {
            unit.as_ref().map(|unit| self.node_ou(unit)).transpose()
        };
        let found = NodeOus {
            client: read(&node_ous.client_ou_identifier)?,
            peer: read(&node_ous.peer_ou_identifier)?,
            admin: read(&node_ous.admin_ou_identifier)?,
            orderer: read(&node_ous.orderer_ou_identifier)?,
        };
        Ok((node_ous.enable && !found.is_empty()).then_some(found))
    }

    fn node_ou(&self, unit: &FabricOuIdentifier) -> Result<OuIdentifier, SetupError> {
        let certifiers = match unit.certificate.is_empty() {
            true => None,
            false => Some(self.unit_certifiers(unit)?),
        };
        Ok(OuIdentifier {
            unit: unit.organizational_unit_identifier.clone(),
            certifiers,
        })
    }

    /// The part of the CA tree that a unit's certificate names.
    fn unit_certifiers(&self, unit: &FabricOuIdentifier) -> Result<CertifiersIdentifier, SetupError> {
        let unknown = || SetupError::UnitCa(unit.organizational_unit_identifier.clone());
        let certificate = sanitized_ca(Certificate::from_pem(&unit.certificate)?, &self.cas)?;
        let same = |ca: &&Arc<Certificate>| ca.der() == certificate.der();
        if let Some(root) = self.cas.roots.iter().find(same) {
            return Ok(certifiers_identifier(&[Arc::clone(root)]));
        }
        let intermediate = self.cas.intermediates.iter().find(same).ok_or_else(unknown)?;
        if self.internal_nodes.contains(intermediate.der()) {
            return Err(unknown());
        }
        let mut chain = vec![Arc::clone(intermediate)];
        chain.extend(self.cas.parents(intermediate).map_err(|source| SetupError::Ca {
            problem: "is not valid",
            serial: intermediate.serial_hex(),
            source: Some(source),
        })?);
        Ok(certifiers_identifier(&chain))
    }

    fn read_admins(&mut self, config: &FabricMspConfig, admins: Admins) -> Result<(), SetupError> {
        for (index, pem) in config.admins.iter().enumerate() {
            let certificate = Certificate::from_pem(pem)?;
            let (certificate, chain) =
                issued(self, certificate).map_err(|error| SetupError::AdminNotValid {
                    index,
                    source: ValidateError::Chain(error),
                })?;
            self.check_admin(index, &certificate, &chain)?;
            self.admins.push(certificate);
        }
        let by_unit = self
            .node_ous
            .as_ref()
            .is_some_and(|node_ous| node_ous.admin.is_some());
        if self.admins.is_empty() && !by_unit && admins == Admins::Required {
            return Err(SetupError::NoAdmins);
        }
        Ok(())
    }

    fn check_admin(
        &self,
        index: usize,
        certificate: &Certificate,
        chain: &[Arc<Certificate>],
    ) -> Result<(), SetupError> {
        if self.node_ous.is_none() {
            return validate(self, certificate).map_err(|source| SetupError::AdminNotValid { index, source });
        }
        let units = Units {
            names: certificate.organizational_units().to_vec(),
            certifiers: certifiers_identifier(chain),
        };
        let client = self.check_role(Some(&units), MspRoleType::Client);
        let admin = self.check_role(Some(&units), MspRoleType::Admin);
        match (client, admin) {
            (Err(client), Err(admin)) => Err(SetupError::AdminRole { index, client, admin }),
            _ => Ok(()),
        }
    }
}

/// Reads the CAs and gives their certificates low S, which their parents' curves decide.
fn ca_pool(roots: &[Bytes], intermediates: &[Bytes]) -> Result<CaPool, SetupError> {
    if roots.is_empty() {
        return Err(SetupError::NoCa);
    }
    let as_given = CaPool {
        roots: read_all(roots)?,
        intermediates: read_all(intermediates)?,
    };
    let sanitize = |cas: &[Arc<Certificate>]| -> Result<Vec<Arc<Certificate>>, SetupError> {
        let sanitized = cas
            .iter()
            .map(|ca| sanitized_ca(Certificate::clone(ca), &as_given));
        sanitized.map(|ca| ca.map(Arc::new)).collect()
    };
    Ok(CaPool {
        roots: sanitize(&as_given.roots)?,
        intermediates: sanitize(&as_given.intermediates)?,
    })
}

/// Reads certificates; one that is listed twice counts once.
fn read_all(pems: &[Bytes]) -> Result<Vec<Arc<Certificate>>, SetupError> {
    let mut read: Vec<Arc<Certificate>> = Vec::with_capacity(pems.len());
    for pem in pems {
        let certificate = Certificate::from_pem(pem)?;
        if !read.iter().any(|known| known.der() == certificate.der()) {
            read.push(Arc::new(certificate));
        }
    }
    Ok(read)
}

fn sanitized_ca(certificate: Certificate, cas: &CaPool) -> Result<Certificate, SetupError> {
    if certificate.is_ca() && certificate.is_signed_by(&certificate) {
        let own = certificate.clone();
        return Ok(certificate.sanitized(&own)?);
    }
    let parents = cas.parents(&certificate).map_err(|source| SetupError::Ca {
        problem: "is not valid",
        serial: certificate.serial_hex(),
        source: Some(source),
    })?;
    match parents.first() {
        Some(parent) => Ok(certificate.sanitized(parent)?),
        None => Ok(certificate),
    }
}

/// The hash that members sign. The other hash of a configuration names identities, which is seen nowhere.
fn signature_hash(config: Option<&FabricCryptoConfig>) -> Result<&'static Algorithm, SetupError> {
    match config.map_or("", |config| config.signature_hash_family.as_str()) {
        "" | "SHA2" => Ok(&SHA256),
        "SHA3" => Ok(&SHA3_256),
        other => Err(SetupError::HashFamily(other.to_owned())),
    }
}

fn revocation_lists(lists: &[Bytes]) -> Result<Vec<RevocationList>, SetupError> {
    let lists = lists.iter().map(|list| RevocationList::parse(list));
    Ok(lists.collect::<Result<_, _>>()?)
}

fn check_cas(cas: &CaPool, lists: &[RevocationList]) -> Result<(), SetupError> {
    for ca in cas.roots.iter().chain(&cas.intermediates) {
        let refuse = |problem, source| SetupError::Ca {
            problem,
            serial: ca.serial_hex(),
            source,
        };
        check_ca_form(ca)?;
        let parents = cas
            .parents(ca)
            .map_err(|source| refuse("is not valid", Some(source)))?;
        let Some(issuer) = parents.first() else {
            continue;
        };
        for list in lists {
            match list.verdict(ca, issuer) {
                Verdict::Silent => {}
                Verdict::Revoked => {
                    return Err(refuse("is not valid: The certificate has been revoked", None));
                }
                Verdict::NoAuthority => {
                    return Err(refuse("could not obtain Authority Key Identifier for crl", None));
                }
            }
        }
    }
    Ok(())
}

fn check_ca_form(ca: &Certificate) -> Result<(), SetupError> {
    let problem = if !ca.is_ca() {
        "did not have the CA attribute"
    } else if ca.extensions.subject_key_id.is_none() {
        "problem with Subject Key Identifier extension"
    } else {
        return Ok(());
    };
    Err(SetupError::Ca {
        problem,
        serial: ca.serial_hex(),
        source: None,
    })
}

/// The CAs that have issued CAs; they may not issue identities.
fn internal_nodes(cas: &CaPool) -> Result<HashSet<Bytes>, SetupError> {
    let mut nodes = HashSet::new();
    for ca in &cas.intermediates {
        let parents = cas.parents(ca).map_err(|source| SetupError::Ca {
            problem: "is not valid",
            serial: ca.serial_hex(),
            source: Some(source),
        })?;
        nodes.extend(parents.iter().map(|parent| parent.der().clone()));
    }
    Ok(nodes)
}

fn check_tls_cas(config: &FabricMspConfig) -> Result<(), SetupError> {
    let cas = CaPool {
        roots: read_all(&config.tls_root_certs)?,
        intermediates: read_all(&config.tls_intermediate_certs)?,
    };
    for ca in cas.roots.iter().chain(&cas.intermediates) {
        check_ca_form(ca)?;
        cas.parents(ca).map_err(|source| SetupError::Ca {
            problem: "is not valid",
            serial: ca.serial_hex(),
            source: Some(source),
        })?;
    }
    Ok(())
}
