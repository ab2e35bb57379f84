//! The peer under load, as its user has it: the binary, brought up and used by commands.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::chaincode::Chaincode;

/// The chaincode's name and version.
pub const CHAINCODE: &str = "load";
const VERSION: &str = "1";
/// Keys that are there to be read.
pub const KEYS: u32 = 64;
/// How long the network may take to come up, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
const LAST_LINES: usize = 15;

/// What `peer dev` says of itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ready {
    peer: String,
    chaincode_listener: String,
    channel: String,
    env: BTreeMap<String, String>,
}

/// A running network with the chaincode on its channel.
pub struct Network {
    folder: TempDir,
    binary: PathBuf,
    process: Child,
    pid: u32,
    ready: Ready,
    chaincode: Option<Chaincode>,
}

impl Network {
    /// Brings everything up and puts the keys in place; `config` is the folder of a core.yaml.
    ///
    /// # Errors
    /// When the peer does not come up or refuses the chaincode; with the end of its log.
    pub async fn start(binary: &Path, folder: TempDir, config: Option<&Path>) -> Result<Self> {
        let log = folder.path().join("peer.log");
        let mut process = Command::new(binary)
            .args(["dev", "--no-tls", "--port", "0", "--orderer-port", "0"])
            .args(["--output", "json", "--dir"])
            .arg(folder.path().join("network"))
            .env("CORE_CHAINCODE_MODE", "dev")
            .env("CORE_VM_RUNTIME", "process")
            .envs(config.map(|folder| ("FABRIC_CFG_PATH", folder)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| format!("could not create {}", log.display()))?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {}", binary.display()))?;
        let pid = process.id().context("the peer ended at once")?;
        let mut first = String::new();
        if let Some(stdout) = process.stdout.take() {
            let read = BufReader::new(stdout).read_line(&mut first).await;
            read.context("could not read what the peer prints")?;
        }
        let Ok(ready) = serde_json::from_str(&first) else {
            let status = process.wait().await?;
            bail!("the peer did not come up ({status}):\n{}", last_lines(&log));
        };
        let mut network = Self {
            folder,
            binary: binary.to_owned(),
            process,
            pid,
            ready,
            chaincode: None,
        };
        network
            .deploy()
            .await
            .with_context(|| format!("the peer's log ends:\n{}", last_lines(&log)))?;
        Ok(network)
    }

    /// `host:port` of the peer.
    pub fn peer(&self) -> &str {
        &self.ready.peer
    }

    /// The channel.
    pub fn channel(&self) -> &str {
        &self.ready.channel
    }

    /// The peer's process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Memory that the peer's process occupies.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn resident_bytes(&self) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        Ok(kilobytes.context("the kernel does not say how much memory the peer occupies")? * 1024)
    }

    /// MSP folder of the identity that the clients use.
    pub fn client_msp(&self) -> Result<(PathBuf, String)> {
        let value = |name: &str| {
            let value = self.ready.env.get(name).cloned();
            value.with_context(|| format!("peer dev names no {name}"))
        };
        Ok((
            value("CORE_PEER_MSPCONFIGPATH")?.into(),
            value("CORE_PEER_LOCALMSPID")?,
        ))
    }

    /// Ends the peer as an operator does.
    ///
    /// # Errors
    /// When it does not end, or not cleanly.
    pub async fn stop(mut self) -> Result<()> {
        self.chaincode = None;
        let pid = self.pid.to_string();
        Command::new("kill").args(["-TERM", &pid]).status().await?;
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        let status: ExitStatus = ended.context("the peer does not stop")??;
        if !status.success() {
            bail!("the peer ended with {status}");
        }
        Ok(())
    }

    async fn deploy(&mut self) -> Result<()> {
        let source = self.folder.path().join("source");
        fs::create_dir_all(&source)?;
        // never built: the chaincode is this program
        fs::write(
            source.join("package.json"),
            format!(r#"{{"name":"{CHAINCODE}","version":"1.0.0","scripts":{{"start":"true"}}}}"#),
        )?;
        let source = source.display().to_string();
        let name = ["-n", CHAINCODE, "-v", VERSION];
        self.command(&[&["install", "-l", "node", "-p", &source][..], &name].concat())
            .await?;
        let id = format!("{CHAINCODE}:{VERSION}");
        self.chaincode = Some(Chaincode::connect(&self.ready.chaincode_listener, &id).await?);
        let channel = self.ready.channel.clone();
        let on_channel = ["-C", &channel];
        let init = ["-l", "node", "-c", r#"{"Args":[]}"#];
        self.command(&[&["instantiate"][..], &on_channel, &name, &init].concat())
            .await?;
        self.defined().await?;
        for key in 0..KEYS {
            let put = format!(r#"{{"Args":["put","k{key}"]}}"#);
            let mut args = vec!["invoke", "-n", CHAINCODE, "-c", &put];
            args.extend(on_channel);
            // blocks keep the order of their transactions: with the last key committed, all are
            if key + 1 == KEYS {
                args.push("--waitForEvent");
            }
            self.command(&args).await?;
        }
        Ok(())
    }

    /// Waits until the block with the definition is committed, as a user does: by asking.
    async fn defined(&self) -> Result<()> {
        let asked = [
            "query",
            "-C",
            &self.ready.channel,
            "-n",
            CHAINCODE,
            "-c",
            r#"{"Args":["noop"]}"#,
        ];
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.command(&asked).await {
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_not_yet) => tokio::time::sleep(POLL).await,
                Ok(()) => return Ok(()),
            }
        }
    }

    async fn command(&self, args: &[&str]) -> Result<()> {
        let done = Command::new(&self.binary)
            .arg("chaincode")
            .args(args)
            .envs(&self.ready.env)
            .output()
            .await?;
        if !done.status.success() {
            let reason = String::from_utf8_lossy(&done.stderr);
            bail!("peer chaincode {} failed: {}", args.join(" "), reason.trim_end());
        }
        Ok(())
    }
}

fn last_lines(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}
