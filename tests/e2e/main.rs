//! End to end: the real binary, real shims from npm, somebody else's client.

mod dev;
mod docker;
mod roundtrip;
mod shims;
