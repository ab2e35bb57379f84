//! End to end: the real binary, real shims from npm, somebody else's client.

mod dev;
mod docker;
mod file_server;
mod following;
mod gradle;
mod languages;
mod lines;
mod mirrors;
mod node_start;
mod npm_registry;
mod phases;
mod plugin_kit;
mod roundtrip;
mod shims;
mod third_party;
