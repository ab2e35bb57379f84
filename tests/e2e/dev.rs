//! A `peer dev` of its own process.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use integration::binaries::{peer_binary, plugin_dir, root};
use serde_json::Value;
use tempfile::TempDir;

/// A running network; dropping it stops the process.
pub struct Dev {
    process: Child,
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
        let log = File::create(folder.path().join("peer.log")).unwrap();
        let mut process = Command::new(peer_binary())
            .args([
                "dev",
                "--port",
                "0",
                "--orderer-port",
                "0",
                "--output",
                "json",
                "--lang",
                "node",
                "--name",
                name,
            ])
            .arg("--dir")
            .arg(folder.path().join("net"))
            .arg("--chaincode")
            .arg(source)
            .env("CORE_PEER_HANDLERS_PLUGINDIRS", plugin_dir())
            .envs(variables.iter().copied())
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let log = || std::fs::read_to_string(folder.path().join("peer.log")).unwrap_or_default();
        let ready =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("peer dev did not come up:\n{}", log()));
        Self {
            process,
            ready,
            folder,
        }
    }

    /// Runs a `peer` command as the administrator.
    pub fn peer(&self, args: &[&str]) -> Output {
        let mut command = Command::new(peer_binary());
        command
            .args(args)
            .args(["--output", "json"])
            .current_dir(self.folder.path());
        command.env("CORE_PEER_HANDLERS_PLUGINDIRS", plugin_dir());
        for (name, value) in self.ready["env"].as_object().unwrap() {
            command.env(name, value.as_str().unwrap());
        }
        command.output().unwrap()
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
    let runs = |program| {
        Command::new(program)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let here = runs("node") && runs("npm");
    assert!(
        here || std::env::var_os("CI").is_none(),
        "CI without node and npm"
    );
    if !here {
        eprintln!("skipped: node and npm are not installed");
    }
    here
}
