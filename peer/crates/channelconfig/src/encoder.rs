//! Making configurations, genesis blocks and channel creation transactions from a profile, as configtxgen does.

mod envelope;
mod group;
mod profile;

pub use envelope::{
    EnvelopeEncodeError, anchor_peers_update, channel_creation_update, genesis_block, sign_config_update,
    signed_envelope,
};
pub use group::{EncodeError, channel_group};
pub use profile::{
    ApplicationProfile, BatchProfile, ConsortiumProfile, OrdererProfile, OrganizationProfile, PolicyRule,
    Profile, default_org_policies,
};
