//! A `peer dev` of its own process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use integration::binaries::{peer_binary, plugin_dir, root};
use serde_json::Value;
use tempfile::TempDir;

use crate::lines::Lines;

/// How long a command may take to connect; by default it is 3 seconds.
pub const PATIENCE: &str = "60s";

/// A running network; dropping it stops the process.
pub struct Dev {
    program: PathBuf,
    process: Child,
    lines: Lines,
    pub ready: Value,
    pub folder: TempDir,
}

impl Dev {
    /// Starts a network with one of the chaincodes of `tests/chaincode`.
    pub fn start(chaincode: &str) -> Self {
        Self::start_with(
            &root().join("tests/chaincode").join(chaincode),
            chaincode,
            tempfile::tempdir().unwrap(),
        )
    }

    /// Starts a network in a folder, which may have been used before.
    pub fn start_with(source: &Path, name: &str, folder: TempDir) -> Self {
        Self::start_configured(source, name, folder, &[])
    }

    /// The same with variables that configure the peer.
    pub fn start_configured(source: &Path, name: &str, folder: TempDir, variables: &[(&str, &str)]) -> Self {
        let source = source.to_str().unwrap();
        Self::launch(
            peer_binary(),
            &["--lang", "node", "--name", name, "--chaincode", source],
            folder,
            variables,
        )
    }

    /// Starts a network with one of the chaincodes of `tests/chaincode`, whose language nobody tells.
    pub fn detecting(chaincode: &str, variables: &[(&str, &str)]) -> Self {
        let source = root().join("tests/chaincode").join(chaincode);
        let args = ["--chaincode", source.to_str().unwrap()];
        Self::launch(peer_binary(), &args, tempfile::tempdir().unwrap(), variables)
    }

    /// Starts a network of another build of the peer, which runs the commands as well, without TLS and with chaincode
    /// in some language.
    pub fn of_program(
        program: PathBuf,
        source: &Path,
        name: &str,
        lang: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let source = source.to_str().unwrap();
        Self::launch(
            program,
            &["--no-tls", "--lang", lang, "--name", name, "--chaincode", source],
            tempfile::tempdir().unwrap(),
            variables,
        )
    }

    /// Starts a network without chaincode.
    pub fn network(variables: &[(&str, &str)]) -> Self {
        Self::launch(peer_binary(), &[], tempfile::tempdir().unwrap(), variables)
    }

