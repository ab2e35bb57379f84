//! Compiles our own `.proto` files with `protox`, so that no `protoc` has to be installed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let files = [
        "common.proto",
        "msp.proto",
        "orderer.proto",
        "ledger.proto",
        "kvrwset.proto",
        "queryresult.proto",
        "lifecycle.proto",
        "peer.proto",
        "plugin_admin.proto",
    ];
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
