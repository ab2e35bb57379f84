//! The contract between the peer and its plugins.
