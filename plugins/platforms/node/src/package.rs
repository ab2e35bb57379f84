//! Checks code packages, which come from clients and are hostile until then.

use crate::error::PackageError;
use flate2::read::MultiGzDecoder;
use std::io::{self, Read};
use tar::{Archive, EntryType};

/// A package may unpack to so many times its size, plus some slack. Sources shrink to about a tenth;
/// deflate's worst is 1:1032.
const MAX_RATIO: u64 = 100;
const SLACK: u64 = 16 << 20;
/// No package unpacks to more than this.
const MAX_UNPACKED: u64 = 512 << 20;
const MAX_FILES: usize = 100_000;
/// Type and permission bits that a file may have: a regular file that nobody can execute.
const MODE: u32 = 0o100_666;

/// Checks a tar.gz: only regular files below `src/` and `META-INF/`, among them `src/package.json`.
pub(crate) fn validate(package: &[u8]) -> Result<(), PackageError> {
    let decoder = MultiGzDecoder::new(package);
    if decoder.header().is_none() {
        return Err(PackageError::NotGzip);
    }
    let length = u64::try_from(package.len()).unwrap_or(u64::MAX);
    let limit = length
        .saturating_mul(MAX_RATIO)
        .saturating_add(SLACK)
        .min(MAX_UNPACKED);
    let mut archive = Archive::new(Limited {
        inner: decoder,
        left: limit,
    });
    let mut found_package_json = false;
    for (count, entry) in archive
        .entries()
        .map_err(|error| damaged(error, limit))?
        .enumerate()
    {
        let entry = entry.map_err(|error| damaged(error, limit))?;
        if count >= MAX_FILES {
            return Err(PackageError::TooManyFiles { limit: MAX_FILES });
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !is_legal(&name)
            || !matches!(
                entry.header().entry_type(),
                EntryType::Regular | EntryType::Directory
            )
        {
            return Err(PackageError::IllegalFile(name));
        }
        let mode = entry.header().mode().map_err(|error| damaged(error, limit))?;
        if mode & !MODE != 0 || entry.header().entry_type() != EntryType::Regular {
            return Err(PackageError::IllegalMode { name, mode });
        }
        found_package_json |= name == "src/package.json";
    }
    if found_package_json {
        Ok(())
    } else {
        Err(PackageError::NoPackageJson)
    }
}

/// Below `src/` or `META-INF/`, with nothing in it that leads out again.
fn is_legal(name: &str) -> bool {
    // Fabric lets one slash pass in front
    let name = name.strip_prefix('/').unwrap_or(name);
    let below = name
        .strip_prefix("src/")
        .or_else(|| name.strip_prefix("META-INF/"));
    below.is_some_and(|rest| rest.split('/').all(|part| part != ".." && !part.contains('\0')))
}

/// Marks our own limit among the errors of the reader.
const LIMIT: &str = "the package's limit is reached";

fn damaged(error: io::Error, limit: u64) -> PackageError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.to_string().contains(LIMIT) {
            return PackageError::TooLarge { limit };
        }
        cause = error.source();
    }
    PackageError::Damaged(error)
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
    use tar::{Builder, Header};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn entry(name: &str, mode: u32, kind: EntryType, content: &[u8]) -> (Header, Vec<u8>) {
        let mut header = Header::new_gnu();
        // not set_path, which refuses what a hostile client writes
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(mode);
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        (header, content.to_vec())
    }

    fn package(entries: &[(Header, Vec<u8>)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (header, content) in entries {
            builder.append(header, content.as_slice()).unwrap();
        }
        gzip(&builder.into_inner().unwrap())
    }

    fn file(name: &str, mode: u32) -> (Header, Vec<u8>) {
        entry(name, mode, EntryType::Regular, b"x")
    }

    fn text(package: &[u8]) -> String {
        validate(package).unwrap_err().to_string()
    }

    #[test]
    fn fabrics_own_cases() {
        assert_eq!(
            text(b"garbage"),
            "failure opening codepackage gzip stream: gzip: invalid header"
        );
        assert_eq!(
            text(&package(&[file("filename.txt", 0o100644)])),
            "illegal file detected in payload: \"filename.txt\""
        );
        assert_eq!(
            text(&package(&[file("src/filename.txt", 0o100744)])),
            "illegal file mode detected for file src/filename.txt: 100744"
        );
        assert_eq!(
            text(&package(&[file("src/filename.txt", 0o100666)])),
            "no package.json found at the root of the chaincode package"
        );
        let good = [
            file("META-INF/statedb/couchdb/indexes/x.json", 0o100644),
            file("src/package.json", 0o100666),
            file("/src/lib/index.js", 0o100644),
        ];
        assert!(validate(&package(&good)).is_ok());
    }

    #[test]
    fn what_is_no_file_below_the_folders_is_refused() {
        for name in [
            "/src/a",
            "/etc/passwd",
            "//src/x",
            "/src/../x",
            "src/../../etc/passwd",
            "META-INF/../x",
            "srcs/a",
            "src",
        ] {
            assert!(
                text(&package(&[file(name, 0o644)])).starts_with("illegal file detected"),
                "{name}"
            );
        }
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Char,
            EntryType::Block,
            EntryType::Fifo,
        ] {
            let entry = entry("src/a", 0o644, kind, b"");
            assert!(
                text(&package(&[entry])).starts_with("illegal file detected"),
                "{kind:?}"
            );
        }
        let folder = entry("src/a/", 0o644, EntryType::Directory, b"");
        assert!(text(&package(&[folder])).starts_with("illegal file mode"));
    }

    #[test]
    fn bombs_are_refused() {
        let bomb = entry("src/a", 0o644, EntryType::Regular, &vec![0; 64 << 20]);
        assert!(text(&package(&[bomb])).starts_with("code package unpacks to more than"));
        let long = package(&[entry(
            "././@LongLink",
            0o644,
            EntryType::GNULongName,
            &vec![b'a'; 64 << 20],
        )]);
        assert!(text(&long).starts_with("code package unpacks to more than"));
    }

    #[test]
    fn damaged_packages_are_refused() {
        let whole = package(&[file("src/package.json", 0o644)]);
        assert!(validate(&whole[..whole.len() / 2]).is_err());
        assert!(text(&gzip(&[7; 600])).starts_with("code package is damaged"));
        assert_eq!(
            text(&gzip(b"")),
            "no package.json found at the root of the chaincode package"
        );
        assert_eq!(
            text(b""),
            "failure opening codepackage gzip stream: gzip: invalid header"
        );
    }

    #[test]
    fn long_names_are_read() {
        let mut builder = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_mode(0o100644);
        header.set_size(1);
        builder
            .append_data(&mut header, "src/package.json", b"x".as_slice())
            .unwrap();
        builder
            .append_data(&mut header, format!("src/{}", "a".repeat(150)), b"x".as_slice())
            .unwrap();
        assert!(validate(&gzip(&builder.into_inner().unwrap())).is_ok());
    }
}
