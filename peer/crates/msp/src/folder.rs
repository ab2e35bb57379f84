//! MSP folders in the layout that cryptogen and fabric-ca write.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use protos::msp::{FabricCryptoConfig, FabricMspConfig, FabricNodeOUs, FabricOuIdentifier};
use serde::Deserialize;

use crate::msp::{Admins, Msp};
use crate::setup::SetupError;

/// Largest file of an MSP folder: revocation lists are the longest.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Why an MSP folder cannot be used. The texts are Fabric's.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A folder that must hold a certificate holds none.
    #[error("could not load a valid {what} certificate from directory {}", .folder.display())]
    NoCertificate {
        /// What the certificate is for.
        what: &'static str,
        /// The folder.
        folder: PathBuf,
        /// What happened on reading the folder.
        #[source]
        source: Option<io::Error>,
    },
    /// A folder or file cannot be read.
    #[error("could not read file {}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// config.yaml does not parse.
    #[error("failed unmarshalling configuration file at [{}]: {problem}", .file.display())]
    Yaml {
        /// The file.
        file: PathBuf,
        /// What the parser said.
        problem: String,
    },
    /// The folder's MSP breaks a rule.
    #[error("error when setting up MSP from directory {}", .folder.display())]
    Setup {
        /// The folder.
        folder: PathBuf,
        /// Which rule.
        #[source]
        source: Box<SetupError>,
    },
}

/// config.yaml of an MSP folder.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Configuration {
    #[serde(rename = "OrganizationalUnitIdentifiers")]
    organizational_unit_identifiers: Option<Vec<UnitIdentifier>>,
    #[serde(rename = "NodeOUs")]
    node_ous: Option<NodeOus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NodeOus {
    #[serde(rename = "Enable")]
    enable: bool,
    #[serde(rename = "ClientOUIdentifier")]
    client: Option<UnitIdentifier>,
    #[serde(rename = "PeerOUIdentifier")]
    peer: Option<UnitIdentifier>,
    #[serde(rename = "AdminOUIdentifier")]
    admin: Option<UnitIdentifier>,
    #[serde(rename = "OrdererOUIdentifier")]
    orderer: Option<UnitIdentifier>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UnitIdentifier {
    #[serde(rename = "Certificate")]
    certificate: Option<String>,
    #[serde(rename = "OrganizationalUnitIdentifier")]
    unit: Option<String>,
}

/// Reads an MSP folder into the configuration that channels carry; keys and signing certificates stay out.
///
/// # Errors
/// When there is no CA certificate or a file cannot be read.
pub fn folder_config(folder: &Path, msp_id: &str) -> Result<FabricMspConfig, FolderError> {
    let optional = |name: &str| pems_if_present(&folder.join(name));
    let tls_root_certs = optional("tlscacerts")?;
    let tls_intermediate_certs = match tls_root_certs.is_empty() {
        true => Vec::new(),
        false => optional("tlsintermediatecerts")?,
    };
    let configuration = read_configuration(&folder.join("config.yaml"))?;
    Ok(FabricMspConfig {
        name: msp_id.to_owned(),
        root_certs: required_pems("ca", &folder.join("cacerts"))?,
        intermediate_certs: optional("intermediatecerts")?,
        admins: optional("admincerts")?,
        revocation_list: optional("crls")?,
        signing_identity: None,
        organizational_unit_identifiers: recognised_units(folder, &configuration)?,
        crypto_config: Some(FabricCryptoConfig {
            signature_hash_family: "SHA2".into(),
            identity_identifier_hash_function: "SHA256".into(),
        }),
        tls_root_certs,
        tls_intermediate_certs,
        fabric_node_ous: configuration
            .node_ous
            .and_then(|node_ous| read_node_ous(folder, &node_ous)),
    })
}

impl Msp {
    /// Loads an MSP from a folder.
    ///
    /// # Errors
    /// When the folder cannot be read or its MSP breaks a rule of MSP version 1.4.3.
    pub fn load_folder(folder: &Path, msp_id: &str) -> Result<Self, FolderError> {
        let config = folder_config(folder, msp_id)?;
        Self::from_config(&config, Admins::Required).map_err(|source| FolderError::Setup {
            folder: folder.to_owned(),
            source: Box::new(source),
        })
    }
}

/// The PEM files of a folder that must hold at least one.
pub(crate) fn required_pems(what: &'static str, folder: &Path) -> Result<Vec<Bytes>, FolderError> {
    let refuse = |source| FolderError::NoCertificate {
        what,
        folder: folder.to_owned(),
        source,
    };
    let found = pems(folder).map_err(|source| refuse(Some(source)))?;
    if found.is_empty() {
        Err(refuse(None))
    } else {
        Ok(found)
    }
}

fn pems_if_present(folder: &Path) -> Result<Vec<Bytes>, FolderError> {
    match pems(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found.map_err(|source| FolderError::Unreadable {
            file: folder.to_owned(),
            source,
        }),
    }
}

/// The PEM files of a folder by name; other files are skipped with a warning.
pub(crate) fn pems(folder: &Path) -> io::Result<Vec<Bytes>> {
    let entries: Result<Vec<_>, _> = fs::read_dir(folder)?.collect();
    let mut files: Vec<PathBuf> = entries?.into_iter().map(|entry| entry.path()).collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        if file.is_dir() {
            continue;
        }
        match read_limited(&file) {
            Ok(bytes) if pem::parse(&bytes).is_ok() => found.push(bytes),
            Ok(_) => tracing::warn!(file = %file.display(), "no pem content in file"),
            Err(error) => tracing::warn!(file = %file.display(), %error, "failed reading file"),
        }
    }
    Ok(found)
}

