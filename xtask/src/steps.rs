//! Running programs and saying so.
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a command-line tool reports on its terminal"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The checkout's root.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Says what happens now.
pub fn announce(what: &str) {
    eprintln!("==> {what}");
}

/// Prints a result.
pub fn print(line: &str) {
    println!("{line}");
}

/// Says what went wrong.
pub fn complain(what: &str) {
    eprintln!("xtask: {what}");
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command
        .status()
        .with_context(|| format!("could not run {shown}"))?;
    if !status.success() {
        bail!("{shown} failed: {status}");
    }
    Ok(())
}

/// Whether a program is there.
pub fn runs(program: &str) -> bool {
    let version = Command::new(program).arg("--version").output();
    version.is_ok_and(|answer| answer.status.success())
}

/// Whether this process may install packages.
pub fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// Installs packages of Debian or Ubuntu, unless that would remove others.
pub fn apt_install(packages: &[&str]) -> Result<()> {
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("NEEDRESTART_SUSPEND", "1")
            .args(["-o", "DPkg::Lock::Timeout=300", "-qq"])
            .args(args);
        command
    };
    run(&mut apt(&["update"])).context("no package lists: is this a Debian or Ubuntu machine?")?;
    let mut install = apt(&["install", "-y", "--no-remove", "--no-install-recommends"]);
    run(install.args(packages).stdout(Stdio::null()))
}

/// Runs a command that must succeed and returns what it printed.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .output()
        .with_context(|| format!("could not run {shown}"))?;
    if !output.status.success() {
        bail!(
            "{shown} failed: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// `cargo`, the one that runs us.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()).args(args);
    command
}

/// Fails with advice unless these programs can be run.
pub fn require(programs: &[(&str, &str)]) -> Result<()> {
    for (program, advice) in programs {
        let version = if *program == "go" { "version" } else { "--version" };
        let found = Command::new(program).arg(version).output();
        if !found.is_ok_and(|output| output.status.success()) {
            bail!("{program} is needed and cannot be run: {advice}");
        }
    }
    Ok(())
}

/// Node and npm, which run and build the chaincode.
pub fn require_node() -> Result<()> {
    require(&[
        ("node", "install Node.js 18 or newer"),
        ("npm", "it comes with Node.js"),
    ])
}

fn show(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}
