//! Packs a chaincode's folder, deterministically.

use crate::error::PayloadError;
use crate::metadata;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};
use tracing::warn;
use walkdir::{DirEntry, WalkDir};

/// The most that a folder may contain; a message carries 100 MiB of it once compressed.
const MAX_CONTENT: u64 = 512 << 20;
const MODE: u32 = 0o100_644;
const USER: u64 = 500;

/// The tar.gz of a folder: sources below `src/`, metadata below `META-INF/`.
pub(crate) fn pack(folder: &str) -> Result<Vec<u8>, PayloadError> {
    if folder.is_empty() {
        return Err(PayloadError::EmptyPath);
    }
    let root = fs::canonicalize(folder).map_err(|source| failed(Path::new(folder), source))?;
    let mut package = Package {
        builder: Builder::new(GzEncoder::new(Vec::new(), Compression::default())),
        left: MAX_CONTENT,
        files: 0,
    };
    let walk = WalkDir::new(&root).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| !is_dependency_folder(entry)) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(&root).to_owned();
            let source = error
                .into_io_error()
                .unwrap_or_else(|| io::Error::other("loop of links"));
            PayloadError::File { path, source }
        })?;
        package.add(&root, &entry)?;
    }
    if package.files == 0 {
        return Err(PayloadError::NoFiles(folder.to_owned()));
    }
    let finished = package.builder.into_inner().and_then(GzEncoder::finish);
    finished.map_err(|source| failed(&root, source))
}

fn failed(path: &Path, source: io::Error) -> PayloadError {
    PayloadError::File {
        path: path.to_owned(),
        source,
    }
}

/// `node_modules` beside `package.json`: the build installs what belongs there.
fn is_dependency_folder(entry: &DirEntry) -> bool {
    entry.depth() == 1 && entry.file_type().is_dir() && entry.file_name() == "node_modules"
}

struct Package<W: Write> {
    builder: Builder<W>,
    left: u64,
    files: usize,
}

impl<W: Write> Package<W> {
    fn add(&mut self, root: &Path, entry: &DirEntry) -> Result<(), PayloadError> {
        if entry.file_type().is_dir() {
            return Ok(());
        }
        let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let Some(name) = package_name(relative) else {
            return Ok(());
        };
        let content = self.read(&regular_file(root, entry.path())?)?;
        if name.starts_with("META-INF/") {
            metadata::validate(&name, &content).map_err(PayloadError::Metadata)?;
        }
        let mut header = header(&content);
        let appended = self.builder.append_data(&mut header, &name, content.as_slice());
        appended.map_err(|source| failed(entry.path(), source))?;
        self.files = self.files.saturating_add(1);
        Ok(())
    }

    fn read(&mut self, path: &Path) -> Result<Vec<u8>, PayloadError> {
        let file = File::open(path).map_err(|source| failed(path, source))?;
        let mut content = Vec::new();
        let limit = self.left.saturating_add(1);
        file.take(limit)
            .read_to_end(&mut content)
            .map_err(|source| failed(path, source))?;
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.left = self
            .left
            .checked_sub(size)
            .ok_or(PayloadError::TooLarge { limit: MAX_CONTENT })?;
        Ok(content)
    }
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

/// The file itself: links are followed, but not out of the folder.
fn regular_file(root: &Path, path: &Path) -> Result<PathBuf, PayloadError> {
    let target = fs::canonicalize(path).map_err(|source| failed(path, source))?;
    if !target.starts_with(root) {
        return Err(PayloadError::Escapes(path.to_owned()));
    }
    let metadata = fs::metadata(&target).map_err(|source| failed(path, source))?;
    if !metadata.is_file() {
        return Err(PayloadError::Special(path.to_owned()));
    }
    Ok(target)
}

/// Nothing in it depends on who packs, or when.
fn header(content: &[u8]) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(MODE);
    header.set_uid(USER);
    header.set_gid(USER);
    header.set_mtime(0);
    header.set_size(u64::try_from(content.len()).unwrap_or(u64::MAX));
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::os::unix::fs::symlink;
    use tar::Archive;
    use tempfile::TempDir;

    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn packed(folder: &TempDir) -> Result<Vec<u8>, String> {
        pack(&format!("{}/", folder.path().display())).map_err(|error| error.to_string())
    }

    fn names(package: &[u8]) -> Vec<String> {
        let mut archive = Archive::new(GzDecoder::new(package));
        let entries = archive.entries().unwrap();
        entries
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect()
    }

    const INDEX: &str = r#"{"index":{"fields":["a"]}}"#;

    #[test]
    fn sources_and_metadata_go_where_they_belong() {
        let folder = folder(&[
            ("package.json", "{}"),
            ("lib/a.js", "1"),
            ("lib/node_modules/kept.js", "1"),
            ("node_modules/x/index.js", "1"),
            (".git/config", "1"),
            (".gitignore", "1"),
            (".npmrc", "1"),
            ("META-INF/statedb/couchdb/indexes/x.json", INDEX),
            ("META-INF/statedb/couchdb/indexes/.hidden", "1"),
        ]);
        let package = packed(&folder).unwrap();
        let expected = [
            "src/.npmrc",
            "META-INF/statedb/couchdb/indexes/x.json",
            "src/lib/a.js",
            "src/lib/node_modules/kept.js",
            "src/package.json",
        ];
        assert_eq!(names(&package), expected);
        assert!(crate::package::validate(&package).is_ok());
    }

    #[test]
    fn equal_sources_give_equal_bytes_with_neutral_headers() {
        let files = [("package.json", "{}"), ("b.js", "2"), ("a.js", "1")];
        let package = packed(&folder(&files)).unwrap();
        assert_eq!(package, packed(&folder(&files)).unwrap());
        let mut archive = Archive::new(GzDecoder::new(package.as_slice()));
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            let facts = (
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.mtime().unwrap(),
            );
            assert_eq!(facts, (MODE, 500, 0));
        }
    }

    #[test]
    fn folders_that_cannot_be_packed_are_refused() {
        assert_eq!(
            pack("").unwrap_err().to_string(),
            "ChaincodeSpec's path cannot be empty"
        );
        let empty = folder(&[("node_modules/a.js", "1")]);
        assert!(packed(&empty).unwrap_err().contains("no source files found in"));
        assert!(pack("/does/not/exist").is_err());
        let bad_index = folder(&[("META-INF/statedb/couchdb/indexes/x.json", "{")]);
        assert!(packed(&bad_index).unwrap_err().contains("is not a valid JSON"));
        let escaping = folder(&[("package.json", "{}")]);
        symlink("/etc/hostname", escaping.path().join("link")).unwrap();
        assert!(
            packed(&escaping)
                .unwrap_err()
                .contains("leads out of the chaincode's folder")
        );
        let linked = folder(&[("package.json", "{}")]);
        symlink("package.json", linked.path().join("link.json")).unwrap();
        assert_eq!(
            names(&packed(&linked).unwrap()),
            ["src/link.json", "src/package.json"]
        );
        let folder_link = folder(&[("lib/a.js", "1")]);
        symlink("lib", folder_link.path().join("link")).unwrap();
        assert!(packed(&folder_link).unwrap_err().contains("is no regular file"));
    }
}
