//! Checks code packages, which come from clients and are hostile until then.

use crate::error::PackageError;
use plugin_api::packages::{FILE_MODE, ReadError, is_below, visit};
use tar::EntryType;

/// What a build starts from.
pub(crate) const BUILD_FILES: [&str; 3] = ["pom.xml", "build.gradle", "build.gradle.kts"];

/// Checks a tar.gz: only regular files below `src/` and `META-INF/`, among them a build file, no compiled classes.
///
/// Fabric also refuses files at the root of the project that it does not know, but never asks when a package is
/// installed; since this peer does, what Fabric's own clients pack there (a README, Gradle's wrapper) is taken.
pub(crate) fn validate(package: &[u8]) -> Result<(), PackageError> {
    let mut build_file = false;
    visit::<PackageError>(package, |name, entry| {
        let kind = entry.header().entry_type();
        if !is_below(name, &["src", "META-INF"])
            || name.ends_with(".class")
            || !matches!(kind, EntryType::Regular | EntryType::Directory)
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
        build_file |= name
            .strip_prefix("src/")
            .is_some_and(|name| BUILD_FILES.contains(&name));
        Ok(())
    })?;
    if build_file {
        Ok(())
    } else {
        Err(PackageError::NoBuildFile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, Header};

    fn text(entries: &[(&str, u32, EntryType)]) -> String {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        for (name, mode, kind) in entries {
            let mut header = Header::new_gnu();
            // not set_path, which refuses what a hostile client writes
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_mode(*mode);
            header.set_entry_type(*kind);
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, b"".as_slice()).unwrap();
        }
        let package = builder.into_inner().unwrap().finish().unwrap();
        validate(&package).map_or_else(|error| error.to_string(), |()| "good".to_owned())
    }

    fn file(name: &str) -> (&str, u32, EntryType) {
        (name, 0o100_644, EntryType::Regular)
    }

    #[test]
    fn projects_of_maven_and_gradle_are_taken() {
        for build_file in ["src/pom.xml", "src/build.gradle", "src/build.gradle.kts"] {
            let entries = [
                file(build_file),
                file("src/settings.gradle"),
                file("src/src/main/java/kv/KeyValue.java"),
                file("src/gradlew"),
                file("src/README.md"),
                file("META-INF/statedb/couchdb/indexes/x.json"),
            ];
            assert_eq!(text(&entries), "good");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let cases = [
            (file("pom.xml"), "illegal file detected in payload: \"pom.xml\""),
            (file("src/target/A.class"), "illegal file detected in payload"),
            (file("src/../../etc/passwd"), "illegal file detected in payload"),
            (
                ("src/a", 0o644, EntryType::Symlink),
                "illegal file detected in payload",
            ),
            (
                ("src/gradlew", 0o100_755, EntryType::Regular),
                "illegal file mode detected for file src/gradlew: 100755",
            ),
            (
                ("src/a/", 0o755, EntryType::Directory),
                "illegal file mode detected for file src/a/: 755",
            ),
        ];
        for (entry, expected) in cases {
            let said = text(&[file("src/pom.xml"), entry]);
            assert!(said.starts_with(expected), "{said}");
        }
        assert!(text(&[file("src/src/pom.xml")]).starts_with("no pom.xml"));
        assert_eq!(
            validate(b"garbage").unwrap_err().to_string(),
            "failure opening codepackage gzip stream: gzip: invalid header"
        );
    }
}
