//! Capabilities: what a channel requires its peers and orderers to do.

use std::collections::BTreeSet;

use protos::common::Capabilities;

/// A capability that this peer does not have. The text is Fabric's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{section} capability {capability} is required but not supported")]
pub struct CapabilityError {
    section: &'static str,
    capability: String,
}

macro_rules! capabilities {
    ($(#[$doc:meta])* $name:ident, $section:literal, [$($supported:literal),*]) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name(BTreeSet<String>);

        impl $name {
            /// The capabilities a section of the configuration names.
            #[must_use]
            pub fn new(capabilities: &Capabilities) -> Self {
                Self(capabilities.capabilities.keys().cloned().collect())
            }

            /// Checks that this peer has all of them.
            ///
            /// # Errors
            /// When one is unknown.
            pub fn supported(&self) -> Result<(), CapabilityError> {
                let known = [$($supported),*];
                match self.0.iter().find(|name| !known.contains(&name.as_str())) {
                    None => Ok(()),
                    Some(name) => Err(CapabilityError { section: $section, capability: name.clone() }),
                }
            }

            /// The names.
            pub fn names(&self) -> impl Iterator<Item = &str> {
                self.0.iter().map(String::as_str)
            }

            fn any(&self, names: &[&str]) -> bool {
                names.iter().any(|name| self.0.contains(*name))
            }
        }
    };
}

capabilities!(
    /// The capabilities of the whole channel.
    ChannelCapabilities,
    "Channel",
    ["V1_1", "V1_3", "V1_4_2", "V1_4_3", "V2_0"]
);
capabilities!(
    /// The capabilities of the ordering service.
    OrdererCapabilities,
    "Orderer",
    ["V1_1", "V1_4_2", "V2_0"]
);
capabilities!(
    /// The capabilities of the peers.
    ApplicationCapabilities,
    "Application",
    [
        "V1_1",
        "V1_2",
        "V1_3",
        "V1_4_2",
        "V2_0",
        "V2_5",
        "V1_1_PVTDATA_EXPERIMENTAL",
        "V1_1_RESOURCETREE_EXPERIMENTAL"
    ]
);

impl ChannelCapabilities {
    /// Whether MSPs follow the rules of version 1.4.3, which demand that somebody is admin.
    #[must_use]
    pub fn msp_1_4_3(&self) -> bool {
        self.any(&["V1_4_3", "V2_0"])
    }

    /// Whether the consensus type may change.
    #[must_use]
    pub fn consensus_type_migration(&self) -> bool {
        self.any(&["V1_4_2", "V1_4_3", "V2_0"])
    }

    /// Whether orderer organisations name their own endpoints.
    #[must_use]
    pub fn org_specific_orderer_endpoints(&self) -> bool {
        self.any(&["V1_4_2", "V1_4_3", "V2_0"])
    }
}

impl OrdererCapabilities {
    /// Whether a new channel takes over the mod policy of the system channel with all versions zero.
    #[must_use]
    pub fn predictable_channel_template(&self) -> bool {
        self.any(&["V1_1", "V1_4_2", "V2_0"])
    }

    /// Whether the orderer refuses expired identities.
    #[must_use]
    pub fn expiration_check(&self) -> bool {
        self.any(&["V1_1", "V1_4_2", "V2_0"])
    }

    /// Whether a new channel names its creation policy `Admins`.
    #[must_use]
    pub fn use_channel_creation_policy_as_admins(&self) -> bool {
        self.any(&["V2_0"])
    }
}

const FROM_1_2: [&str; 5] = ["V1_2", "V1_3", "V1_4_2", "V2_0", "V2_5"];
const FROM_1_3: [&str; 4] = ["V1_3", "V1_4_2", "V2_0", "V2_5"];

impl ApplicationCapabilities {
    /// Whether the configuration may carry ACLs.
    #[must_use]
    pub fn acls(&self) -> bool {
        self.any(&FROM_1_2)
    }

    /// Whether the second of two equal transaction ids in one block is invalid.
    #[must_use]
    pub fn forbid_duplicate_txid_in_block(&self) -> bool {
        self.v1_1_validation()
    }

    /// Whether transactions may carry private data.
    #[must_use]
    pub fn private_channel_data(&self) -> bool {
        self.any(&FROM_1_2) || self.any(&["V1_1_PVTDATA_EXPERIMENTAL"])
    }

    /// Whether an upgrade may change collections.
    #[must_use]
    pub fn collection_upgrade(&self) -> bool {
        self.any(&FROM_1_2)
    }

    /// Validation as of 1.1.
    #[must_use]
    pub fn v1_1_validation(&self) -> bool {
        self.any(&["V1_1"]) || self.any(&FROM_1_2)
    }

    /// Validation as of 1.2.
    #[must_use]
    pub fn v1_2_validation(&self) -> bool {
        self.any(&FROM_1_2)
    }

    /// Validation as of 1.3.
    #[must_use]
    pub fn v1_3_validation(&self) -> bool {
        self.any(&FROM_1_3)
    }

    /// Validation as of 2.0.
    #[must_use]
    pub fn v2_0_validation(&self) -> bool {
        self.any(&["V2_0", "V2_5"])
    }

    /// Whether chaincode definitions are agreed on by the channel's members (`_lifecycle`).
    #[must_use]
    pub fn lifecycle_v2_0(&self) -> bool {
        self.any(&["V2_0", "V2_5"])
    }

    /// Whether single keys may have endorsement policies.
    #[must_use]
    pub fn key_level_endorsement(&self) -> bool {
        self.any(&FROM_1_3)
    }

    /// Whether private data of invalid transactions is kept.
    #[must_use]
    pub fn store_pvt_data_of_invalid_tx(&self) -> bool {
        self.any(&["V1_4_2", "V2_0", "V2_5"])
    }

    /// Whether private data may be purged.
    #[must_use]
    pub fn purge_pvt_data(&self) -> bool {
        self.any(&["V2_5"])
    }
}
