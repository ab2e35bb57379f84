//! `cargo xtask bench`: the peer in release mode under the load generator.

use std::process::Command;

use anyhow::Result;

use crate::dist;
use crate::steps::{self, announce, cargo, root};

/// Builds what is measured and what measures, then measures.
pub fn run(options: &[String]) -> Result<()> {
    let place = root().join("target/bench");
    dist::lay_out("release", &place)?;
    announce("building the load generator");
    steps::run(&mut cargo(&["build", "--release", "--package", "loadgen"]))?;
    let mut loadgen = Command::new(dist::target_dir()?.join("release/loadgen"));
    loadgen.arg("--peer").arg(place.join("bin/peer")).args(options);
    steps::run(&mut loadgen)
}
