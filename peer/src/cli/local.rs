//! Commands for the machine that the peer runs on: they look at its folders and its engine, not at its listener.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use chaincode::PackageStore;
use container::{ChaincodeLogs, DockerGarbage, Garbage, GarbageKind, Naming, process_garbage};
use core_config::{CoreConfig, VmRuntime};
use protos::wire_message;
use serde::Serialize;

use super::context::Context;
use super::output;
use super::progress::during;
use crate::node::settings;

/// Prints what a chaincode's builds and instances (`wanted`) have printed, `tail` lines of each; 0: all.
///
/// # Errors
/// When there are no logs of it, or they cannot be read.
pub fn logs(context: &Context, id: &str, wanted: (bool, bool), tail: usize) -> Result<()> {
    let store = settings::chaincode_logs(&context.config);
    let folder = store.root.display();
    let found = store
        .read(id)
        .with_context(|| format!("the logs in {folder} cannot be read"))?;
    let Some(found) = found else {
        let name = id.split(':').next().unwrap_or_default();
        match versions(&context.config.peer.file_system_path, name)?.as_slice() {
            [] => bail!(
                "{folder} has no logs of {id}: is it name:version, and is this the machine and the core.yaml of the peer?"
            ),
            versions => bail!(
                "{folder} has no logs of {id}; installed are {}",
                versions.join(", ")
            ),
        }
    };
    let last = |lines: Vec<String>, wanted: bool| -> Vec<String> {
        let kept = match (wanted, tail) {
            (false, _) => 0,
            (true, 0) => lines.len(),
            (true, tail) => tail,
        };
        let skipped = lines.len().saturating_sub(kept);
        lines.into_iter().skip(skipped).collect()
    };
    let shown = ChaincodeLogs {
        build: last(found.build, wanted.0),
        run: last(found.run, wanted.1),
    };
    output::result(context.output, &shown, |shown| {
        let lines = shown.build.iter().chain(&shown.run);
        lines.map(String::as_str).collect::<Vec<_>>().join("\n")
    })
}

/// The installed versions of a chaincode, as `name:version`.
fn versions(peer_folder: &Path, name: &str) -> Result<Vec<String>> {
    let installed = PackageStore::installed_ids(peer_folder)?.unwrap_or_default();
    let of_it = |id: &String| id.split(':').next() == Some(name);
    Ok(installed.into_iter().filter(of_it).collect())
}

/// What a collection did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Collected {
    dry_run: bool,
    /// What is gone, or would be.
    removed: Vec<Garbage>,
    failed: Vec<Failed>,
    /// Where was not looked, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<String>,
}

#[derive(Debug, Serialize)]
struct Failed {
    #[serde(flatten)]
    garbage: Garbage,
    error: String,
}

/// Removes what chaincodes that are no longer installed have left.
///
/// # Errors
/// When the peer's folder is not there, the engine that the peer uses cannot be asked, or something could not be
/// removed.
pub async fn collect_garbage(context: &Context, dry_run: bool) -> Result<()> {
    let config = &context.config;
    let naming = Naming {
        network_id: config.peer.network_id.clone(),
        peer_id: config.peer.id.clone(),
    };
    let (engine, skipped) = engine(config, naming.clone()).await?;
    let look = || during("looking", find(config, &naming, engine.as_ref()));
    let first = look().await?;
    // The peer may install and build meanwhile. What was there before the second look at the packages, and is not
    // needed after it, is not needed.
    let mut garbage = look().await?;
    garbage.retain(|garbage| first.contains(garbage));
    let mut collected = Collected {
        dry_run,
        removed: Vec::new(),
        failed: Vec::new(),
        skipped,
    };
    for garbage in garbage {
        let removed = if dry_run {
            Ok(())
        } else {
            remove(engine.as_ref(), &garbage).await
        };
        match removed {
            Ok(()) => collected.removed.push(garbage),
            Err(error) => collected.failed.push(Failed {
                garbage,
                error: wire_message(AsRef::<dyn std::error::Error>::as_ref(&error)),
            }),
        }
    }
    output::result(context.output, &collected, Collected::text)?;
    if !collected.failed.is_empty() {
        bail!("{} things could not be removed", collected.failed.len());
    }
    Ok(())
}

