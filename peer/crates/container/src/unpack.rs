//! Reads a code package (tar.gz from a client) and hands what is in it to a target: a folder, another archive. Hostile
//! input: what is not a plain file or folder below `src/` or `META-INF/` is refused, and limits hold before anything is
//! written. Nobody else reads packages as they come: two readers of one archive need not find the same in it.

mod target;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Component, Path};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

pub use target::PackageTarget;
pub(crate) use target::{Archived, Folder, Nowhere};

/// How much a code package may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Files and folders. A vendored `node_modules` has some ten thousand.
    pub entries: usize,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of the whole tar stream.
    pub total_bytes: u64,
    /// Bytes of tar per byte of package, once `ratio_floor` is passed. Source code stays below 30.
    pub ratio: u64,
    /// Tar streams below this size are not measured against `ratio`.
    pub ratio_floor: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self {
            entries: 100_000,
            file_bytes: 256 << 20,
            total_bytes: 1 << 30,
            ratio: 200,
            ratio_floor: 4 << 20,
        }
    }
}

/// Why a code package was refused. The entry's name is the client's, so it is printed escaped and cut.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Not a gzip stream.
    #[error("failure opening codepackage gzip stream")]
    Gzip(#[source] io::Error),
    /// The stream broke off or is not a tar.
    #[error("reading the package failed after entry {0}")]
    Read(String, #[source] io::Error),
    /// A name outside the two folders, or one that tries to leave them.
    #[error("illegal file detected in payload: {0}")]
    Name(String),
    /// A link, device or other special entry.
    #[error("illegal file type detected for file {0}: {1}")]
    Kind(String, &'static str),
    /// The name occurs twice, or as a file and as a folder.
    #[error("file {0} occurs twice in the package")]
    Duplicate(String),
    /// `UnpackLimits::entries`.
    #[error("more than {1} entries in the package, the first too many is {0}")]
    TooManyEntries(String, usize),
    /// `UnpackLimits::file_bytes`.
    #[error("file {0} is larger than {1} bytes")]
    FileTooLarge(String, u64),
    /// `UnpackLimits::total_bytes` or `ratio`.
    #[error("the package unpacks to more than {1} bytes, reached at entry {0}")]
    TooLarge(String, u64),
    /// The target folder could not be written.
    #[error("writing {0} failed")]
    Write(String, #[source] io::Error),
}

/// Unpacks `package` into `target`, an existing, empty folder. On an error the folder holds a part of the package.
pub fn unpack(package: &[u8], target: &Path, limits: &UnpackLimits) -> Result<(), UnpackError> {
    read_package(package, &mut Folder(target), limits)
}

/// Reads `package` as `unpack` does, and writes nothing.
pub(crate) fn check(package: &[u8], limits: &UnpackLimits) -> Result<(), UnpackError> {
    read_package(package, &mut Nowhere, limits)
}

/// Reads `package`, file by file in its order, each after the folders that it is in. On an error the target has been
/// given a part of the package.
pub fn read_package(
    package: &[u8],
    target: &mut dyn PackageTarget,
    limits: &UnpackLimits,
) -> Result<(), UnpackError> {
    // all of its members, as every other reader takes them
    let gzip = MultiGzDecoder::new(package);
    if gzip.header().is_none() {
        return Err(UnpackError::Gzip(io::Error::new(
            io::ErrorKind::InvalidData,
            "no gzip header",
        )));
    }
    let packed = u64::try_from(package.len()).unwrap_or(u64::MAX);
    let most = limits
        .total_bytes
        .min(limits.ratio_floor.max(packed.saturating_mul(limits.ratio)));
    // One byte more than allowed, so that reaching the end of `take` tells "too large" from "just fits".
    let mut archive = Archive::new(gzip.take(most.saturating_add(1)));
    let mut unpacker = Unpacker {
        target,
        limits,
        most,
        position: 0,
        seen: Seen::default(),
        last: "(none)".to_owned(),
    };
    let entries = archive
        .entries()
        .map_err(|error| UnpackError::Read("(none)".to_owned(), error))?;
    let mut long_name = None;
    // Raw: the crate would otherwise read long names of any length into memory by itself.
    for entry in entries.raw(true) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return Err(unpacker.read_failed(error)),
        };
        long_name = unpacker.entry(entry, long_name)?;
    }
    let last = unpacker.last;
    // To the end, where gzip keeps its checksum.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|error| UnpackError::Read(last.clone(), error))?;
    if rest.limit() == 0 {
        return Err(UnpackError::TooLarge(last, most));
    }
    Ok(())
}

/// A name from a GNU or pax record; the longest that a file system takes, and some room for other pax records.
const MAX_NAME_RECORD: u64 = 16 * 1024;
const MAX_NAME: usize = 1024;
const NAME_IN_ERRORS: usize = 200;

#[derive(Default)]
struct Seen {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
    explicit_folders: BTreeSet<String>,
    entries: usize,
}

struct Unpacker<'a> {
    target: &'a mut dyn PackageTarget,
    limits: &'a UnpackLimits,
    most: u64,
    position: u64,
    seen: Seen,
    last: String,
}

