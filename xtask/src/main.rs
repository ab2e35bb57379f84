//! Builds, demonstrates, tests and packages the peer.
fn main() {}
