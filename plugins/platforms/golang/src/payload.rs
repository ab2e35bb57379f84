//! Packs a module or a GOPATH package as Fabric 2.x does.

use crate::error::PathError;
use crate::gopath::{self, GoPackage};
use crate::module::{self, Module};
use plugin_api::packages::{PackError, PackageWriter};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tracing::warn;
use walkdir::{DirEntry, WalkDir};

/// Where a chaincode's code comes from.
#[derive(Debug)]
pub(crate) enum Source {
    Module(Module),
    /// The chaincode's package last.
    Gopath(Vec<GoPackage>),
}

impl Source {
    /// Finds it by a folder or, in GOPATH mode, by an import path.
    pub(crate) fn find(path: &str) -> Result<Self, PathError> {
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        if Path::new(path).is_dir()
            && let Some(module) = module::find(Path::new(path))?
        {
            return Ok(Self::Module(module));
        }
        gopath::list(path).map(Self::Gopath)
    }

    /// The import path, which is what a package of Go chaincode has for a path.
    pub(crate) fn import_path(&self) -> &str {
        match self {
            Self::Module(module) => &module.import_path,
            Self::Gopath(packages) => packages.last().map_or("", |package| &package.import_path),
        }
    }

    /// The tar.gz.
    pub(crate) fn pack(&self) -> Result<Vec<u8>, PathError> {
        let files = match self {
            Self::Module(module) => module_files(module)?,
            Self::Gopath(packages) => gopath_files(packages)?,
        };
        let folders: BTreeSet<&Path> = files
            .keys()
            .flat_map(|name| Path::new(name).ancestors().skip(1))
            .filter(|folder| !folder.as_os_str().is_empty())
            .collect();
        let mut writer: Option<PackageWriter> = None;
        for (name, file) in &files {
            let writer = match &mut writer {
                None => {
                    let mut first = PackageWriter::of(&file.root)?;
                    for folder in &folders {
                        first.add_folder(&folder.to_string_lossy())?;
                    }
                    writer.insert(first)
                }
                Some(writer) => {
                    writer.set_root(&file.root)?;
                    writer
                }
            };
            writer.add_file(name, &file.path)?;
        }
        let writer = writer.ok_or_else(|| PackError::NoFiles(self.import_path().to_owned()))?;
        Ok(writer.finish()?)
    }
}

/// A file, and the folder that it must not lead out of.
#[derive(Debug)]
struct Packed {
    path: PathBuf,
    root: PathBuf,
}

/// The whole module; hidden folders stay out. Metadata is that of the chaincode's own folder.
fn module_files(module: &Module) -> Result<BTreeMap<String, Packed>, PathError> {
    let metadata = module.folder.join("META-INF");
    let wanted = |entry: &DirEntry| {
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        entry.depth() == 0 || !(entry.file_type().is_dir() && hidden)
    };
    let mut files = BTreeMap::new();
    for (relative, path) in walk(&module.root, wanted)? {
        let (name, root) = match path.strip_prefix(&metadata) {
            Ok(below) => match metadata_name(below) {
                Some(name) => (name, &metadata),
                None => continue,
            },
            Err(_elsewhere) => (format!("src/{}", relative.display()), &module.root),
        };
        let root = root.clone();
        files.insert(name, Packed { path, root });
    }
    Ok(files)
}

/// The chaincode's folder without those below it, its metadata, and the sources of what it needs.
fn gopath_files(packages: &[GoPackage]) -> Result<BTreeMap<String, Packed>, PathError> {
    let mut files = BTreeMap::new();
    let Some(chaincode) = packages.last() else {
        return Ok(files);
    };
    let metadata = chaincode.dir.join("META-INF");
    let wanted = |entry: &DirEntry| {
        entry.depth() == 0 || !entry.file_type().is_dir() || entry.path().starts_with(&metadata)
    };
    for (relative, path) in walk(&chaincode.dir, wanted)? {
        let name = match path.strip_prefix(&metadata) {
            Ok(below) => metadata_name(below),
            // without its go.mod it is built in GOPATH mode, too
            Err(_elsewhere) if relative == Path::new("go.mod") || relative == Path::new("go.sum") => None,
            Err(_elsewhere) => Some(format!("src/{}/{}", chaincode.import_path, relative.display())),
        };
        if let Some(name) = name {
            let root = chaincode.dir.clone();
            files.insert(name, Packed { path, root });
        }
    }
    for package in packages {
        for file in package.files() {
            let name = format!("src/{}/{file}", package.import_path);
            let root = package.root.clone();
            let path = package.dir.join(file);
            files.insert(name, Packed { path, root });
        }
    }
    Ok(files)
}

fn metadata_name(below: &Path) -> Option<String> {
    let hidden = below
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'));
    if hidden {
        warn!(file = %below.display(), "hidden file in the metadata folder left out of the package");
        return None;
    }
    Some(format!("META-INF/{}", below.display()))
}