impl Unpacker<'_> {
    /// Handles one raw entry; returns the name it announces for the next one.
    fn entry<R: Read>(
        &mut self,
        mut entry: Entry<'_, R>,
        long_name: Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>, UnpackError> {
        let kind = entry.header().entry_type();
        let name_bytes = match &long_name {
            Some(name) => name.clone(),
            None => entry.path_bytes().into_owned(),
        };
        let shown = shown(&name_bytes);
        self.last.clone_from(&shown);
        self.count(&shown, entry.raw_file_position(), entry.size())?;
        let announced = match kind {
            EntryType::XGlobalHeader => return Ok(long_name),
            EntryType::GNULongName => {
                let mut name = self.record(&mut entry, &shown)?;
                while name.last() == Some(&0) {
                    name.pop();
                }
                Some(name)
            }
            EntryType::XHeader => {
                let record = self.record(&mut entry, &shown)?;
                pax_path(&record).map_err(|error| UnpackError::Read(shown.clone(), error))?
            }
            _ => return self.content(entry, kind, &name_bytes, shown).map(|()| None),
        };
        match (long_name, announced) {
            // readers differ in which of them counts
            (Some(_), Some(_)) => Err(UnpackError::Duplicate(shown)),
            (before, announced) => Ok(announced.or(before)),
        }
    }

    fn content<R: Read>(
        &mut self,
        entry: Entry<'_, R>,
        kind: EntryType,
        name: &[u8],
        shown: String,
    ) -> Result<(), UnpackError> {
        match kind {
            EntryType::Regular | EntryType::Continuous => self.file(entry, name, &shown),
            EntryType::Directory => self.folder(name, &shown),
            other => Err(UnpackError::Kind(shown, kind_name(other))),
        }
    }

    fn count(&mut self, shown: &str, position: u64, size: u64) -> Result<(), UnpackError> {
        self.seen.entries = self.seen.entries.saturating_add(1);
        self.position = position;
        if self.seen.entries > self.limits.entries {
            return Err(UnpackError::TooManyEntries(shown.to_owned(), self.limits.entries));
        }
        if size > self.limits.file_bytes {
            return Err(UnpackError::FileTooLarge(
                shown.to_owned(),
                self.limits.file_bytes,
            ));
        }
        // The size is announced before the bytes come: nothing of an oversized entry is written.
        if position.saturating_add(size) > self.most {
            return Err(UnpackError::TooLarge(shown.to_owned(), self.most));
        }
        Ok(())
    }

    fn record<R: Read>(&self, entry: &mut Entry<'_, R>, shown: &str) -> Result<Vec<u8>, UnpackError> {
        if entry.size() > MAX_NAME_RECORD {
            return Err(UnpackError::FileTooLarge(shown.to_owned(), MAX_NAME_RECORD));
        }
        let mut bytes = Vec::new();
        entry
            .read_to_end(&mut bytes)
            .map_err(|error| UnpackError::Read(shown.to_owned(), error))?;
        Ok(bytes)
    }

    fn file<R: Read>(
        &mut self,
        mut entry: Entry<'_, R>,
        name: &[u8],
        shown: &str,
    ) -> Result<(), UnpackError> {
        let name = checked_name(name).ok_or_else(|| UnpackError::Name(shown.to_owned()))?;
        // Below the two folders, not one of them.
        let Some((parent, _)) = name.rsplit_once('/') else {
            return Err(UnpackError::Name(shown.to_owned()));
        };
        self.create_folders(parent, shown)?;
        if self.seen.folders.contains(name) || !self.seen.files.insert(name.to_owned()) {
            return Err(UnpackError::Duplicate(shown.to_owned()));
        }
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o100 != 0);
        let size = entry.size();
        let mut content = Tracked {
            inner: &mut entry,
            read: 0,
            failed: false,
        };
        let kept = self.target.file(name, size, executable, &mut content);
        let kept = kept.and_then(|()| content.skip_rest());
        match kept {
            Ok(()) if content.read == size => Ok(()),
            Ok(()) => Err(UnpackError::Read(
                shown.to_owned(),
                io::ErrorKind::UnexpectedEof.into(),
            )),
            Err(error) if content.failed => Err(UnpackError::Read(shown.to_owned(), error)),
            Err(error) => Err(UnpackError::Write(shown.to_owned(), error)),
        }
    }

    fn folder(&mut self, name: &[u8], shown: &str) -> Result<(), UnpackError> {
        let name = name.strip_suffix(b"/").unwrap_or(name);
        let name = checked_name(name).ok_or_else(|| UnpackError::Name(shown.to_owned()))?;
        if !self.seen.explicit_folders.insert(name.to_owned()) {
            return Err(UnpackError::Duplicate(shown.to_owned()));
        }
        self.create_folders(name, shown)
    }

    fn create_folders(&mut self, name: &str, shown: &str) -> Result<(), UnpackError> {
        if self.seen.folders.contains(name) {
            return Ok(());
        }
        let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
        for folder in ends.filter_map(|end| name.get(..end)) {
            if self.seen.files.contains(folder) {
                return Err(UnpackError::Duplicate(shown.to_owned()));
            }
            if self.seen.folders.insert(folder.to_owned()) {
                self.target
                    .folder(folder)
                    .map_err(|error| UnpackError::Write(shown.to_owned(), error))?;
            }
        }
        Ok(())
    }

    /// An error between two entries: at the end of `take` it means that the stream is too long.
    fn read_failed(&self, error: io::Error) -> UnpackError {
        if self.position >= self.most {
            return UnpackError::TooLarge(self.last.clone(), self.most);
        }
        UnpackError::Read(self.last.clone(), error)
    }
}

