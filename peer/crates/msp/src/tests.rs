//! The rules of membership, with certificates made on the spot.

mod authority;
mod folders;
mod identities;
mod node_ous;
mod policies;
mod policy_text;
mod revocation;
