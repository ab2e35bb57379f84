//! Which configuration may follow another (Fabric channelconfig, `Bundle.ValidateNew`).

use std::collections::BTreeMap;

use crate::bundle::Bundle;
use crate::sections::Organization;

/// Why a configuration may not follow the present one. The texts are Fabric's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// A section disappears.
    #[error("current config has {0} section, but new config does not")]
    SectionLost(&'static str),
    /// A channel becomes a system channel.
    #[error("current config has no consortiums section, but new config does")]
    ConsortiumsAppear,
    /// The consensus type changes without the capability.
    #[error("attempted to change consensus type from {from} to {to}")]
    ConsensusType {
        /// The present type.
        from: String,
        /// The new type.
        to: String,
    },
    /// An organisation gets another MSP id.
    #[error("{whose} org {organization} attempted to change MSP ID from {from} to {to}")]
    MspId {
        /// The section.
        whose: String,
        /// The organisation.
        organization: String,
        /// The present id.
        from: String,
        /// The new id.
        to: String,
    },
}

type Organizations = BTreeMap<String, Organization>;

impl Bundle {
    /// Checks that `next` may follow this configuration.
    ///
    /// # Errors
    /// When a section is lost, the consensus type changes without the capability, or an MSP id changes.
    pub fn validate_new(&self, next: &Self) -> Result<(), TransitionError> {
        if let Some(present) = self.orderer() {
            let new = next.orderer().ok_or(TransitionError::SectionLost("orderer"))?;
            let (from, to) = (&present.consensus_type.r#type, &new.consensus_type.r#type);
            if from != to && !self.capabilities().consensus_type_migration() {
                return Err(TransitionError::ConsensusType {
                    from: from.clone(),
                    to: to.clone(),
                });
            }
            check_msp_ids("orderer", &present.organizations, &new.organizations)?;
        }
        if let Some(present) = self.application() {
            let new = next
                .application()
                .ok_or(TransitionError::SectionLost("application"))?;
            check_msp_ids("application", &present.organizations, &new.organizations)?;
        }
        match (self.consortiums(), next.consortiums()) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(TransitionError::ConsortiumsAppear),
            (Some(_), None) => Err(TransitionError::SectionLost("consortiums")),
            (Some(present), Some(new)) => {
                present
                    .iter()
                    .try_for_each(|(name, consortium)| match new.get(name) {
                        Some(new) => {
                            let whose = format!("consortium {name}");
                            check_msp_ids(&whose, &consortium.organizations, &new.organizations)
                        }
                        None => Ok(()),
                    })
            }
        }
    }
}

fn check_msp_ids(whose: &str, present: &Organizations, new: &Organizations) -> Result<(), TransitionError> {
    for (name, organization) in present {
        let Some(other) = new.get(name) else {
            continue;
        };
        if organization.msp.id() != other.msp.id() {
            return Err(TransitionError::MspId {
                whose: whose.to_owned(),
                organization: name.clone(),
                from: organization.msp.id().to_string(),
                to: other.msp.id().to_string(),
            });
        }
    }
    Ok(())
}
