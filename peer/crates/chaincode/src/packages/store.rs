//! The folder of installed packages: one file for each, `<name>.<version>`, never changed once written.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use protos::peer::ChaincodeData;
use protos::{ChaincodeId, MAX_MESSAGE_SIZE, wire_message};

use super::package::{Package, PackageError, SecurityError, check_name, check_version, validate};

/// Files that are still being written; a leftover of a crash is removed on start.
const UNFINISHED_PREFIX: &str = ".install-";

/// A package that is installed.
pub type InstalledPackage = Package;

/// What is remembered of an installed package without its code.
#[derive(Clone, Debug, PartialEq)]
pub struct PackageInfo {
    /// What LSCC stores of it.
    pub data: ChaincodeData,
    /// The path that the client named when it packed the code.
    pub path: String,
    /// Whether the package is a signed one, which carries its instantiation policy.
    pub signed: bool,
}

impl PackageInfo {
    /// Name and version.
    #[must_use]
    pub fn id(&self) -> ChaincodeId {
        ChaincodeId::new(&self.data.name, &self.data.version)
    }
}

impl From<&Package> for PackageInfo {
    fn from(package: &Package) -> Self {
        Self {
            data: package.chaincode_data(),
            path: package.path().into(),
            signed: package.instantiation_policy().is_some(),
        }
    }
}

/// The installed packages. All methods read or write files: not for the async path.
pub struct PackageStore {
    folder: PathBuf,
    /// Packages never change, so this needs no invalidation.
    known: Mutex<HashMap<ChaincodeId, Arc<PackageInfo>>>,
}

