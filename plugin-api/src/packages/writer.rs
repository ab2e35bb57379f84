//! Packs a chaincode's folder, deterministically: nothing depends on who packs, where, or when.

use super::metadata;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};
use thiserror::Error;
use tracing::warn;
use walkdir::{DirEntry, WalkDir};

/// The most that a folder may contain; a message carries 100 MiB of it once compressed.
const MAX_CONTENT: u64 = 512 << 20;
const MODE: u32 = 0o100_644;
const FOLDER_MODE: u32 = 0o040_755;
const USER: u64 = 500;

/// Why a folder cannot be packed.
#[derive(Debug, Error)]
pub enum PackError {
    /// No path was given.
    #[error("ChaincodeSpec's path cannot be empty")]
    EmptyPath,
    /// There is nothing to pack.
    #[error("Error writing Chaincode package contents: no source files found in '{0}'")]
    NoFiles(String),
    /// A file below `META-INF` is no index definition.
    #[error("Error writing Chaincode package contents: {0}")]
    Metadata(String),
    /// A file cannot be read.
    #[error("Error writing Chaincode package contents: {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A device, a pipe, a link to a folder.
    #[error("Error writing Chaincode package contents: {0} is no regular file")]
    Special(PathBuf),
    /// A link that leads somewhere else.
    #[error("Error writing Chaincode package contents: {0} leads out of the chaincode's folder")]
    Escapes(PathBuf),
    /// More than a package can hold.
    #[error("Error writing Chaincode package contents: more than {limit} bytes")]
    TooLarge {
        /// How much it can hold.
        limit: u64,
    },
}

impl PackError {
    /// For an error with a file.
    pub fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }
}

/// The tar.gz of a folder: sources below `src/`, metadata below `META-INF/`, without what Fabric leaves out and
/// what `leave_out` names (a path relative to the folder, and whether it is a folder itself).
///
/// # Errors
/// When there is nothing in it, or something that no package can hold.
pub fn pack_folder(folder: &str, leave_out: impl Fn(&Path, bool) -> bool) -> Result<Vec<u8>, PackError> {
    if folder.is_empty() {
        return Err(PackError::EmptyPath);
    }
    let mut package = PackageWriter::of(Path::new(folder))?;
    let root = package.root().to_owned();
    let relative = |path: &Path| path.strip_prefix(&root).unwrap_or(path).to_owned();
    let wanted = |entry: &DirEntry| {
        entry.depth() == 0 || !leave_out(&relative(entry.path()), entry.file_type().is_dir())
    };
    for entry in WalkDir::new(&root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(wanted)
    {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(&root).to_owned();
            let source = error
                .into_io_error()
                .unwrap_or_else(|| io::Error::other("loop of links"));
            PackError::File { path, source }
        })?;
        if entry.file_type().is_dir() {
            continue;
        }
        if let Some(name) = package_name(&relative(entry.path())) {
            package.add_file(&name, entry.path())?;
        }
    }
    if package.files == 0 {
        return Err(PackError::NoFiles(folder.to_owned()));
    }
    package.finish()
}

/// The name in the package; none for what Fabric leaves out.
fn package_name(relative: &Path) -> Option<String> {
    let text = relative.to_string_lossy();
    if text.contains(".git") {
        // Fabric's rule is this wide: it also hits `my.github.js`
        if !relative
            .iter()
            .any(|part| part.to_string_lossy().starts_with(".git"))
        {
            warn!(file = %text, "file left out of the package because of its name");
        }
        return None;
    }
    let in_metadata = relative.starts_with("META-INF");
    let hidden = relative
        .file_name()
        .and_then(OsStr::to_str)
        .is_some_and(|name| name.starts_with('.'));
    if in_metadata && hidden {
        warn!(file = %text, "hidden file in the metadata folder left out of the package");
        return None;
    }
    Some(if in_metadata {
        text.into_owned()
    } else {
        format!("src/{text}")
    })
}

/// A package on its way.
pub struct PackageWriter {
    builder: Builder<GzEncoder<Vec<u8>>>,
    root: PathBuf,
    left: u64,
    files: usize,
}

impl PackageWriter {
    /// A package of files below `root`.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn of(root: &Path) -> Result<Self, PackError> {
        let canonical = fs::canonicalize(root).map_err(|source| PackError::file(root, source))?;
        Ok(Self {
            builder: Builder::new(GzEncoder::new(Vec::new(), Compression::default())),
            root: canonical,
            left: MAX_CONTENT,
            files: 0,
        })
    }

    /// The folder, without links in its path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Files of another folder follow.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn set_root(&mut self, root: &Path) -> Result<(), PackError> {
        self.root = fs::canonicalize(root).map_err(|source| PackError::file(root, source))?;
        Ok(())
    }

    /// Adds a file of the folder under `name`; index definitions are checked. Links are followed, but not out of
    /// the folder.
    ///
    /// # Errors
    /// When it is no regular file of the folder, or no index definition, or there is no room for it.
    pub fn add_file(&mut self, name: &str, path: &Path) -> Result<(), PackError> {
        let content = self.read(path)?;
        if name.starts_with("META-INF/") {
            metadata::validate(name, &content).map_err(PackError::Metadata)?;
        }
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let mut header = header(EntryType::Regular, MODE, size);
        let appended = self.builder.append_data(&mut header, name, content.as_slice());
        appended.map_err(|source| PackError::file(path, source))?;
        self.files = self.files.saturating_add(1);
        Ok(())
    }

    /// Adds a folder.
    ///
    /// # Errors
    /// When its name does not fit.
    pub fn add_folder(&mut self, name: &str) -> Result<(), PackError> {
        let mut header = header(EntryType::Directory, FOLDER_MODE, 0);
        let appended = self
            .builder
            .append_data(&mut header, format!("{name}/"), io::empty());
        appended.map_err(|source| PackError::file(Path::new(name), source))
    }

    /// The package.
    ///
    /// # Errors
    /// Never in memory.
    pub fn finish(self) -> Result<Vec<u8>, PackError> {
        let finished = self.builder.into_inner().and_then(GzEncoder::finish);
        finished.map_err(|source| PackError::file(&self.root, source))
    }

    fn read(&mut self, path: &Path) -> Result<Vec<u8>, PackError> {
        let failed = |source| PackError::file(path, source);
        let target = fs::canonicalize(path).map_err(failed)?;
        if !target.starts_with(&self.root) {
            return Err(PackError::Escapes(path.to_owned()));
        }
        if !fs::metadata(&target).map_err(failed)?.is_file() {
            return Err(PackError::Special(path.to_owned()));
        }
        let mut content = Vec::new();
        File::open(&target)
            .map_err(failed)?
            .take(self.left.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(failed)?;
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.left = self
            .left
            .checked_sub(size)
            .ok_or(PackError::TooLarge { limit: MAX_CONTENT })?;
        Ok(content)
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(USER);
    header.set_gid(USER);
    header.set_mtime(0);
    header.set_size(size);
    header
}

#[cfg(test)]
mod tests;
