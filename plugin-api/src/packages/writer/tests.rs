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

/// Leaves `left_out` at the root out.
fn packed(folder: &TempDir) -> Result<Vec<u8>, String> {
    let leave_out = |path: &Path, is_folder: bool| is_folder && path == Path::new("left_out");
    pack_folder(&format!("{}/", folder.path().display()), leave_out).map_err(|error| error.to_string())
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
        ("lib/left_out/kept.js", "1"),
        ("left_out/x/index.js", "1"),
        (".git/config", "1"),
        (".gitignore", "1"),
        ("my.github.js", "1"),
        (".npmrc", "1"),
        ("META-INF/statedb/couchdb/indexes/x.json", INDEX),
        ("META-INF/statedb/couchdb/indexes/.hidden", "1"),
    ]);
    let expected = [
        "src/.npmrc",
        "META-INF/statedb/couchdb/indexes/x.json",
        "src/lib/a.js",
        "src/lib/left_out/kept.js",
        "src/package.json",
    ];
    assert_eq!(names(&packed(&folder).unwrap()), expected);
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
    let nothing = |_: &Path, _: bool| false;
    assert_eq!(
        pack_folder("", nothing).unwrap_err().to_string(),
        "ChaincodeSpec's path cannot be empty"
    );
    let empty = folder(&[("left_out/a.js", "1")]);
    assert!(packed(&empty).unwrap_err().contains("no source files found in"));
    assert!(pack_folder("/does/not/exist", nothing).is_err());
    let bad_index = folder(&[("META-INF/statedb/couchdb/indexes/x.json", "{")]);
    assert!(packed(&bad_index).unwrap_err().contains("is not a valid JSON"));
}

#[test]
fn links_are_followed_but_not_out_of_the_folder() {
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
