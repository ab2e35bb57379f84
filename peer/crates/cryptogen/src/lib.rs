//! Makes CAs, identities and TLS material in cryptogen's folder layout.