/// All that belongs to no installed package.
async fn find(config: &CoreConfig, naming: &Naming, engine: Option<&DockerGarbage>) -> Result<Vec<Garbage>> {
    let folder = &config.peer.file_system_path;
    let installed = PackageStore::installed_ids(folder)?.with_context(|| {
        format!(
            "{} is no folder of a peer: this command needs the core.yaml of the peer (peer.fileSystemPath)",
            folder.display()
        )
    })?;
    let mut garbage = process_garbage(&settings::process_folder(config), naming, &installed)?;
    garbage.extend(settings::chaincode_logs(config).garbage(&installed)?);
    if let Some(engine) = engine {
        garbage.extend(engine.find(&installed).await?);
    }
    garbage.sort();
    Ok(garbage)
}

/// The engine, if the configuration names one. One that the peer does not use need not answer.
async fn engine(config: &CoreConfig, naming: Naming) -> Result<(Option<DockerGarbage>, Option<String>)> {
    let Some(docker) = settings::docker(config)? else {
        return Ok((None, None));
    };
    match DockerGarbage::connect(&docker, naming).await {
        Ok(engine) => Ok((Some(engine), None)),
        Err(error) if settings::uses(config, VmRuntime::Docker) => Err(error.into()),
        Err(error) => Ok((None, Some(wire_message(&error)))),
    }
}

async fn remove(engine: Option<&DockerGarbage>, garbage: &Garbage) -> Result<()> {
    match (garbage.kind, engine) {
        (GarbageKind::Container | GarbageKind::Image, Some(engine)) => Ok(engine.remove(garbage).await?),
        (GarbageKind::Container | GarbageKind::Image, None) => Ok(()),
        (GarbageKind::Build | GarbageKind::Cache | GarbageKind::Logs, _) => {
            let folder = Path::new(&garbage.id);
            std::fs::remove_dir_all(folder).with_context(|| format!("could not remove {}", folder.display()))
        }
    }
}

impl Collected {
    fn text(&self) -> String {
        let row = |garbage: &Garbage, what: &str| {
            vec![
                garbage.kind.to_string(),
                garbage.chaincode.clone(),
                garbage.name.clone(),
                what.to_owned(),
            ]
        };
        let word = if self.dry_run {
            "would be removed"
        } else {
            "removed"
        };
        let mut rows: Vec<_> = self.removed.iter().map(|garbage| row(garbage, word)).collect();
        rows.extend(
            self.failed
                .iter()
                .map(|failed| row(&failed.garbage, &failed.error)),
        );
        let mut text = if rows.is_empty() {
            "nothing to remove".to_owned()
        } else {
            output::table(&["KIND", "CHAINCODE", "NAME", "RESULT"], &rows)
        };
        if let Some(reason) = &self.skipped {
            text.push_str(&format!("\nnot looked at the Docker Engine: {reason}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_a_chaincode_are_those_of_its_very_name() {
        let folder = tempfile::tempdir().unwrap();
        assert!(versions(folder.path(), "kv").unwrap().is_empty());
        std::fs::create_dir(folder.path().join("chaincodes")).unwrap();
        for file in ["kv.1", "kv.1.2", "kv2.1"] {
            std::fs::write(folder.path().join("chaincodes").join(file), "").unwrap();
        }
        assert_eq!(versions(folder.path(), "kv").unwrap(), ["kv:1", "kv:1.2"]);
    }

    #[test]
    fn a_table_says_what_became_of_each() {
        let garbage = |kind, name: &str| Garbage {
            kind,
            name: name.into(),
            chaincode: "cc:1".into(),
            id: String::new(),
        };
        let collected = Collected {
            dry_run: false,
            removed: vec![garbage(GarbageKind::Container, "a")],
            failed: vec![Failed {
                garbage: garbage(GarbageKind::Image, "b"),
                error: "in use".into(),
            }],
            skipped: None,
        };
        assert_eq!(
            collected.text(),
            "KIND       CHAINCODE  NAME  RESULT\ncontainer  cc:1       a     removed\nimage      cc:1       b     in use"
        );
        let none = Collected {
            dry_run: true,
            removed: Vec::new(),
            failed: Vec::new(),
            skipped: Some("no engine".into()),
        };
        assert_eq!(
            none.text(),
            "nothing to remove\nnot looked at the Docker Engine: no engine"
        );
        let json = serde_json::to_value(&collected).unwrap();
        assert_eq!(json["failed"][0]["error"], "in use");
        assert_eq!(json["removed"][0]["kind"], "container");
    }
}
