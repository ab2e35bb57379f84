//! Load generator: pre-signed proposals, throughput, latency and peer CPU per endorsement.
fn main() {}
