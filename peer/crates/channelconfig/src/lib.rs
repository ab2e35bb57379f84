//! Channel configuration: the bundle of a config block, policies, ACLs, config updates and genesis blocks.
//!
//! Not here: where configuration is stored and when it takes effect. The committer and the orderer decide that.

#![forbid(unsafe_code)]

mod acl;
mod bundle;
mod capabilities;
mod config_map;
mod config_update;
mod encoder;
mod go_duration;
mod keys;
mod new_channel;
mod policies;
mod sections;
mod update;
mod validate_new;

#[cfg(test)]
mod tests;

pub use acl::{AclError, DefaultPolicy, check_acl, default_policy};
pub use bundle::{Bundle, BundleError};
pub use capabilities::{ApplicationCapabilities, CapabilityError, ChannelCapabilities, OrdererCapabilities};
pub use config_map::{ConfigIdError, ConfigMapError, validate_channel_id};
pub use config_update::{ConfigUpdateError, ElementError, propose_config_update, validate};
pub use encoder::{
    ApplicationProfile, BatchProfile, ConsortiumProfile, EncodeError, EnvelopeEncodeError, OrdererProfile,
    OrganizationProfile, PolicyRule, Profile, anchor_peers_update, channel_creation_update, channel_group,
    default_org_policies, genesis_block, sign_config_update, signed_envelope,
};
pub use new_channel::{NewChannelError, create_channel, new_channel_config};
pub use policies::{PolicyTree, PolicyTreeError};
pub use sections::{Application, Consortium, Orderer, Organization, SectionError};
pub use update::{NoDifference, compute_update};
pub use validate_new::TransitionError;

pub use msp::policy::PolicyError;
