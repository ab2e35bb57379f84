//! One membership service provider: the CAs of an organisation, its admins, revocations and unit rules.
//!
//! Built once from a `FabricMSPConfig` by the rules of MSP version 1.4.3 and never changed.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use aws_lc_rs::digest::Algorithm;
use bytes::Bytes;
use prost::Message;
use protos::msp::msp_role::MspRoleType;
use protos::msp::{FabricMspConfig, MspConfig};
use protos::sha256;

use crate::certificate::Certificate;
use crate::chain::{CaPool, ChainError};
use crate::organizational_units::{CertifiersIdentifier, NodeOus, Units};
use crate::revocation::RevocationList;
use crate::setup::SetupError;

/// The type of an `MSPConfig` that holds a `FabricMSPConfig`.
const FABRIC: i32 = 0;

/// Whether an MSP must say who its admins are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admins {
    /// By admin certificates or by an admin unit (MSP version 1.4.3).
    Required,
    /// Need not: channels without the capability for MSP version 1.4.3.
    Optional,
}

/// A membership service provider.
#[derive(Debug)]
pub struct Msp {
    pub(crate) id: Arc<str>,
    /// The hash that members sign.
    pub(crate) signature_hash: &'static Algorithm,
    pub(crate) cas: CaPool,
    pub(crate) internal_nodes: HashSet<Bytes>,
    pub(crate) revocation_lists: Vec<RevocationList>,
    pub(crate) recognised_units: BTreeMap<String, Vec<CertifiersIdentifier>>,
    pub(crate) node_ous: Option<NodeOus>,
    pub(crate) admins: Vec<Certificate>,
    pub(crate) tls_root_certs: Vec<Bytes>,
    pub(crate) tls_intermediate_certs: Vec<Bytes>,
}

impl Msp {
    /// Builds an MSP from its wrapped configuration, as channels carry it.
    ///
    /// # Errors
    /// When the type is not Fabric's X.509 MSP or the configuration is refused.
    pub fn from_msp_config(config: &MspConfig, admins: Admins) -> Result<Self, SetupError> {
        if config.r#type != FABRIC {
            return Err(SetupError::UnsupportedType(config.r#type));
        }
        let config = FabricMspConfig::decode(config.config.clone()).map_err(SetupError::Undecodable)?;
        Self::from_config(&config, admins)
    }

    /// Wraps a configuration as channels carry it.
    #[must_use]
    pub fn wrap_config(config: &FabricMspConfig) -> MspConfig {
        MspConfig {
            r#type: FABRIC,
            config: config.encode_to_vec().into(),
        }
    }

    /// The MSP id.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The PEM of the roots that TLS certificates of the organisation lead to.
    #[must_use]
    pub fn tls_root_certs(&self) -> &[Bytes] {
        &self.tls_root_certs
    }

    /// The PEM of the intermediate CAs for TLS.
    #[must_use]
    pub fn tls_intermediate_certs(&self) -> &[Bytes] {
        &self.tls_intermediate_certs
    }

    /// The CAs above an identity's certificate, nearest first.
    pub(crate) fn certification_chain(
        &self,
        certificate: &Certificate,
    ) -> Result<Vec<Arc<Certificate>>, ChainError> {
        if certificate.is_ca() {
            return Err(ChainError::CaAsIdentity);
        }
        let parents = self.cas.parents(certificate)?;
        let Some(issuer) = parents.first() else {
            return Err(ChainError::TooShort(1));
        };
        if self.internal_nodes.contains(issuer.der()) {
            return Err(ChainError::ParentNotLeaf);
        }
        Ok(parents)
    }

    /// Whether the certificate is one of the listed admins'.
    pub(crate) fn is_listed_admin(&self, certificate: &Certificate) -> bool {
        self.admins.iter().any(|admin| admin.der() == certificate.der())
    }

    /// Whether the units of an identity mark it with the role.
    pub(crate) fn check_role(&self, units: Option<&Units>, role: MspRoleType) -> Result<(), RoleError> {
        let Some(node_ous) = &self.node_ous else {
            return Err(RoleError::NoNodeOus);
        };
        let role_name = role.as_str_name();
        let Some(unit) = node_ous.of_role(role) else {
            return Err(RoleError::Undefined {
                role: role_name,
                msp: self.id.to_string(),
            });
        };
        if units.is_some_and(|units| units.names.contains(&unit.unit)) {
            return Ok(());
        }
        Err(RoleError::Missing {
            role: role_name,
            msp: self.id.to_string(),
        })
    }
}

/// The certifiers identifier of a chain of CAs.
pub(crate) fn certifiers_identifier(chain: &[Arc<Certificate>]) -> CertifiersIdentifier {
    let parts: Vec<&[u8]> = chain.iter().map(|ca| ca.der().as_ref()).collect();
    sha256(&parts)
}

/// Why an identity does not have a role by its units. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// The MSP has no node OUs.
    #[error("NodeOUs not activated. Cannot tell apart identities.")]
    NoNodeOus,
    /// The MSP has no unit for the role.
    #[error("cannot test for classification, node ou for type [{role}], not defined, msp: [{msp}]")]
    Undefined {
        /// The role.
        role: &'static str,
        /// The MSP.
        msp: String,
    },
    /// The identity does not have the unit.
    #[error("The identity does not contain OU [{role}], MSP: [{msp}]")]
    Missing {
        /// The role.
        role: &'static str,
        /// The MSP.
        msp: String,
    },
}
