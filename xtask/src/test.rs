//! `cargo xtask test` and `cargo xtask check`.

use std::process::Command;

use anyhow::{Result, bail};

use crate::steps::{self, announce, cargo, require_node, root};
use crate::{demo, dist, docker};

/// Runs all tests, or those that `selection` selects.
pub fn run_selected(selection: &[String]) -> Result<()> {
    announce("fetching the npm packages of the client tests (npm ci)");
    let client = root().join("tests/client");
    steps::run(
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(client),
    )?;
    announce("building the peer and the plugins");
    steps::run(&mut cargo(&["build", "--workspace"]))?;
    let mut test = cargo(&["test"]);
    if selection.is_empty() {
        // the test of plugins from outside installs it, and would seem to hang while it is built
        dist::build("release")?;
        announce("running the tests of the whole workspace (cargo test --workspace)");
        test.args(["--workspace", "--no-fail-fast"]);
    } else {
        test.args(selection);
    }
    steps::run(&mut test)
}

#[expect(clippy::disallowed_methods, reason = "CI says by a variable that it is one")]
fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// An engine for the tests of the Docker runtime. CI must have one; elsewhere those tests say that they are skipped.
fn engine_for_tests() -> Result<bool> {
    match docker::set_up() {
        Ok(()) => Ok(true),
        Err(error) if !in_ci() => {
            announce(&format!("tests with Docker will be skipped: {error:#}"));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Debian's other compiler, for the tests that load what it has built.
const OTHER_COMPILER: [&str; 2] = ["rustc-web", "cargo-web"];

/// Sees to it that there is another compiler. CI must have one; elsewhere its test says that it is skipped.
fn compiler_for_tests() -> Result<()> {
    match install_compiler() {
        Err(error) if !in_ci() => {
            announce(&format!(
                "the test with another compiler will be skipped: {error:#}"
            ));
            Ok(())
        }
        done => done,
    }
}

fn install_compiler() -> Result<()> {
    let listed = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Abbrev}\n"])
        .args(OTHER_COMPILER)
        .output();
    let there = listed.is_ok_and(|listed| String::from_utf8_lossy(&listed.stdout).matches("ii").count() == 2);
    if there {
        return Ok(());
    }
    if !steps::is_root()? {
        bail!("apt-get install {} needs root", OTHER_COMPILER.join(" "));
    }
    announce("installing another compiler (apt-get install rustc-web cargo-web)");
    // --no-remove: it would replace Debian's ordinary one, which may be the one that builds us
    steps::apt_install(&OTHER_COMPILER)
}

/// Gradle for the tests of Java chaincode that is built with it: Debian's 4.4, which runs with newer JDKs there. CI must
/// have it; elsewhere those tests say that they are skipped.
fn gradle_for_tests() -> Result<()> {
    if steps::runs("gradle") {
        return Ok(());
    }
    if !steps::is_root()? && !in_ci() {
        announce("tests with Gradle will be skipped: it is not installed");
        return Ok(());
    }
    announce("installing Gradle (apt-get install gradle)");
    match steps::apt_install(&["gradle"]) {
        Err(error) if !in_ci() => {
            announce(&format!("tests with Gradle will be skipped: {error:#}"));
            Ok(())
        }
        installed => installed,
    }
}

/// Everything: formatting, clippy, documentation, tests, and the demo as a newcomer runs it. With a selection only
/// the tests that it names.
pub fn run(selection: &[String]) -> Result<()> {
    require_node()?;
    if selection.is_empty() {
        check()?;
    }
    let engine = (selection.is_empty() || in_ci()) && engine_for_tests()?;
    if selection.is_empty() || in_ci() {
        compiler_for_tests()?;
        gradle_for_tests()?;
    }
    run_selected(selection)?;
    if selection.is_empty() {
        announce("running the demo");
        demo::run(demo::Demo::default())?;
        if engine {
            announce("running the demo in containers");
            demo::run(demo::Demo::in_containers())?;
        }
    }
    Ok(())
}

/// Formatting, clippy and documentation.
pub fn check() -> Result<()> {
    announce("formatting (cargo fmt --check)");
    steps::run(&mut cargo(&["fmt", "--all", "--check"]))?;
    announce("clippy");
    steps::run(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    announce("documentation");
    steps::run(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}
