//! The folder of a development network: whose it is, what lies where, what is remembered between runs.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Says that the folder is ours, and holds the ports.
const MARKER: &str = "peer-dev.json";
/// Held for as long as the network runs.
const LOCK: &str = "peer-dev.lock";
/// Which source each chaincode was made of.
const CHAINCODES: &str = "chaincodes.json";
/// The form of the folder's content.
const VERSION: u32 = 1;

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It has content that this program did not write.
    #[error("{} is not empty and not a folder of `peer dev` (it has no {MARKER}); choose another with --dir", .0.display())]
    Foreign(PathBuf),
    /// Another version of this program wrote it.
    #[error("{} was written by another version of `peer dev` (form {found}, this one writes {VERSION}); --reset starts afresh", path.display())]
    OtherVersion {
        /// The folder.
        path: PathBuf,
        /// Its form.
        found: u32,
    },
    /// A network runs in it.
    #[error("another `peer dev` is running in {}", .0.display())]
    Busy(PathBuf),
    /// A file of ours does not have our form.
    #[error("{} is damaged; --reset starts afresh", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The file system.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

/// The ports of a network. Its channels' configuration names the orderer's, so they stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Where clients connect.
    pub peer: u16,
    /// Where chaincode registers.
    pub chaincode: u16,
    /// Where the orderer listens.
    pub orderer: u16,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ports: Option<Ports>,
}

/// What a chaincode's running version was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The version on the channel.
    pub version: String,
    /// SHA-256 of its code and its Init arguments, in hexadecimal.
    pub digest: String,
}

/// An open folder; nobody else has it while this exists.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    ports: Option<Ports>,
    _lock: File,
}

impl Folder {
    /// Opens the folder, or makes it. Blocks.
    ///
    /// # Errors
    /// When it is somebody else's or in use.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        fs::create_dir_all(path).map_err(at(path))?;
        let path = fs::canonicalize(path).map_err(at(path))?;
        if !path.join(MARKER).exists() {
            if has_content(&path)? {
                return Err(FolderError::Foreign(path));
            }
            save(
                &path.join(MARKER),
                &Marker {
                    version: VERSION,
                    ports: None,
                },
            )?;
        }
        let lock = lock(&path)?;
        let marker = marker(&path)?;
        if marker.version != VERSION {
            return Err(FolderError::OtherVersion {
                path,
                found: marker.version,
            });
        }
        Ok(Self {
            path,
            ports: marker.ports,
            _lock: lock,
        })
    }

    /// Deletes what a former network left in the folder, if the folder is ours. Blocks.
    ///
    /// # Errors
    /// When it is somebody else's or in use; then nothing is deleted.
    pub fn reset(path: &Path) -> Result<(), FolderError> {
        if !path.exists() || !has_content(path)? {
            return Ok(());
        }
        if !path.join(MARKER).exists() {
            return Err(FolderError::Foreign(path.to_owned()));
        }
        marker(path)?;
        let _lock = lock(path)?;
        for entry in fs::read_dir(path).map_err(at(path))? {
            let entry = entry.map_err(at(path))?;
            // the marker goes last: what is left after an interruption is still ours
            if entry.file_name() != MARKER {
                remove(&entry.path())?;
            }
        }
        remove(&path.join(MARKER))
    }

    /// The folder, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ports of the former run.
    #[must_use]
    pub fn ports(&self) -> Option<Ports> {
        self.ports
    }

    /// Remembers the ports. Blocks.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_ports(&mut self, ports: Ports) -> Result<(), FolderError> {
        if self.ports != Some(ports) {
            save(
                &self.path.join(MARKER),
                &Marker {
                    version: VERSION,
                    ports: Some(ports),
                },
            )?;
            self.ports = Some(ports);
        }
        Ok(())
    }

    /// A file or folder in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What this channel's chaincode was made of, if this program made it. Blocks.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn deployed(&self, channel: &str, chaincode: &str) -> Result<Option<Deployed>, FolderError> {
        Ok(self.all_deployed()?.remove(&deployed_key(channel, chaincode)))
    }

    /// Remembers what this channel's chaincode is made of. Blocks.
    ///
    /// # Errors
    /// When the file is damaged or cannot be written.
    pub fn keep_deployed(
        &self,
        channel: &str,
        chaincode: &str,
        deployed: Deployed,
    ) -> Result<(), FolderError> {
        let mut all = self.all_deployed()?;
        all.insert(deployed_key(channel, chaincode), deployed);
        save(&self.join(CHAINCODES), &all)
    }

    fn all_deployed(&self) -> Result<BTreeMap<String, Deployed>, FolderError> {
        let path = self.join(CHAINCODES);
        if path.exists() {
            read(&path)
        } else {
            Ok(BTreeMap::new())
        }
    }
}

fn deployed_key(channel: &str, chaincode: &str) -> String {
    format!("{channel}/{chaincode}")
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { path, source }
}

fn has_content(path: &Path) -> Result<bool, FolderError> {
    Ok(fs::read_dir(path).map_err(at(path))?.next().is_some())
}

fn lock(path: &Path) -> Result<File, FolderError> {
    let file = path.join(LOCK);
    let opened = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&file)
        .map_err(at(&file))?;
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => Err(FolderError::Busy(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(FolderError::Io { path: file, source }),
    }
}

fn marker(path: &Path) -> Result<Marker, FolderError> {
    read(&path.join(MARKER))
}

fn remove(path: &Path) -> Result<(), FolderError> {
    let metadata = fs::symlink_metadata(path).map_err(at(path))?;
    let removed = if metadata.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(at(path))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, FolderError> {
    let bytes = fs::read(path).map_err(at(path))?;
    serde_json::from_slice(&bytes).map_err(|source| FolderError::Damaged {
        path: path.to_owned(),
        source,
    })
}

fn save<T: Serialize>(path: &Path, value: &T) -> Result<(), FolderError> {
    let bytes = serde_json::to_vec_pretty(value).map_err(|source| FolderError::Damaged {
        path: path.to_owned(),
        source,
    })?;
    write_file(path, &bytes, Readers::All)
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Everybody.
    All,
    /// Its owner: it holds a key.
    Owner,
}

/// Replaces a file as a whole: after a crash it is the old one or the new one.
pub(super) fn write_file(path: &Path, content: &[u8], readers: Readers) -> Result<(), FolderError> {
    let mut draft = path.to_owned().into_os_string();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let mut options = File::options();
    options.create(true).write(true).truncate(true);
    #[cfg(unix)]
    if readers == Readers::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let written = options.open(&draft).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(at(&draft))?;
    fs::rename(&draft, path).map_err(at(path))
}

#[cfg(test)]
mod tests;
