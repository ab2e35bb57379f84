//! The endorser: checks, simulates, endorses and answers a proposal.
