//! What a configuration is made from. The defaults are those of Fabric's test network, except that the lifecycle
//! is LSCC's, which application capability V2_0 would turn off.

use std::collections::BTreeMap;
use std::time::Duration;

use protos::msp::FabricMspConfig;

use crate::keys;

/// A policy as configtx.yaml writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyRule {
    /// Such as `OR('Org1MSP.admin', 'Org1MSP.client')`.
    Signature(String),
    /// Such as `MAJORITY Admins`.
    ImplicitMeta(String),
}

/// Policies by name.
pub(crate) type Policies = BTreeMap<String, PolicyRule>;

/// A whole configuration.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The consortium a channel is created under; `None` in a system channel or without one.
    pub consortium: Option<String>,
    /// The application section.
    pub application: Option<ApplicationProfile>,
    /// The orderer section.
    pub orderer: Option<OrdererProfile>,
    /// The consortiums of a system channel; empty elsewhere.
    pub consortiums: BTreeMap<String, ConsortiumProfile>,
    /// Capabilities of the whole channel.
    pub capabilities: Vec<String>,
    /// Policies of the whole channel.
    pub policies: BTreeMap<String, PolicyRule>,
}

/// The application section.
#[derive(Clone, Debug)]
pub struct ApplicationProfile {
    /// Its organisations.
    pub organizations: Vec<OrganizationProfile>,
    /// Its capabilities.
    pub capabilities: Vec<String>,
    /// Its policies.
    pub policies: BTreeMap<String, PolicyRule>,
    /// Policies by resource, where they are not the default.
    pub acls: BTreeMap<String, String>,
}

/// The orderer section.
#[derive(Clone, Debug)]
pub struct OrdererProfile {
    /// The consensus type.
    pub consensus_type: String,
    /// The addresses for the whole channel.
    pub addresses: Vec<String>,
    /// When blocks are cut.
    pub batch: BatchProfile,
    /// Its organisations.
    pub organizations: Vec<OrganizationProfile>,
    /// Most channels; 0 for any number.
    pub max_channels: u64,
    /// Its capabilities.
    pub capabilities: Vec<String>,
    /// Its policies.
    pub policies: BTreeMap<String, PolicyRule>,
}

/// When blocks are cut.
#[derive(Clone, Debug)]
pub struct BatchProfile {
    /// How long a block waits for more transactions.
    pub timeout: Duration,
    /// Most transactions in a block.
    pub max_message_count: u32,
    /// Most bytes in a block.
    pub absolute_max_bytes: u32,
    /// Bytes after which a block is cut early.
    pub preferred_max_bytes: u32,
}

/// A consortium of a system channel.
#[derive(Clone, Debug, Default)]
pub struct ConsortiumProfile {
    /// Its organisations.
    pub organizations: Vec<OrganizationProfile>,
}

/// An organisation.
#[derive(Clone, Debug)]
pub struct OrganizationProfile {
    /// The name in the configuration.
    pub name: String,
    /// Its MSP; `msp::folder_config` reads one from a folder.
    pub msp: FabricMspConfig,
    /// Its policies.
    pub policies: BTreeMap<String, PolicyRule>,
    /// Host and port of its anchor peers (application).
    pub anchor_peers: Vec<(String, u16)>,
    /// Addresses of its orderers (orderer).
    pub orderer_endpoints: Vec<String>,
}

impl OrganizationProfile {
    /// An organisation with the usual policies of a peer organisation, which orderer organisations can have too.
    #[must_use]
    pub fn new(name: &str, msp: FabricMspConfig) -> Self {
        let units = msp
            .fabric_node_ous
            .as_ref()
            .is_some_and(|node_ous| node_ous.enable);
        Self {
            name: name.to_owned(),
            policies: default_org_policies(&msp.name, units),
            msp,
            anchor_peers: Vec::new(),
            orderer_endpoints: Vec::new(),
        }
    }

    /// An organisation with the usual policies of an orderer organisation.
    #[must_use]
    pub fn orderer(name: &str, msp: FabricMspConfig, endpoints: Vec<String>) -> Self {
        let id = &msp.name;
        let member = || PolicyRule::Signature(format!("OR('{id}.member')"));
        let policies = named([
            (keys::READERS, member()),
            (keys::WRITERS, member()),
            (keys::ADMINS, PolicyRule::Signature(format!("OR('{id}.admin')"))),
        ]);
        Self {
            name: name.to_owned(),
            policies,
            msp,
            anchor_peers: Vec::new(),
            orderer_endpoints: endpoints,
        }
    }
}

/// The usual policies of a peer organisation; without node OUs roles other than admin cannot be told apart.
#[must_use]
pub fn default_org_policies(msp_id: &str, node_ous: bool) -> BTreeMap<String, PolicyRule> {
    let rule = |roles: &[&str]| {
        let principals: Vec<String> = roles.iter().map(|role| format!("'{msp_id}.{role}'")).collect();
        PolicyRule::Signature(format!("OR({})", principals.join(", ")))
    };
    let of = |roles: &[&str]| if node_ous { rule(roles) } else { rule(&["member"]) };
    named([
        (keys::READERS, of(&["admin", "peer", "client"])),
        (keys::WRITERS, of(&["admin", "client"])),
        (keys::ADMINS, rule(&["admin"])),
        (keys::ENDORSEMENT, of(&["peer"])),
    ])
}

fn named<const N: usize>(policies: [(&str, PolicyRule); N]) -> Policies {
    policies
        .into_iter()
        .map(|(name, rule)| (name.to_owned(), rule))
        .collect()
}

fn implicit(rule: &str) -> PolicyRule {
    PolicyRule::ImplicitMeta(rule.to_owned())
}

fn any_any_majority() -> Policies {
    named([
        (keys::READERS, implicit("ANY Readers")),
        (keys::WRITERS, implicit("ANY Writers")),
        (keys::ADMINS, implicit("MAJORITY Admins")),
    ])
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            consortium: None,
            application: None,
            orderer: None,
            consortiums: BTreeMap::new(),
            capabilities: vec!["V2_0".into()],
            policies: any_any_majority(),
        }
    }
}

impl Default for ApplicationProfile {
    fn default() -> Self {
        let mut policies = any_any_majority();
        policies.insert(keys::ENDORSEMENT.into(), implicit("MAJORITY Endorsement"));
        policies.insert(
            keys::LIFECYCLE_ENDORSEMENT.into(),
            implicit("MAJORITY Endorsement"),
        );
        Self {
            organizations: Vec::new(),
            capabilities: vec!["V1_4_2".into()],
            policies,
            acls: BTreeMap::new(),
        }
    }
}

impl Default for OrdererProfile {
    fn default() -> Self {
        let mut policies = any_any_majority();
        policies.insert(keys::BLOCK_VALIDATION.into(), implicit("ANY Writers"));
        Self {
            consensus_type: "solo".into(),
            addresses: Vec::new(),
            batch: BatchProfile::default(),
            organizations: Vec::new(),
            max_channels: 0,
            capabilities: vec!["V2_0".into()],
            policies,
        }
    }
}

impl Default for BatchProfile {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            max_message_count: 500,
            absolute_max_bytes: 10 * 1024 * 1024,
            preferred_max_bytes: 2 * 1024 * 1024,
        }
    }
}
