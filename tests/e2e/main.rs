//! End to end: the real binary, real shims from npm, somebody else's client.

mod dev;
mod following;
mod lines;
mod node_start;
mod roundtrip;
mod shims;