    fn launch(program: PathBuf, args: &[&str], folder: TempDir, variables: &[(&str, &str)]) -> Self {
        let mut process = Command::new(&program)
            .args(["dev", "--port", "0", "--orderer-port", "0", "--output", "json"])
            .args(args)
            .arg("--dir")
            .arg(folder.path().join("net"))
            .env("CORE_PEER_HANDLERS_PLUGINDIRS", plugin_dir())
            .envs(variables.iter().copied())
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = folder.path().join("peer.log");
        let lines = Lines::of(process.stderr.take().unwrap(), &log);
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("peer dev did not come up:\n{}", lines.rest()));
        Self {
            program,
            process,
            lines,
            ready,
            folder,
        }
    }

    /// What the peer has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("peer.log")).unwrap()
    }

    /// Waits until the network says something on standard error, and returns that line.
    pub fn wait_for(&self, text: &str) -> String {
        self.lines.wait_for(text)
    }

    /// Runs a `peer` command as the administrator.
    pub fn peer(&self, args: &[&str]) -> Output {
        self.peer_with(args, &[])
    }

    /// The same with further variables.
    pub fn peer_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(&self.program);
        command
            .args(args)
            .args(["--output", "json"])
            .current_dir(self.folder.path());
        // the machine may be busy with something else
        if args
            .first()
            .is_some_and(|group| ["channel", "chaincode"].contains(group))
        {
            command.args(["--connTimeout", PATIENCE]);
        }
        command.env("CORE_PEER_CLIENT_CONNTIMEOUT", PATIENCE);
        command.env("CORE_PEER_HANDLERS_PLUGINDIRS", plugin_dir());
        for (name, value) in self.ready["env"].as_object().unwrap() {
            command.env(name, value.as_str().unwrap());
        }
        command.envs(variables.iter().copied()).output().unwrap()
    }

    /// A command that must succeed.
    pub fn ok(&self, args: &[&str]) -> Value {
        let output = self.peer(args);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "peer {args:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("peer {args:?} printed no JSON"))
    }

    /// A command that must fail with exit code 1; returns what it said.
    pub fn refused(&self, args: &[&str]) -> String {
        let output = self.peer(args);
        assert_eq!(output.status.code(), Some(1), "peer {args:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Installs Node chaincode of a folder as version 1, which builds it, and must fail; returns what it said.
    pub fn install_refused(&self, name: &str, folder: &Path) -> String {
        let path = folder.to_str().unwrap();
        let said = self.refused(&[
            "chaincode",
            "install",
            "-n",
            name,
            "-v",
            "1",
            "-l",
            "node",
            "-p",
            path,
        ]);
        assert!(
            said.contains("chaincode installed to peer but could not build chaincode: "),
            "{said}"
        );
        said
    }

    /// Invokes and waits for the commit.
    pub fn invoke(&self, name: &str, args: &[&str]) -> Value {
        let call = serde_json::json!({ "Args": args }).to_string();
        self.ok(&[
            "chaincode",
            "invoke",
            "-C",
            "mychannel",
            "-n",
            name,
            "-c",
            &call,
            "--waitForEvent",
        ])
    }

    /// Queries, and returns the payload.
    pub fn query(&self, name: &str, args: &[&str]) -> String {
        let call = serde_json::json!({ "Args": args }).to_string();
        let answer = self.ok(&["chaincode", "query", "-C", "mychannel", "-n", name, "-c", &call]);
        answer["payload"].as_str().unwrap().to_owned()
    }

    /// A query that must be refused; returns what the command said.
    pub fn query_refused(&self, name: &str, args: &[&str]) -> String {
        let call = serde_json::json!({ "Args": args }).to_string();
        self.refused(&["chaincode", "query", "-C", "mychannel", "-n", name, "-c", &call])
    }

    /// A file that the network names.
    pub fn path(&self, key: &str) -> PathBuf {
        PathBuf::from(self.ready[key].as_str().unwrap())
    }

    /// Kills the process without warning and gives its folder back.
    pub fn kill(mut self) -> TempDir {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            Command::new("kill").args(["-TERM", &pid]).status().ok();
            self.process.wait().ok();
        }
    }
}

/// Whether the test can run here. In CI it must.
pub fn node_is_here() -> bool {
    are_here(&[("node", "--version"), ("npm", "--version")])
}

/// Whether nothing may be skipped.
#[expect(clippy::disallowed_methods, reason = "CI says by a variable that it is one")]
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// Whether these programs can be run, each with an argument that makes it end. In CI they must.
pub fn are_here(programs: &[(&str, &str)]) -> bool {
    let missing: Vec<_> = programs
        .iter()
        .filter(|(program, argument)| {
            let output = Command::new(program).arg(argument).output();
            !output.is_ok_and(|output| output.status.success())
        })
        .map(|(program, _)| *program)
        .collect();
    assert!(missing.is_empty() || !in_ci(), "CI without {missing:?}");
    if !missing.is_empty() {
        eprintln!("skipped: not installed: {}", missing.join(", "));
    }
    missing.is_empty()
}

/// Writes a chaincode's files into a folder of a network's own.
pub fn source(dev: &Dev, folder: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = dev.folder.path().join(folder);
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// `peer chaincode install` of version 1 from its source.
pub fn install<'a>(name: &'a str, lang: &'a str, folder: &'a Path) -> [&'a str; 10] {
    let path = folder.to_str().unwrap();
    [
        "chaincode",
        "install",
        "-n",
        name,
        "-v",
        "1",
        "-l",
        lang,
        "-p",
        path,
    ]
}
