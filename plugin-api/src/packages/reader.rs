//! Walks through a code package, which comes from a client and is hostile.

use flate2::read::MultiGzDecoder;
use std::io::{self, Read};
use tar::{Archive, Entry};
use thiserror::Error;

/// A package may unpack to so many times its size, plus some slack. Sources shrink to about a tenth;
/// deflate's worst is 1:1032.
const MAX_RATIO: u64 = 100;
const SLACK: u64 = 16 << 20;
/// No package unpacks to more than this.
const MAX_UNPACKED: u64 = 512 << 20;
const MAX_FILES: usize = 100_000;

/// Why a package cannot be read. The texts are Fabric's where it has some.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The bytes are no gzip.
    #[error("failure opening codepackage gzip stream: gzip: invalid header")]
    NotGzip,
    /// The archive breaks off or is none.
    #[error("code package is damaged")]
    Damaged(#[source] io::Error),
    /// A bomb, or too large for any chaincode.
    #[error("code package unpacks to more than {limit} bytes")]
    TooLarge {
        /// What it may unpack to.
        limit: u64,
    },
    /// Too many entries.
    #[error("code package has more than {limit} files")]
    TooManyFiles {
        /// How many it may have.
        limit: usize,
    },
}

/// Shows every entry and its name. Sizes are limited, so what is read of the entries fits into memory.
///
/// # Errors
/// The first of the package's faults, or of the visitor's refusals.
pub fn visit<E: From<ReadError>>(
    package: &[u8],
    mut visitor: impl FnMut(&str, &mut Entry<'_, &mut dyn Read>) -> Result<(), E>,
) -> Result<(), E> {
    let decoder = MultiGzDecoder::new(package);
    if decoder.header().is_none() {
        return Err(ReadError::NotGzip.into());
    }
    let length = u64::try_from(package.len()).unwrap_or(u64::MAX);
    let limit = length
        .saturating_mul(MAX_RATIO)
        .saturating_add(SLACK)
        .min(MAX_UNPACKED);
    let mut limited = Limited {
        inner: decoder,
        left: limit,
    };
    let mut archive = Archive::new(&mut limited as &mut dyn Read);
    let entries = archive.entries().map_err(|error| damaged(error, limit))?;
    for (count, entry) in entries.enumerate() {
        let mut entry = entry.map_err(|error| damaged(error, limit))?;
        if count >= MAX_FILES {
            return Err(ReadError::TooManyFiles { limit: MAX_FILES }.into());
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        visitor(&name, &mut entry)?;
    }
    Ok(())
}

/// The content of one file, if it is there and not larger than `most`.
///
/// # Errors
/// When the package cannot be read as far as that.
pub fn read_file(package: &[u8], wanted: &str, most: u64) -> Result<Option<Vec<u8>>, ReadError> {
    let mut found = None;
    visit::<ReadError>(package, |name, entry| {
        if name == wanted && entry.size() <= most {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(ReadError::Damaged)?;
            found = Some(content);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Whether a name lies below one of the folders, with nothing in it that leads out again.
#[must_use]
pub fn is_below(name: &str, folders: &[&str]) -> bool {
    let rest = folders
        .iter()
        .find_map(|folder| name.strip_prefix(folder)?.strip_prefix('/'));
    rest.is_some_and(|rest| rest.split('/').all(|part| part != ".." && !part.contains('\0')))
}

/// Marks our own limit among the errors of the reader.
const LIMIT: &str = "the package's limit is reached";

fn damaged(error: io::Error, limit: u64) -> ReadError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.to_string().contains(LIMIT) {
            return ReadError::TooLarge { limit };
        }
        cause = error.source();
    }
    ReadError::Damaged(error)
}

struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        match u64::try_from(read)
            .ok()
            .and_then(|read| self.left.checked_sub(read))
        {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(LIMIT)),
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;
    use tar::{Builder, EntryType, Header};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn package(name: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
        let mut header = Header::new_gnu();
        // not set_path, which refuses what a hostile client writes
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(0o644);
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        let mut builder = Builder::new(Vec::new());
        builder.append(&header, content).unwrap();
        gzip(&builder.into_inner().unwrap())
    }

    fn read(package: &[u8]) -> Result<Vec<String>, ReadError> {
        let mut names = Vec::new();
        visit::<ReadError>(package, |name, _| {
            names.push(name.to_owned());
            Ok(())
        })?;
        Ok(names)
    }

    fn text(package: &[u8]) -> String {
        read(package).unwrap_err().to_string()
    }

    #[test]
    fn bombs_are_refused() {
        let bomb = package("src/a", EntryType::Regular, &vec![0; 64 << 20]);
        assert!(text(&bomb).starts_with("code package unpacks to more than"));
        let name = package("././@LongLink", EntryType::GNULongName, &vec![b'a'; 64 << 20]);
        assert!(text(&name).starts_with("code package unpacks to more than"));
    }

    #[test]
    fn damaged_packages_are_refused() {
        let whole = package("src/package.json", EntryType::Regular, b"x");
        assert!(read(&whole[..whole.len() / 2]).is_err());
        assert!(text(&gzip(&[7; 600])).starts_with("code package is damaged"));
        assert_eq!(read(&gzip(b"")).unwrap(), Vec::<String>::new());
        for none in [b"".as_slice(), b"garbage"] {
            assert_eq!(
                text(none),
                "failure opening codepackage gzip stream: gzip: invalid header"
            );
        }
    }

    #[test]
    fn one_file_is_found_unless_it_is_too_large() {
        let whole = package("src/package.json", EntryType::Regular, b"{}");
        assert_eq!(read_file(&whole, "src/package.json", 2).unwrap().unwrap(), b"{}");
        assert_eq!(read_file(&whole, "src/package.json", 1).unwrap(), None);
        assert_eq!(read_file(&whole, "src/other", 9).unwrap(), None);
    }

    #[test]
    fn names_stay_below_their_folders() {
        for (name, below) in [
            ("src/a", true),
            ("META-INF/x/y", true),
            ("src/", true),
            ("src", false),
            ("srcs/a", false),
            ("/src/a", false),
            ("src/../../etc", false),
            ("META-INF/..", false),
            ("other/a", false),
        ] {
            assert_eq!(is_below(name, &["src", "META-INF"]), below, "{name}");
        }
    }
}
