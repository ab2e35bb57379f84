//! Exchanging an auth filter under load: what clients notice of it, and what it costs in memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use deliver::client::GrpcTarget;
use peer::client::connection::PeerConnection;
use peer::client::plugin_admin;
use protos::plugin_admin::ReloadPlugins;
use protos::plugin_admin::plugin_request::Request as Operation;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::load::Load;
use crate::network::Network;
use crate::report::{self, Swapped};

/// Different files of one filter.
const FILES: usize = 4;
/// How long the load without swaps is measured.
const UNDISTURBED: Duration = Duration::from_secs(10);
/// How often it is said how far the swaps are.
const PARTS: u32 = 10;

/// The folder of the configuration and the libraries that the peer under load is pointed to.
pub struct Ground {
    config: PathBuf,
    plugins: PathBuf,
}

impl Ground {
    /// Lays out the libraries: copies of a shipped filter that differ in bytes which are not loaded.
    ///
    /// # Errors
    /// When the shipped plugins are not beside the program, or a file cannot be written.
    pub fn lay(folder: &Path, binary: &Path) -> Result<Self> {
        let (config, plugins) = (folder.join("config"), folder.join("swapped"));
        fs::create_dir_all(&config)?;
        fs::create_dir_all(&plugins)?;
        let beside = binary.parent().unwrap_or(Path::new("."));
        let shipped = [beside.join("../plugins"), beside.to_owned()];
        let original = shipped
            .iter()
            .map(|dir| dir.join("libdefault_auth.so"))
            .find(|file| file.exists())
            .context("libdefault_auth.so is not beside the peer: build the whole tree")?;
        let bytes = fs::read(&original).with_context(|| format!("cannot read {}", original.display()))?;
        for number in 0..FILES {
            let mut copy = bytes.clone();
            copy.extend_from_slice(format!("build {number}").as_bytes());
            fs::write(plugins.join(format!("build{number}.so")), copy)?;
        }
        let ground = Self { config, plugins };
        ground.configure(0)?;
        Ok(ground)
    }

    /// For `FABRIC_CFG_PATH`.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Writes the configuration of one round: another file each time, another order or another neighbour now and then.
    fn configure(&self, round: u32) -> Result<()> {
        let number = usize::try_from(round)? % FILES;
        let swapped = json!({
            "name": "swapped",
            "library": self.plugins.join(format!("build{number}.so")),
            "executor": "inline",
        });
        let expiry = json!({"name": "ExpirationCheck", "executor": "inline"});
        let filters: Vec<Value> = match round % 3 {
            0 => vec![swapped, expiry],
            1 => vec![expiry, swapped],
            _ => vec![swapped],
        };
        let document = json!({"peer": {"handlers": {
            "pluginDirs": [self.plugins],
            "authFilters": filters,
            // this many files and those that are shipped
            "maxReloads": 20 + FILES,
        }}});
        let file = self.config.join("core.yaml");
        fs::write(&file, document.to_string()).with_context(|| format!("cannot write {}", file.display()))
    }
}

/// Swaps under load, after a measurement of the same load without.
///
/// # Errors
/// When any answer is no endorsement, or a swap fails.
pub async fn measure(
    network: &Network,
    ground: &Ground,
    load: &Load<'_>,
    (swaps, concurrency): (u32, u16),
) -> Result<Swapped> {
    // what `peer dev` gives its user is the admin
    let admin = load.identity();
    let peer = PeerConnection::open(&GrpcTarget {
        address: network.peer().to_owned(),
        tls: None,
        connect_timeout: Duration::from_secs(5),
        keepalive: None,
    })
    .await?;
    report::progress("the load without swaps");
    let undisturbed = async || {
        tokio::time::sleep(UNDISTURBED).await;
        Ok(())
    };
    let without = load.steady(concurrency, undisturbed).await?;
    let swap = async |round: u32| -> Result<()> {
        ground.configure(round)?;
        let answer = plugin_admin::call(&peer, Operation::Reload(ReloadPlugins {}), admin.signer()).await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        // the peer started with set 1
        if answer.get("generation") != Some(&json!(round + 1)) {
            bail!("swap {round} was answered with {answer}");
        }
        Ok(())
    };
    // every file is mapped once before memory is looked at
    let mapped = u32::try_from(FILES)? * 3;
    for round in 1..=mapped {
        swap(round).await?;
    }
    let memory_before = network.resident_bytes()?;
    let mut durations = Vec::new();
    let with = load
        .steady(concurrency, async || {
            for round in 1..=swaps {
                let start = Instant::now();
                swap(mapped + round).await?;
                durations.push(start.elapsed());
                if round % (swaps / PARTS).max(1) == 0 {
                    report::progress(&format!("{round} of {swaps} swaps"));
                }
            }
            Ok(())
        })
        .await?;
    Ok(Swapped::of(
        (swaps, concurrency),
        (&without, &with),
        &durations,
        (memory_before, network.resident_bytes()?),
    ))
}
