//! End to end: the real binary, real shims from npm, somebody else's client.

mod dev;
mod languages;
mod npm_registry;
mod roundtrip;
mod shims;
