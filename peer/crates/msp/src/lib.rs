//! Membership: identities, MSP folders, signature checks, signing and signature policies.
