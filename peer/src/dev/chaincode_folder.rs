//! A chaincode in a folder of source: packaged, installed, instantiated, and upgraded when it has changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use handlers::Platforms;
use prost::Message;
use protos::peer::{ChaincodeDeploymentSpec, ChaincodeInfo};
use protos::{sha256, wire_message};

use super::folder::Deployed;
use super::network::Network;
use crate::cli::progress::during;
use crate::client::package::{PackageRequest, package};

/// A chaincode that is made from a folder.
#[derive(Debug)]
pub(super) struct ChaincodeFolder {
    path: PathBuf,
    name: String,
    lang: Option<String>,
    args: Vec<Bytes>,
}

/// What became of a folder's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TakenOver {
    /// It is what runs already.
    Unchanged { version: String },
    /// It is the chaincode's first version on the channel.
    Instantiated { version: String, block: u64 },
    /// It replaced another version.
    Upgraded {
        from: String,
        version: String,
        block: u64,
    },
}

impl TakenOver {
    /// The version on the channel.
    pub(super) fn version(&self) -> &str {
        let (Self::Unchanged { version }
        | Self::Instantiated { version, .. }
        | Self::Upgraded { version, .. }) = self;
        version
    }
}

impl ChaincodeFolder {
    /// The chaincode of a folder; without a name it gets the folder's.
    pub(super) fn new(path: &Path, name: Option<&str>, lang: Option<&str>, args: Vec<Bytes>) -> Result<Self> {
        let path =
            std::fs::canonicalize(path).with_context(|| format!("no chaincode folder {}", path.display()))?;
        if !path.is_dir() {
            bail!("{} is not a folder", path.display());
        }
        let name = match name {
            Some(name) if name_of(name) == name && !name.is_empty() => name.to_owned(),
            Some(name) => bail!(
                "invalid chaincode name '{name}'. Names must start with an alphanumeric character and can only \
                 consist of alphanumerics, '_', and '-'"
            ),
            None => name_of(&path.file_name().unwrap_or_default().to_string_lossy()),
        };
        if name.is_empty() {
            bail!(
                "the name of folder {} makes no chaincode name; give one with --name",
                path.display()
            );
        }
        Ok(Self {
            path,
            name,
            lang: lang.map(str::to_owned),
            args,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Settles the language: the one given, else the one whose platform accepts the folder.
    pub(super) async fn settle_language(&mut self, platforms: &Platforms) -> Result<()> {
        if let Some(lang) = &self.lang {
            platforms.by_type(lang)?;
            return Ok(());
        }
        let (mut accepted, mut refusals) = (Vec::new(), Vec::new());
        for kind in platforms.types() {
            match self.accepted_by(platforms, kind).await {
                Ok(()) => accepted.push(kind.to_lowercase()),
                Err(refusal) => refusals.push(format!("{}: {refusal:#}", kind.to_lowercase())),
            }
        }
        match accepted.as_slice() {
            [] => {}
            [language] => {
                tracing::info!(language, path = %self.path.display(), "chaincode language found");
                self.lang = Some(language.clone());
                return Ok(());
            }
            several => bail!(
                "{} may be chaincode in any of: {}; say which with --lang",
                self.path.display(),
                several.join(", ")
            ),
        }
        if refusals.is_empty() {
            bail!("no platform is loaded; peer.handlers.platforms of core.yaml names them");
        }
        bail!(
            "no loaded platform accepts {}\n  {}",
            self.path.display(),
            refusals.join("\n  ")
        )
    }

    async fn accepted_by(&self, platforms: &Platforms, kind: &str) -> Result<()> {
        let package = self.package(platforms, kind, "0").await?;
        platforms.by_type(kind)?.validate_deployment_spec(package).await?;
        Ok(())
    }

    async fn package(&self, platforms: &Platforms, lang: &str, version: &str) -> Result<Bytes> {
        let request = PackageRequest {
            name: self.name.clone(),
            version: version.to_owned(),
            path: self.path.clone(),
            lang: lang.to_owned(),
            input: protos::peer::ChaincodeInput::default(),
        };
        Ok(package(platforms, &request).await?)
    }

    /// Brings the folder's present content onto the channel. The version before goes with [`Self::retire`].
    pub(super) async fn take_over(&self, network: &Network) -> Result<TakenOver> {
        let admin = network.admin_client();
        let instantiated = admin.instantiated().await?;
        let running = version_of(&instantiated, &self.name);
        let known = [admin.installed().await?, instantiated].concat();
        let version = next_version(&self.name, &known);
        let lang = self.lang.as_deref().unwrap_or_default();
        let packaging = self.package(&network.node().platforms(), lang, &version).await;
        let package = packaging.with_context(|| format!("{} cannot be packaged", self.name))?;
        let digest = self.digest(&package)?;
        let kept = network.folder().deployed(network.channel(), &self.name)?;
        if let Some(version) = running.clone()
            && kept
                == Some(Deployed {
                    version: version.clone(),
                    digest: digest.clone(),
                })
        {
            return Ok(TakenOver::Unchanged { version });
        }
        let what = format!("building and starting {} {version}", self.name);
        let block = during(&what, async {
            admin.install(package).await?;
            let args = self.args.iter().cloned();
            let committed = match &running {
                None => admin.deploy(&self.name, &version, args, None).await?,
                Some(_) => admin.upgrade(&self.name, &version, args, None).await?,
            };
            anyhow::Ok(committed.block)
        })
        .await;
        let block = match block {
            Ok(block) => block,
            Err(error) => {
                // it may be running all the same, if its Init has refused
                self.end(network, &version).await;
                return Err(error);
            }
        };
        let deployed = Deployed {
            version: version.clone(),
            digest,
        };
        network
            .folder()
            .keep_deployed(network.channel(), &self.name, deployed)?;
        Ok(match running {
            None => TakenOver::Instantiated { version, block },
            Some(from) => TakenOver::Upgraded { from, version, block },
        })
    }

    /// Ends the version that was replaced, which may take seconds: whoever waits for the new one is told first.
    pub(super) async fn retire(&self, network: &Network, taken: &TakenOver) {
        if let TakenOver::Upgraded { from, .. } = taken {
            self.end(network, from).await;
        }
    }

    /// Ends a version that was replaced or has failed, and removes its build: a day of editing would leave a
    /// process and a tree of dependencies for every change. Another channel that still has this version builds and
    /// starts it again with its next call.
    async fn end(&self, network: &Network, version: &str) {
        network
            .node()
            .remove_chaincode(&format!("{}:{version}", self.name))
            .await;
    }

    /// Of the code and of what Init gets: a change of either is a reason for a new version.
    fn digest(&self, package: &Bytes) -> Result<String> {
        let code = ChaincodeDeploymentSpec::decode(package.clone())?.code_package;
        let arguments = protos::peer::ChaincodeInput {
            args: self.args.clone(),
            ..Default::default()
        };
        Ok(hex::encode(sha256(&[
            &sha256(&[&code]),
            &arguments.encode_to_vec(),
        ])))
    }
}

/// What is left of a text that makes a chaincode name: groups of letters and digits between single `-` or `_`.
fn name_of(text: &str) -> String {
    let mut name = String::new();
    for char in text.chars() {
        let after_group = name
            .chars()
            .last()
            .is_some_and(|last| last.is_ascii_alphanumeric());
        match char {
            _ if char.is_ascii_alphanumeric() => name.push(char),
            '_' if after_group => name.push('_'),
            _ if after_group => name.push('-'),
            _ => {}
        }
    }
    name.trim_end_matches(['-', '_']).to_owned()
}

fn version_of(chaincodes: &[ChaincodeInfo], name: &str) -> Option<String> {
    chaincodes
        .iter()
        .find(|info| info.name == name)
        .map(|info| info.version.clone())
}

/// One more than the highest number; versions of other forms do not count, but are not taken twice.
fn next_version(name: &str, known: &[ChaincodeInfo]) -> String {
    let versions = known
        .iter()
        .filter(|info| info.name == name)
        .map(|info| info.version.as_str());
    let numbers: BTreeSet<u64> = versions.filter_map(|version| version.parse().ok()).collect();
    numbers
        .last()
        .map_or(1, |last| last.saturating_add(1))
        .to_string()
}

/// An error as people read it, the output of a build included.
pub(super) fn told(error: &anyhow::Error) -> String {
    wire_message(error.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, version: &str) -> ChaincodeInfo {
        ChaincodeInfo {
            name: name.to_owned(),
            version: version.to_owned(),
            ..ChaincodeInfo::default()
        }
    }

    #[test]
    fn versions_go_on_after_everything_known() {
        assert_eq!(next_version("kv", &[]), "1");
        assert_eq!(next_version("kv", &[info("other", "7"), info("kv", "x.1")]), "1");
        assert_eq!(
            next_version("kv", &[info("kv", "9"), info("kv", "10"), info("kv", "2")]),
            "11"
        );
        assert_eq!(
            version_of(&[info("a", "1"), info("kv", "2")], "kv").as_deref(),
            Some("2")
        );
        assert_eq!(version_of(&[info("a", "1")], "kv"), None);
    }

    #[test]
    fn a_folders_name_becomes_a_chaincode_name() {
        for (text, name) in [
            ("kv", "kv"),
            ("my_cc-2", "my_cc-2"),
            ("my chain.code", "my-chain-code"),
            ("_x--y_", "x-y"),
            ("zürich", "z-rich"),
            ("..", ""),
        ] {
            assert_eq!(name_of(text), name, "{text}");
        }
    }

    #[test]
    fn a_folder_and_a_name_are_checked_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("my cc");
        std::fs::create_dir(&source).unwrap();
        assert_eq!(
            ChaincodeFolder::new(&source, None, None, Vec::new())
                .unwrap()
                .name(),
            "my-cc"
        );
        assert_eq!(
            ChaincodeFolder::new(&source, Some("x"), None, Vec::new())
                .unwrap()
                .name(),
            "x"
        );
        let refused = ChaincodeFolder::new(&source, Some("../x"), None, Vec::new()).unwrap_err();
        assert!(
            refused.to_string().starts_with("invalid chaincode name '../x'"),
            "{refused}"
        );
        let missing = ChaincodeFolder::new(&folder.path().join("none"), None, None, Vec::new()).unwrap_err();
        assert!(
            missing.to_string().starts_with("no chaincode folder"),
            "{missing}"
        );
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(ChaincodeFolder::new(&file, None, None, Vec::new()).is_err());
    }

    #[test]
    fn the_digest_is_of_code_and_init_arguments_not_of_the_version() {
        let folder = tempfile::tempdir().unwrap();
        let package = |code: &'static [u8], version: &str| -> Bytes {
            let id = protos::peer::ChaincodeId {
                version: version.to_owned(),
                ..Default::default()
            };
            let spec = protos::peer::ChaincodeSpec {
                chaincode_id: Some(id),
                ..Default::default()
            };
            ChaincodeDeploymentSpec {
                chaincode_spec: Some(spec),
                code_package: code.into(),
                ..Default::default()
            }
            .encode_to_vec()
            .into()
        };
        let source = |args: Vec<Bytes>| ChaincodeFolder::new(folder.path(), Some("kv"), None, args).unwrap();
        let plain = source(Vec::new());
        let digest = plain.digest(&package(b"code", "1")).unwrap();
        assert_eq!(plain.digest(&package(b"code", "2")).unwrap(), digest);
        assert_ne!(plain.digest(&package(b"cod", "1")).unwrap(), digest);
        assert_ne!(
            source(vec!["a".into()]).digest(&package(b"code", "1")).unwrap(),
            digest
        );
    }

    #[tokio::test]
    async fn without_platforms_there_is_no_language() {
        let folder = tempfile::tempdir().unwrap();
        let mut source = ChaincodeFolder::new(folder.path(), Some("kv"), None, Vec::new()).unwrap();
        let error = source.settle_language(&Platforms::default()).await.unwrap_err();
        assert!(error.to_string().contains("peer.handlers.platforms"), "{error}");
        let mut given = ChaincodeFolder::new(folder.path(), Some("kv"), Some("cobol"), Vec::new()).unwrap();
        let error = given.settle_language(&Platforms::default()).await.unwrap_err();
        assert!(
            error.to_string().starts_with("Unknown chaincodeType: cobol"),
            "{error}"
        );
    }
}