/// Files with their path below `root`.
fn walk(root: &Path, wanted: impl Fn(&DirEntry) -> bool) -> Result<Vec<(PathBuf, PathBuf)>, PathError> {
    let mut files = Vec::new();
    for entry in WalkDir::new(root).into_iter().filter_entry(wanted) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(root).to_owned();
            PathError::file(&path)(error.into())
        })?;
        if !entry.file_type().is_dir() {
            let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
            files.push((relative.to_owned(), entry.path().to_owned()));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::validate;
    use plugin_api::packages::{ReadError, visit};
    use std::fs;
    use tempfile::TempDir;

    const INDEX: &str = r#"{"index":{"fields":["a"]}}"#;

    fn folder(files: &[(&str, &str)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn names(package: &[u8]) -> Vec<String> {
        validate(package, "").unwrap();
        let mut names = Vec::new();
        visit::<ReadError>(package, |name, _| {
            names.push(name.to_owned());
            Ok(())
        })
        .unwrap();
        names
    }

    #[test]
    fn a_module_is_packed_as_a_whole_with_the_chaincodes_metadata() {
        let files = [
            ("go.mod", "module example.com/kv"),
            ("go.sum", ""),
            ("lib/lib.go", "package lib"),
            ("cmd/cc/main.go", "package main"),
            ("cmd/cc/META-INF/statedb/couchdb/indexes/x.json", INDEX),
            ("cmd/cc/META-INF/statedb/couchdb/indexes/.hidden", "x"),
            ("vendor/modules.txt", ""),
            (".git/config", ""),
            (".golangci.yml", ""),
        ];
        let (one, other) = (folder(&files), folder(&files));
        let path = |folder: &TempDir| folder.path().join("cmd/cc").display().to_string();
        let source = Source::find(&path(&one)).unwrap();
        assert_eq!(source.import_path(), "example.com/kv/cmd/cc");
        let package = source.pack().unwrap();
        assert_eq!(package, Source::find(&path(&other)).unwrap().pack().unwrap());
        assert_eq!(
            names(&package),
            [
                "META-INF/",
                "META-INF/statedb/",
                "META-INF/statedb/couchdb/",
                "META-INF/statedb/couchdb/indexes/",
                "src/",
                "src/cmd/",
                "src/cmd/cc/",
                "src/lib/",
                "src/vendor/",
                "META-INF/statedb/couchdb/indexes/x.json",
                "src/.golangci.yml",
                "src/cmd/cc/main.go",
                "src/go.mod",
                "src/go.sum",
                "src/lib/lib.go",
                "src/vendor/modules.txt",
            ]
        );
    }

    #[test]
    fn a_gopath_package_is_packed_with_what_it_needs() {
        let gopath = folder(&[
            ("src/example.com/kv/main.go", "package main"),
            ("src/example.com/kv/go.mod", "module x"),
            ("src/example.com/kv/notes.txt", "x"),
            ("src/example.com/kv/other/other.go", "package other"),
            (
                "src/example.com/kv/META-INF/statedb/couchdb/indexes/x.json",
                INDEX,
            ),
            ("src/example.com/dep/dep.go", "package dep"),
            ("src/example.com/dep/unused.txt", "x"),
        ]);
        let package = |name: &str, files: &[&str]| -> GoPackage {
            let dir = gopath.path().join("src").join(name);
            let facts = serde_json::json!({
                "Dir": dir, "ImportPath": name, "Root": gopath.path(), "GoFiles": files,
            });
            serde_json::from_value(facts).unwrap()
        };
        let source = Source::Gopath(vec![
            package("example.com/dep", &["dep.go"]),
            package("example.com/kv", &["main.go"]),
        ]);
        let found = names(&source.pack().unwrap());
        let files: Vec<_> = found.iter().filter(|name| !name.ends_with('/')).collect();
        assert_eq!(
            files,
            [
                "META-INF/statedb/couchdb/indexes/x.json",
                "src/example.com/dep/dep.go",
                "src/example.com/kv/main.go",
                "src/example.com/kv/notes.txt",
            ]
        );
    }

    #[test]
    fn what_is_no_chaincode_is_refused() {
        assert!(matches!(Source::find(""), Err(PathError::Empty)));
        assert!(matches!(
            Source::find("-o/../x; rm"),
            Err(PathError::ImportPath(_))
        ));
        let node = folder(&[("package.json", "{}")]);
        assert!(matches!(
            Source::find(&node.path().display().to_string()),
            Err(PathError::NoSource(_))
        ));
        let index = folder(&[
            ("go.mod", "module kv"),
            ("main.go", ""),
            ("META-INF/statedb/couchdb/indexes/x.json", "{"),
        ]);
        let source = Source::find(&index.path().display().to_string()).unwrap();
        assert!(
            source
                .pack()
                .unwrap_err()
                .to_string()
                .contains("is not a valid JSON")
        );
        std::os::unix::fs::symlink("/etc/hostname", node.path().join("main.go")).unwrap();
        fs::write(node.path().join("go.mod"), "module kv").unwrap();
        let source = Source::find(&node.path().display().to_string()).unwrap();
        assert!(source.pack().unwrap_err().to_string().contains("leads out of"));
    }
}