/// Tells an error of the package from an error of the target.
struct Tracked<'a, R> {
    inner: &'a mut R,
    read: u64,
    failed: bool,
}

impl<R: Read> Tracked<'_, R> {
    /// What the target did not want.
    fn skip_rest(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(|_size| ())
    }
}

impl<R: Read> Read for Tracked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        match &read {
            Ok(read) => {
                let read = u64::try_from(*read).unwrap_or(u64::MAX);
                self.read = self.read.saturating_add(read);
            }
            Err(error) => self.failed |= error.kind() != io::ErrorKind::Interrupted,
        }
        read
    }
}

/// The name if it is a plain relative path at or below `src` or `META-INF`. One slash in front is dropped: Fabric's
/// rule for packages lets it pass.
pub(crate) fn checked_name(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name.strip_prefix('/').unwrap_or(name);
    let plain = !name.contains("//") && !name.ends_with('/') && !name.chars().any(char::is_control);
    let mut components = Path::new(name).components();
    let rooted =
        matches!(components.next(), Some(Component::Normal(first)) if first == "src" || first == "META-INF");
    // `components` drops inner `.`; such a name would not be unique.
    let normal = name
        .split('/')
        .all(|part| !matches!(part, "" | "." | "..") && part.len() <= 255);
    (plain && rooted && normal && name.len() <= MAX_NAME).then_some(name)
}

fn pax_path(record: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut path = None;
    for extension in PaxExtensions::new(record) {
        let extension = extension?;
        match extension.key_bytes() {
            b"path" => path = Some(extension.value_bytes().to_vec()),
            // Would make the reader and us disagree on where the next entry starts.
            b"size" => return Err(io::Error::new(io::ErrorKind::InvalidData, "size in a pax record")),
            // Another name and any size, for those who know such records.
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "sparse file in a pax record",
                ));
            }
            _ => {}
        }
    }
    Ok(path)
}

fn kind_name(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Link => "hard link",
        EntryType::Symlink => "symbolic link",
        EntryType::Char => "character device",
        EntryType::Block => "block device",
        EntryType::Fifo => "pipe",
        EntryType::GNUSparse => "sparse file",
        _ => "unknown type",
    }
}

fn shown(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let cut: String = text.chars().take(NAME_IN_ERRORS).collect();
    format!("{cut:?}")
}

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