impl PackageStore {
    /// Opens the folder `chaincodes` below the peer's file system path, creating it if need be.
    ///
    /// # Errors
    /// When the folder cannot be created or read.
    pub fn open(file_system_path: &Path) -> Result<Self, PackageError> {
        let folder = file_system_path.join("chaincodes");
        fs::create_dir_all(&folder).map_err(io("create", &folder))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).map_err(io("chmod", &folder))?;
        let store = Self {
            folder,
            known: Mutex::default(),
        };
        for name in store.file_names()? {
            if name.starts_with(UNFINISHED_PREFIX) {
                let path = store.folder.join(name);
                fs::remove_file(&path).map_err(io("remove", &path))?;
            }
        }
        Ok(store)
    }

    /// Installs a package: bytes as received, whole or not at all.
    ///
    /// # Errors
    /// When the bytes are no package, its name or version breaks the rules, or it is installed already.
    pub fn install(&self, bytes: Bytes) -> Result<Arc<InstalledPackage>, PackageError> {
        self.install_package(Package::parse(bytes)?)
    }

    /// Installs a package that has been parsed already.
    ///
    /// # Errors
    /// When its name or version breaks the rules, or it is installed already.
    pub fn install_package(&self, package: Package) -> Result<Arc<InstalledPackage>, PackageError> {
        let path = self.path(package.id())?;
        if path.exists() {
            return Err(PackageError::Exists(path));
        }
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED_PREFIX)
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(&self.folder)
            .map_err(io("create a file in", &self.folder))?;
        file.write_all(package.raw()).map_err(io("write", &path))?;
        file.as_file().sync_all().map_err(io("write", &path))?;
        file.persist_noclobber(&path)
            .map_err(|error| match error.error.kind() {
                ErrorKind::AlreadyExists => PackageError::Exists(path.clone()),
                _ => io("write", &path)(error.error),
            })?;
        let folder = fs::File::open(&self.folder).map_err(io("open", &self.folder))?;
        folder.sync_all().map_err(io("write", &self.folder))?;
        self.remember(&package);
        Ok(Arc::new(package))
    }

    /// Reads an installed package.
    ///
    /// # Errors
    /// When there is none, or its file is not the package it should be.
    pub fn load(&self, id: &ChaincodeId) -> Result<Arc<InstalledPackage>, PackageError> {
        let path = self.path(id)?;
        let package = Package::parse(read(&path)?)?;
        if package.id() != id {
            return Err(PackageError::Invalid(format!(
                "{} holds the package of {}",
                path.display(),
                package.id()
            )));
        }
        self.remember(&package);
        Ok(Arc::new(package))
    }

    /// What is known of an installed package; its file is read the first time only.
    ///
    /// # Errors
    /// When there is none, or its file is not the package it should be.
    pub fn info(&self, id: &ChaincodeId) -> Result<Arc<PackageInfo>, PackageError> {
        if let Some(info) = self.known.lock().get(id) {
            return Ok(info.clone());
        }
        let package = self.load(id)?;
        Ok(self.remember(&package))
    }

    /// All installed packages, sorted by name. Files that are none are left out.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Arc<PackageInfo>>, PackageError> {
        let mut packages = Vec::new();
        for name in self.file_names()? {
            // versions can contain dots, names cannot
            let Some((name, version)) = name.split_once('.') else {
                continue;
            };
            match self.info(&ChaincodeId::new(name, version)) {
                Ok(info) => packages.push(info),
                Err(error) => tracing::warn!(
                    name,
                    version,
                    error = wire_message(&error),
                    "file in the chaincode folder is no package"
                ),
            }
        }
        Ok(packages)
    }

    /// The ids, `name:version`, of what is installed, by the names of the files: a damaged package counts, too. For
    /// programs beside the peer; nothing is changed. `None`: there is no such folder.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn installed_ids(file_system_path: &Path) -> Result<Option<BTreeSet<String>>, PackageError> {
        let folder = file_system_path.join("chaincodes");
        let store = Self {
            folder,
            known: Mutex::default(),
        };
        if !store.folder.exists() {
            return Ok(None);
        }
        let names = store.file_names()?;
        let ids = names.iter().filter_map(|name| name.split_once('.'));
        let ids = ids.filter(|(name, _)| !name.is_empty());
        Ok(Some(
            ids.map(|(name, version)| format!("{name}:{version}")).collect(),
        ))
    }

    /// Checks the installed package against a definition: same code, same signers, same instantiation policy.
    ///
    /// # Errors
    /// When it is not installed or differs.
    pub fn check(&self, defined: &ChaincodeData) -> Result<(), SecurityError> {
        let id = ChaincodeId::new(&defined.name, &defined.version);
        let info = self
            .info(&id)
            .map_err(|source| SecurityError::Package(id, source))?;
        validate(&info.data, info.signed, defined)
    }

    /// The file of a package. Its name follows the rules, so it cannot lead out of the folder.
    fn path(&self, id: &ChaincodeId) -> Result<PathBuf, PackageError> {
        check_name(&id.name)?;
        check_version(&id.version)?;
        Ok(self.folder.join(format!("{}.{}", id.name, id.version)))
    }

    fn remember(&self, package: &Package) -> Arc<PackageInfo> {
        let info = Arc::new(PackageInfo::from(package));
        self.known.lock().insert(package.id().clone(), info.clone());
        info
    }

    fn file_names(&self) -> Result<Vec<String>, PackageError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io("read", &self.folder))? {
            let entry = entry.map_err(io("read", &self.folder))?;
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if let (true, Ok(name)) = (is_file, entry.file_name().into_string()) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }
}

/// A whole file, unless it is larger than any package.
fn read(path: &Path) -> Result<Bytes, PackageError> {
    let file = fs::File::open(path).map_err(io("open", path))?;
    let size = file.metadata().map_err(io("open", path))?.len();
    let limit = u64::try_from(MAX_MESSAGE_SIZE).unwrap_or(u64::MAX);
    if size > limit {
        return Err(PackageError::TooLarge { size });
    }
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    file.take(limit)
        .read_to_end(&mut content)
        .map_err(io("read", path))?;
    Ok(content.into())
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> PackageError {
    let path = path.to_owned();
    move |source| PackageError::Io { action, path, source }
}

#[cfg(test)]
mod tests;
