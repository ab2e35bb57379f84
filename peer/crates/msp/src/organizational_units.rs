//! The rules on organizational units: recognised units and node OUs.

use std::collections::BTreeMap;
use std::fmt;

use protos::msp::msp_role::MspRoleType;

/// SHA-256 over the DER of the CAs above an identity, nearest first: which part of the CA tree vouches for it.
pub(crate) type CertifiersIdentifier = [u8; 32];

/// A unit that an MSP recognises, perhaps only when a certain CA vouches for it.
#[derive(Clone, Debug)]
pub(crate) struct OuIdentifier {
    pub(crate) unit: String,
    pub(crate) certifiers: Option<CertifiersIdentifier>,
}

/// The units that tell clients, peers, admins and orderers apart.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeOus {
    pub(crate) client: Option<OuIdentifier>,
    pub(crate) peer: Option<OuIdentifier>,
    pub(crate) admin: Option<OuIdentifier>,
    pub(crate) orderer: Option<OuIdentifier>,
}

/// The units of an identity with the CAs that vouch for them; displays as Fabric logs it.
#[derive(Clone, Debug)]
pub struct Units {
    pub(crate) names: Vec<String>,
    pub(crate) certifiers: CertifiersIdentifier,
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certifiers = hex::encode_upper(self.certifiers.get(..8).unwrap_or_default());
        f.write_str("[")?;
        for (index, name) in self.names.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{name}({certifiers})")?;
        }
        f.write_str("]")
    }
}

/// Why an identity's units do not fit the MSP. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// The MSP recognises units and the identity has none.
    #[error("the identity certificate does not contain an Organizational Unit (OU)")]
    NoUnit,
    /// None of the units is one the MSP recognises.
    #[error("none of the identity's organizational units {units} are in MSP {msp}")]
    NotRecognised {
        /// The identity's units.
        units: Units,
        /// The MSP.
        msp: String,
    },
    /// A node OU that another part of the CA tree vouches for.
    #[error("certifiersIdentifier does not match: {units}, MSP: [{msp}]")]
    OtherCertifiers {
        /// The identity's units.
        units: Units,
        /// The MSP.
        msp: String,
    },
    /// No node OU.
    #[error(
        "the identity does not have an OU that resolves to client, peer, orderer, or admin role. OUs: {units}, MSP: [{msp}]"
    )]
    NoRole {
        /// The identity's units.
        units: Units,
        /// The MSP.
        msp: String,
    },
    /// More than one node OU.
    #[error(
        "the identity must have a client, a peer, an orderer, or an admin OU role to be valid, not a combination of them. OUs: {units}, MSP: [{msp}]"
    )]
    SeveralRoles {
        /// The identity's units.
        units: Units,
        /// The MSP.
        msp: String,
    },
}

impl NodeOus {
    /// The unit that marks a role.
    pub(crate) fn of_role(&self, role: MspRoleType) -> Option<&OuIdentifier> {
        match role {
            MspRoleType::Client => self.client.as_ref(),
            MspRoleType::Peer => self.peer.as_ref(),
            MspRoleType::Admin => self.admin.as_ref(),
            MspRoleType::Orderer => self.orderer.as_ref(),
            MspRoleType::Member => None,
        }
    }

    /// Whether any unit is defined; without one the rules are off.
    pub(crate) fn is_empty(&self) -> bool {
        [&self.client, &self.peer, &self.admin, &self.orderer]
            .iter()
            .all(|unit| unit.is_none())
    }

    /// Checks that an identity has exactly one of the units.
    pub(crate) fn check(&self, units: &Units, msp: &str) -> Result<(), UnitError> {
        let error = |kind: fn(Units, String) -> UnitError| kind(units.clone(), msp.to_owned());
        let mut roles = 0;
        for name in &units.names {
            // where two roles share a unit, the later one counts
            let nodes = [&self.orderer, &self.admin, &self.peer, &self.client];
            let Some(node) = nodes.into_iter().flatten().find(|node| node.unit == *name) else {
                continue;
            };
            if node
                .certifiers
                .is_some_and(|certifiers| certifiers != units.certifiers)
            {
                return Err(error(|units, msp| UnitError::OtherCertifiers { units, msp }));
            }
            roles += 1;
        }
        match roles {
            0 => Err(error(|units, msp| UnitError::NoRole { units, msp })),
            1 => Ok(()),
            _ => Err(error(|units, msp| UnitError::SeveralRoles { units, msp })),
        }
    }
}

/// Checks that an identity has a unit the MSP recognises, when it recognises any.
pub(crate) fn check_recognised(
    recognised: &BTreeMap<String, Vec<CertifiersIdentifier>>,
    units: &Units,
    msp: &str,
) -> Result<(), UnitError> {
    let fits = |name: &String| {
        let certifiers = recognised.get(name);
        certifiers.is_some_and(|certifiers| certifiers.contains(&units.certifiers))
    };
    if recognised.is_empty() || units.names.iter().any(fits) {
        return Ok(());
    }
    if units.names.is_empty() {
        return Err(UnitError::NoUnit);
    }
    Err(UnitError::NotRecognised {
        units: units.clone(),
        msp: msp.to_owned(),
    })
}
