//! Checks code packages, which come from clients and are hostile until then.

use crate::error::PackageError;
use crate::module::{is_import_path, module_name};
use plugin_api::packages::{ReadError, is_below, visit};
use std::io::Read;
use tar::EntryType;

/// Bits that a file may have: type and permissions, nothing like set-user-id.
const MODE: u32 = 0o170_777;
/// Largest `go.mod` that is looked into.
const MAX_GO_MOD: u64 = 1 << 20;

/// What a good package holds, as far as a build must know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The module at the root, if there is one.
    pub(crate) module: Option<String>,
    /// The dependencies of the module that is built, at the root or at the package's path, lie in its `vendor`.
    pub(crate) vendored: bool,
}

/// Checks a tar.gz: only regular files and folders below `src/` and `META-INF/`. `path` is what the package says it was
/// made from.
pub(crate) fn validate(package: &[u8], path: &str) -> Result<Contents, PackageError> {
    let mut contents = Contents::default();
    let mut vendor = false;
    let (mut own_module, mut own_vendor) = (false, false);
    let own = format!("src/{path}/");
    visit::<PackageError>(package, |name, entry| {
        if !is_below(name, &["src", "META-INF"]) {
            return Err(PackageError::IllegalName(name.to_owned()));
        }
        let kind = entry.header().entry_type();
        let mode = entry.header().mode().map_err(ReadError::Damaged)?;
        if !matches!(kind, EntryType::Regular | EntryType::Directory) || mode & !MODE != 0 {
            return Err(PackageError::IllegalMode(name.to_owned()));
        }
        vendor |= name.starts_with("src/vendor/");
        let below = name.strip_prefix(&own).filter(|_| is_import_path(path));
        own_module |= below == Some("go.mod");
        own_vendor |= below.is_some_and(|below| below.starts_with("vendor/"));
        if name == "src/go.mod" {
            let mut content = Vec::new();
            entry
                .take(MAX_GO_MOD)
                .read_to_end(&mut content)
                .map_err(ReadError::Damaged)?;
            contents.module = Some(module_name(&String::from_utf8_lossy(&content)).unwrap_or_default());
        }
        Ok(())
    })?;
    contents.vendored = match contents.module {
        Some(_) => vendor,
        None => own_module && own_vendor,
    };
    Ok(contents)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    fn entry(name: &str, mode: u32, kind: EntryType, content: &str) -> (Header, String) {
        let mut header = Header::new_gnu();
        // not set_path, which refuses what a hostile client writes
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_mode(mode);
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        (header, content.to_owned())
    }

    fn package(entries: &[(Header, String)]) -> Vec<u8> {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        for (header, content) in entries {
            builder.append(header, content.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    /// A package of these files.
    pub(crate) fn of_files(files: &[(&str, &str)]) -> Vec<u8> {
        let entries: Vec<_> = files
            .iter()
            .map(|(name, content)| entry(name, 0o100_644, EntryType::Regular, content))
            .collect();
        package(&entries)
    }

    fn verdict(name: &str, mode: u32, kind: EntryType) -> Result<Contents, String> {
        validate(&package(&[entry(name, mode, kind, "")]), "").map_err(|error| error.to_string())
    }

    #[test]
    fn only_files_and_folders_below_the_two_folders_are_taken() {
        for name in ["src/main.go", "src/a/b/main.go", "META-INF/statedb/x.json"] {
            assert!(verdict(name, 0o100_400, EntryType::Regular).is_ok(), "{name}");
        }
        assert!(verdict("src/run.sh", 0o100_755, EntryType::Regular).is_ok());
        assert!(verdict("src/", 0o040_755, EntryType::Directory).is_ok());
        for name in [
            "/bin/warez",
            "/src/main.go",
            "srcs/a",
            "src/../../etc/passwd",
            "pkg/a.a",
        ] {
            assert_eq!(
                verdict(name, 0o100_400, EntryType::Regular).unwrap_err(),
                format!("illegal file name in payload: {name}")
            );
        }
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Char,
            EntryType::Fifo,
        ] {
            assert_eq!(
                verdict("src/a", 0o644, kind).unwrap_err(),
                "illegal file mode in payload: src/a"
            );
        }
        assert!(verdict("src/a", 0o104_755, EntryType::Regular).is_err());
        assert_eq!(
            validate(b"garbage", "").unwrap_err().to_string(),
            "failure opening codepackage gzip stream: gzip: invalid header"
        );
    }

    #[test]
    fn the_module_at_the_root_is_found() {
        let contents = |files: &[(&str, &str)]| validate(&of_files(files), "a").unwrap();
        let module = ("src/go.mod", "module example.com/kv\n");
        assert_eq!(contents(&[module]).module.as_deref(), Some("example.com/kv"));
        assert!(!contents(&[module]).vendored);
        assert!(contents(&[module, ("src/vendor/modules.txt", "")]).vendored);
        let gopath = contents(&[("src/a/go.mod", "module a"), ("src/vendor/a.go", "")]);
        assert_eq!(gopath, Contents::default());
        assert_eq!(contents(&[("src/go.mod", "garbage")]).module.as_deref(), Some(""));
        let below = contents(&[("src/a/go.mod", "module a"), ("src/a/vendor/modules.txt", "")]);
        assert!(below.vendored && below.module.is_none(), "the module at the path");
        let elsewhere = [("src/a/go.mod", "module a"), ("src/b/vendor/modules.txt", "")];
        assert!(!contents(&elsewhere).vendored);
    }
}
