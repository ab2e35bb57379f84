//! What `cargo build` has made: the peer and the plugin libraries.

use std::path::{Path, PathBuf};

/// `target/<profile>`, found from the running test.
#[must_use]
pub fn target_dir() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    test.ancestors()
        .nth(2)
        .expect("target/<profile>/deps/<test>")
        .to_owned()
}

/// The folder with the plugin libraries.
#[must_use]
pub fn plugin_dir() -> PathBuf {
    let folder = target_dir();
    for library in [
        "libdefault_auth.so",
        "libexpiration_check.so",
        "libdefault_decorator.so",
        "libdefault_endorsement.so",
        "libdefault_validation.so",
        "libjwt.so",
        "libtransient_claims.so",
        "libplatform_golang.so",
        "libplatform_java.so",
        "libplatform_node.so",
        "libfault_plugin.so",
    ] {
        assert!(
            folder.join(library).exists(),
            "{library} is not built: run cargo build --workspace first"
        );
    }
    folder
}

/// The peer binary.
#[must_use]
pub fn peer_binary() -> PathBuf {
    let peer = target_dir().join("peer");
    assert!(
        peer.exists(),
        "{} is not built: run cargo build --workspace first",
        peer.display()
    );
    peer
}

/// The checkout.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is in the checkout")
}