fn read_limited(file: &Path) -> io::Result<Bytes> {
    if fs::metadata(file)?.len() > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "file is too large"));
    }
    Ok(fs::read(file)?.into())
}

fn read_configuration(file: &Path) -> Result<Configuration, FolderError> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Configuration::default()),
        Err(source) => {
            return Err(FolderError::Unreadable {
                file: file.to_owned(),
                source,
            });
        }
    };
    if text.trim().is_empty() {
        return Ok(Configuration::default());
    }
    serde_saphyr::from_str(&text).map_err(|error| FolderError::Yaml {
        file: file.to_owned(),
        problem: error.to_string(),
    })
}

fn recognised_units(
    folder: &Path,
    configuration: &Configuration,
) -> Result<Vec<FabricOuIdentifier>, FolderError> {
    let units = configuration.organizational_unit_identifiers.iter().flatten();
    let read = units.map(|unit| {
        let file = folder.join(unit.certificate.as_deref().unwrap_or_default());
        let certificate = read_limited(&file).map_err(|source| FolderError::Unreadable { file, source })?;
        Ok(FabricOuIdentifier {
            certificate,
            organizational_unit_identifier: unit.unit.clone().unwrap_or_default(),
        })
    });
    read.collect()
}

fn read_node_ous(folder: &Path, node_ous: &NodeOus) -> Option<FabricNodeOUs> {
    let read = |unit: &Option<UnitIdentifier>| read_node_ou(folder, unit.as_ref()?);
    node_ous.enable.then(|| FabricNodeOUs {
        enable: true,
        client_ou_identifier: read(&node_ous.client),
        peer_ou_identifier: read(&node_ous.peer),
        admin_ou_identifier: read(&node_ous.admin),
        orderer_ou_identifier: read(&node_ous.orderer),
    })
}

/// One node OU; a certificate that cannot be read is left out, so that any CA of the MSP may vouch for it.
fn read_node_ou(folder: &Path, unit: &UnitIdentifier) -> Option<FabricOuIdentifier> {
    let name = unit.unit.clone().filter(|name| !name.is_empty())?;
    let path = unit.certificate.as_deref().filter(|path| !path.is_empty());
    let certificate = path.and_then(|path| {
        let file = folder.join(path);
        let read = read_limited(&file);
        if let Err(error) = &read {
            tracing::warn!(unit = name, file = %file.display(), %error, "failed loading a unit's certificate");
        }
        read.ok()
    });
    Some(FabricOuIdentifier {
        certificate: certificate.unwrap_or_default(),
        organizational_unit_identifier: name,
    })
}
