//! A chaincode without a module, below `GOPATH`. What it needs from there is found out by the go command.

use crate::error::PathError;
use crate::module::is_import_path;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// For which machines dependencies are looked for, beside this one: chaincode is built for Linux.
const GOARCH: &str = "amd64";

/// A package as `go list -json` tells it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct GoPackage {
    pub(crate) dir: PathBuf,
    pub(crate) import_path: String,
    pub(crate) root: PathBuf,
    standard: bool,
    go_files: Vec<String>,
    cgo_files: Vec<String>,
    #[serde(rename = "CFiles")]
    c_files: Vec<String>,
    #[serde(rename = "HFiles")]
    h_files: Vec<String>,
    #[serde(rename = "SFiles")]
    s_files: Vec<String>,
    #[serde(rename = "CXXFiles")]
    cxx_files: Vec<String>,
    ignored_go_files: Vec<String>,
    embed_files: Vec<String>,
    incomplete: bool,
    error: Option<GoError>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct GoError {
    err: String,
}

impl GoPackage {
    /// Files that belong to the package.
    pub(crate) fn files(&self) -> impl Iterator<Item = &String> {
        [
            &self.go_files,
            &self.cgo_files,
            &self.c_files,
            &self.h_files,
            &self.s_files,
            &self.cxx_files,
            &self.ignored_go_files,
            &self.embed_files,
        ]
        .into_iter()
        .flatten()
    }
}

/// The package at `path` (a folder below `GOPATH`, or an import path), last, after everything that it needs.
pub(crate) fn list(path: &str) -> Result<Vec<GoPackage>, PathError> {
    let mut found = go_list(path, GOARCH)?;
    for package in go_list(path, std::env::consts::ARCH)? {
        if !found
            .iter()
            .any(|known| known.import_path == package.import_path && known.dir == package.dir)
        {
            found.insert(0, package);
        }
    }
    Ok(found)
}

fn go_list(path: &str, arch: &str) -> Result<Vec<GoPackage>, PathError> {
    let folder = Path::new(path);
    let in_folder = folder.is_absolute() || folder.is_dir();
    if !in_folder && !is_import_path(path) {
        return Err(PathError::ImportPath(path.to_owned()));
    }
    let arch = match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut command = Command::new("go");
    command
        .args(["list", "-deps", "-json", "--"])
        .env("GO111MODULE", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("GOOS", "linux")
        .env("GOARCH", arch)
        .env("CGO_ENABLED", "1")
        .stdin(Stdio::null());
    if in_folder {
        command.arg(".").current_dir(folder);
    } else {
        command.arg(path);
    }
    let output = command.output().map_err(|source| PathError::NoGo {
        path: path.to_owned(),
        source,
    })?;
    let refused = |said: String| PathError::GoList {
        path: path.to_owned(),
        said,
    };
    if !output.status.success() {
        return Err(refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let packages: Vec<GoPackage> = serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(|error| refused(error.to_string()))?;
    let broken = packages
        .iter()
        .find(|package| package.error.is_some() || package.incomplete && package.dir.as_os_str().is_empty());
    if let Some(package) = broken {
        let said = package
            .error
            .as_ref()
            .map_or("it is incomplete", |error| &error.err);
        return Err(refused(format!("{}: {said}", package.import_path)));
    }
    let found: Vec<_> = packages.into_iter().filter(|package| !package.standard).collect();
    match found.last() {
        // outside of GOPATH there is no import path
        Some(package) if is_import_path(&package.import_path) => Ok(found),
        _ => Err(refused("it lies outside of GOPATH".to_owned())),
    }
}
