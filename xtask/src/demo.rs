//! `cargo xtask demo`: the main job, from a folder of chaincode to a committed, readable value.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value yields null where there is nothing"
)]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::steps::{announce, output, print, require, require_node, root};
use crate::{dist, docker};

/// What is shown.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Demo {
    /// The chaincode's language.
    #[arg(long, value_enum, default_value_t)]
    language: Language,
    /// Where the chaincode runs. docker: an engine is installed and started if none answers.
    #[arg(long, value_enum, default_value_t)]
    runtime: Runtime,
}

impl Demo {
    /// Node chaincode in containers.
    pub fn in_containers() -> Self {
        Self {
            runtime: Runtime::Docker,
            ..Self::default()
        }
    }
}

/// Where the demo's chaincode runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Runtime {
    /// As a process of this machine.
    #[default]
    Process,
    /// In a container.
    Docker,
}

impl Runtime {
    fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Docker => "docker",
        }
    }
}

/// Languages that there is a demo chaincode for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// JavaScript, with Node.js and npm.
    #[default]
    Node,
    /// Go.
    Golang,
    /// Java, with Maven.
    Java,
}

impl Language {
    /// As `peer dev --lang` has it.
    fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Golang => "golang",
            Self::Java => "java",
        }
    }

    /// The chaincode's folder.
    fn chaincode(self) -> &'static str {
        match self {
            Self::Node => "tests/chaincode/kv",
            Self::Golang => "tests/chaincode/kv-go",
            Self::Java => "tests/chaincode/kv-java",
        }
    }

    fn tool(self) -> &'static str {
        match self {
            Self::Node => "npm",
            Self::Golang => "go",
            Self::Java => "Maven",
        }
    }

    fn require(self) -> Result<()> {
        match self {
            Self::Node => require_node(),
            Self::Golang => require(&[("go", "install Go 1.24 or newer")]),
            Self::Java => require(&[
                ("java", "install a JDK, 11 or newer"),
                ("mvn", "install Maven 3.6 or newer"),
            ]),
        }
    }
}

/// Builds, brings up a network in one process, runs the chaincode, prints what happened.
pub fn run(demo: Demo) -> Result<()> {
    match demo.runtime {
        Runtime::Process => demo.language.require()?,
        Runtime::Docker => docker::set_up()?,
    }
    let place = root().join("target/demo");
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| format!("could not clear {}", place.display()))?;
    }
    dist::lay_out("dev", &place)?;
    let network = Network::start(&place, demo)?;
    let shown = main_job(&network, demo);
    if demo.runtime == Runtime::Docker {
        network.remove_images(&place)?;
    }
    network.stop()?;
    print(&shown?);
    Ok(())
}

/// A running `peer dev`.
struct Network {
    process: Child,
    peer: PathBuf,
    log: PathBuf,
    ready: Value,
}

