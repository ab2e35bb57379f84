//! Checks code packages, which come from clients and are hostile until then.

use crate::error::PackageError;
use crate::payload::MAX_MANIFEST;
use plugin_api::packages::{FILE_MODE, ReadError, is_below, visit};
use serde_json::Value;
use std::io::Read;
use tar::EntryType;

/// What a good package holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Its dependencies are in it.
    pub(crate) vendored: bool,
}

/// Checks a tar.gz: only regular files below `src/` and `META-INF/`, among them `src/package.json`.
pub(crate) fn validate(package: &[u8]) -> Result<Contents, PackageError> {
    let mut manifest = None;
    let mut dependencies = false;
    visit::<PackageError>(package, |name, entry| {
        let kind = entry.header().entry_type();
        // Fabric lets one slash pass in front
        let path = name.strip_prefix('/').unwrap_or(name);
        if !is_below(path, &["src", "META-INF"]) || !matches!(kind, EntryType::Regular | EntryType::Directory)
        {
            return Err(PackageError::IllegalFile(name.to_owned()));
        }
        let mode = entry.header().mode().map_err(ReadError::Damaged)?;
        if mode & !FILE_MODE != 0 || kind != EntryType::Regular {
            return Err(PackageError::IllegalMode {
                name: name.to_owned(),
                mode,
            });
        }
        dependencies |= path.starts_with("src/node_modules/");
        if path == "src/package.json" {
            let mut content = Vec::new();
            entry
                .take(MAX_MANIFEST)
                .read_to_end(&mut content)
                .map_err(ReadError::Damaged)?;
            manifest = Some(content);
        }
        Ok(())
    })?;
    let vendored = says_vendored(&manifest.ok_or(PackageError::NoPackageJson)?);
    match (vendored, dependencies) {
        (true, false) => Err(PackageError::NothingVendored),
        (false, true) => Err(PackageError::NotSaidVendored),
        (vendored, _) => Ok(Contents { vendored }),
    }
}

/// Whether a `package.json` says that its dependencies come with it: `"fabric": {"vendored": true}`.
pub(crate) fn says_vendored(manifest: &[u8]) -> bool {
    let manifest: Value = serde_json::from_slice(manifest).unwrap_or_default();
    manifest.pointer("/fabric/vendored") == Some(&Value::Bool(true))
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
    fn vendored_dependencies_must_be_announced_and_be_there() {
        let manifest = |content: &[u8]| entry("src/package.json", 0o644, EntryType::Regular, content);
        let module = || file("src/node_modules/x/index.js", 0o644);
        let vendored = br#"{"fabric": {"vendored": true}}"#;
        assert!(
            validate(&package(&[manifest(vendored), module()]))
                .unwrap()
                .vendored
        );
        assert!(!validate(&package(&[manifest(b"{}")])).unwrap().vendored);
        assert!(text(&package(&[manifest(vendored)])).contains("there is no node_modules"));
        assert!(text(&package(&[manifest(b"{}"), module()])).contains("does not say"));
        for other in [
            r#"{"fabric": {"vendored": 1}}"#,
            r#"{"fabric": true}"#,
            "[]",
            "",
            "{",
        ] {
            assert!(!says_vendored(other.as_bytes()), "{other}");
        }
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