impl Network {
    fn start(place: &Path, demo: Demo) -> Result<Self> {
        let peer = place.join("bin/peer");
        let log = place.join("peer.log");
        announce(&format!(
            "bringing up CA, orderer, channel and peer; building the chaincode with {} (peer dev)",
            demo.language.tool()
        ));
        let mut process = Command::new(&peer)
            .args([
                "dev",
                "--reset",
                "--port",
                "0",
                "--orderer-port",
                "0",
                "--output",
                "json",
                "--lang",
                demo.language.name(),
            ])
            .args([
                "--name",
                "kv",
                "--ctor",
                r#"{"Args":["init","greeting","hello"]}"#,
                "--dir",
            ])
            .arg(place.join("network"))
            .arg("--chaincode")
            .arg(root().join(demo.language.chaincode()))
            .env("FABRIC_LOGGING_FORMAT", "json")
            .env("CORE_VM_RUNTIME", demo.runtime.word())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("could not create {}", log.display()))?)
            .spawn()
            .with_context(|| format!("could not start {}", peer.display()))?;
        let mut first = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut first)?;
        }
        let Ok(ready) = serde_json::from_str(&first) else {
            let status = process.wait()?;
            let text = fs::read_to_string(&log).unwrap_or_default();
            let last: Vec<&str> = text.lines().rev().take(15).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            bail!(
                "peer dev did not come up ({status}); its log {} ends:\n{}",
                log.display(),
                last.join("\n")
            );
        };
        Ok(Self {
            process,
            peer,
            log,
            ready,
        })
    }

    /// Runs a `peer` command as the network's administrator.
    fn peer(&self, args: &[&str]) -> Result<Value> {
        let mut command = Command::new(&self.peer);
        command.args(args).args(["--output", "json"]);
        for (name, value) in self.ready["env"].as_object().into_iter().flatten() {
            command.env(name, value.as_str().unwrap_or_default());
        }
        let text = output(&mut command)?;
        serde_json::from_str(&text)
            .with_context(|| format!("peer {} printed no JSON: {text}", args.join(" ")))
    }

    /// Leaves nothing on the engine: uninstalls everything, and has it collected.
    fn remove_images(&self, place: &Path) -> Result<()> {
        announce("removing container and image (peer chaincode gc)");
        for package in fs::read_dir(place.join("network/peer/chaincodes"))? {
            fs::remove_file(package?.path())?;
        }
        self.peer(&["chaincode", "gc"]).map(|_collected| ())
    }

    fn stop(mut self) -> Result<()> {
        let pid = self.process.id().to_string();
        output(Command::new("kill").args(["-TERM", &pid]))?;
        let status = self.process.wait()?;
        if !status.success() {
            bail!("peer dev ended with {status}; its log is {}", self.log.display());
        }
        Ok(())
    }

    /// The peer's own account of a transaction: the log line of its endorsement.
    fn endorsement_line(&self, tx_id: &str) -> Result<Value> {
        let text = fs::read_to_string(&self.log)?;
        text.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|line| line["fields"]["message"] == "proposal endorsed" && line["fields"]["tx_id"] == tx_id)
            .with_context(|| {
                format!(
                    "the peer's log {} has no endorsement of {tx_id}",
                    self.log.display()
                )
            })
    }
}

fn main_job(network: &Network, demo: Demo) -> Result<String> {
    let channel = network.ready["channel"]
        .as_str()
        .context("peer dev named no channel")?;
    announce("plugins, invoke, commit, query");
    let plugins = network.peer(&["plugin", "list"])?;
    let call = r#"{"Args":["put","asset1","blue"]}"#;
    let invoked = network.peer(&[
        "chaincode",
        "invoke",
        "-C",
        channel,
        "-n",
        "kv",
        "-c",
        call,
        "--waitForEvent",
    ])?;
    let tx_id = invoked["txId"]
        .as_str()
        .context("the invocation has no transaction id")?;
    let query = r#"{"Args":["get","asset1"]}"#;
    let read = network.peer(&["chaincode", "query", "-C", channel, "-n", "kv", "-c", query])?;
    if read["payload"] != "blue" {
        bail!("the value read back is {}, not \"blue\"", read["payload"]);
    }
    let endorsed = network.endorsement_line(tx_id)?;
    let mut lines = vec![String::new(), "plugins loaded as shared libraries:".to_owned()];
    for plugin in plugins.as_array().into_iter().flatten() {
        lines.push(format!(
            "  {:<18} {:<18} {}",
            text(&plugin["kind"]),
            text(&plugin["name"]),
            text(&plugin["file"])
        ));
    }
    lines.push(format!(
        "filters passed      {}",
        text(&endorsed["fields"]["filters"])
    ));
    lines.push(format!("chaincode runtime   {}", demo.runtime.word()));
    lines.push(format!("transaction         {tx_id}"));
    lines.push(format!("endorsed by         {}", text(&invoked["endorser"])));
    lines.push(format!(
        "committed in block  {} as {}",
        invoked["block"],
        text(&invoked["validationCode"])
    ));
    lines.push(format!("value read back     asset1 = {}", text(&read["payload"])));
    Ok(lines.join("\n"))
}

/// A JSON string without its quotes; anything else as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
