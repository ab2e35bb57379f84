//! TLS of a listener: the section and the PEM files it names.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::typed::{file, files, optional_text};

/// A `tls` section.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsConfig {
    /// `enabled`.
    pub enabled: bool,
    /// `clientAuthRequired`: clients must show a certificate of one of the client roots.
    pub client_auth_required: bool,
    /// `cert.file`: the server's certificate.
    #[serde(rename = "cert", deserialize_with = "file")]
    pub cert_file: Option<PathBuf>,
    /// `key.file`: its key.
    #[serde(rename = "key", deserialize_with = "file")]
    pub key_file: Option<PathBuf>,
    /// `rootcert.file`: the root of the server's certificate, for outgoing connections.
    #[serde(rename = "rootcert", deserialize_with = "file")]
    pub rootcert_file: Option<PathBuf>,
    /// `clientRootCAs.files`.
    #[serde(rename = "clientRootCAs", deserialize_with = "files")]
    pub client_root_ca_files: Vec<PathBuf>,
    /// `clientKey.file`: for outgoing connections, else the server's.
    #[serde(rename = "clientKey", deserialize_with = "file")]
    pub client_key_file: Option<PathBuf>,
    /// `clientCert.file`: for outgoing connections, else the server's.
    #[serde(rename = "clientCert", deserialize_with = "file")]
    pub client_cert_file: Option<PathBuf>,
    /// `serverhostoverride`: the name to expect in the server's certificate, for the command line.
    #[serde(rename = "serverhostoverride", deserialize_with = "optional_text")]
    pub server_host_override: Option<String>,
}

/// The PEM texts of a listener.
#[derive(Debug, Clone)]
pub struct TlsMaterial {
    /// The server's certificate, and its chain if the file has one.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
    /// The root of the server's certificate, if one is named.
    pub root_certificate: Option<Vec<u8>>,
    /// What client certificates are checked against; empty unless clients must show one.
    pub client_root_cas: Vec<Vec<u8>>,
}

/// Why a listener has no TLS material. Fabric's texts, which show the cause in brackets.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The key.
    #[error("error loading TLS key ({0})")]
    Key(FileProblem),
    /// The certificate.
    #[error("error loading TLS certificate ({0})")]
    Certificate(FileProblem),
    /// The roots for clients.
    #[error("error loading client root CAs ({0})")]
    ClientRootCas(FileProblem),
    /// The root of the server's certificate.
    #[error("error loading TLS root certificate ({0})")]
    RootCertificate(FileProblem),
}

/// A file that cannot be read; a part of [`TlsError`]'s text.
#[derive(Debug)]
pub struct FileProblem {
    path: PathBuf,
    cause: io::Error,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "open {}: {}", self.path.display(), self.cause)
    }
}

impl TlsConfig {
    /// Reads the listener's files. Blocks; for the start of a process.
    pub fn load(&self) -> Result<TlsMaterial, TlsError> {
        let key = read(self.key_file.as_deref()).map_err(TlsError::Key)?;
        let certificate = read(self.cert_file.as_deref()).map_err(TlsError::Certificate)?;
        let roots = if self.client_auth_required {
            self.client_root_ca_files.as_slice()
        } else {
            &[]
        };
        let client_root_cas: Result<Vec<_>, _> = roots.iter().map(|path| read(Some(path))).collect();
        let client_root_cas = client_root_cas.map_err(TlsError::ClientRootCas)?;
        let root_certificate = match &self.rootcert_file {
            Some(path) => Some(read(Some(path)).map_err(TlsError::RootCertificate)?),
            None => None,
        };
        Ok(TlsMaterial {
            certificate,
            key,
            root_certificate,
            client_root_cas,
        })
    }

    /// Reads `clientRootCAs.files`, also where clients need not show a certificate. Blocks.
    pub fn load_client_roots(&self) -> Result<Vec<Vec<u8>>, TlsError> {
        let roots = self.client_root_ca_files.iter().map(|path| read(Some(path)));
        roots.collect::<Result<_, _>>().map_err(TlsError::ClientRootCas)
    }

    /// Every file that cannot be read, where [`TlsConfig::load`] stops at the first.
    pub fn problems(&self) -> Vec<TlsError> {
        let mut problems = Vec::new();
        problems.extend(read(self.key_file.as_deref()).err().map(TlsError::Key));
        problems.extend(read(self.cert_file.as_deref()).err().map(TlsError::Certificate));
        if self.client_auth_required {
            let roots = self
                .client_root_ca_files
                .iter()
                .filter_map(|path| read(Some(path)).err());
            problems.extend(roots.map(TlsError::ClientRootCas));
        }
        let root = self
            .rootcert_file
            .as_deref()
            .and_then(|path| read(Some(path)).err());
        problems.extend(root.map(TlsError::RootCertificate));
        problems
    }

    /// The certificate and key for outgoing connections: the client pair, else the server's.
    pub fn client_pair<'a>(&'a self) -> Option<(&'a Path, &'a Path)> {
        let pair = |certificate: &'a Option<PathBuf>, key: &'a Option<PathBuf>| {
            certificate.as_deref().zip(key.as_deref())
        };
        pair(&self.client_cert_file, &self.client_key_file).or_else(|| pair(&self.cert_file, &self.key_file))
    }
}

fn read(path: Option<&Path>) -> Result<Vec<u8>, FileProblem> {
    // an unset path is an empty name, which no system opens
    let path = path.unwrap_or(Path::new(""));
    fs::read(path).map_err(|cause| FileProblem {
        path: path.to_owned(),
        cause,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{TlsConfig, TlsError};

    #[test]
    fn each_missing_file_has_its_own_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            fs::write(folder.path().join(name), name).unwrap();
            Some(folder.path().join(name))
        };
        let mut tls = TlsConfig {
            enabled: true,
            client_auth_required: true,
            ..TlsConfig::default()
        };
        assert!(
            tls.load()
                .unwrap_err()
                .to_string()
                .starts_with("error loading TLS key (open ")
        );
        assert_eq!(tls.problems().len(), 2, "key and certificate at once");
        tls.key_file = file("key");
        assert!(
            tls.load()
                .unwrap_err()
                .to_string()
                .starts_with("error loading TLS certificate (open ")
        );
        tls.cert_file = file("cert");
        tls.client_root_ca_files = vec![folder.path().join("none")];
        assert!(
            tls.load()
                .unwrap_err()
                .to_string()
                .starts_with("error loading client root CAs (open ")
        );
        assert!(tls.load_client_roots().is_err());
        tls.client_root_ca_files = file("ca").into_iter().collect();
        assert_eq!(tls.load_client_roots().unwrap(), [b"ca".to_vec()]);
        tls.rootcert_file = Some(folder.path().join("none"));
        assert!(matches!(tls.load(), Err(TlsError::RootCertificate(_))));
        tls.rootcert_file = None;
        assert!(tls.problems().is_empty());
        let material = tls.load().unwrap();
        assert_eq!(
            (material.certificate, material.client_root_cas),
            (b"cert".to_vec(), vec![b"ca".to_vec()])
        );
    }

    #[test]
    fn outgoing_connections_fall_back_to_the_server_pair() {
        let mut tls = TlsConfig::default();
        assert_eq!(tls.client_pair(), None);
        tls.cert_file = Some("s.crt".into());
        tls.key_file = Some("s.key".into());
        tls.client_cert_file = Some("c.crt".into());
        assert_eq!(tls.client_pair(), Some(("s.crt".as_ref(), "s.key".as_ref())));
        tls.client_key_file = Some("c.key".into());
        assert_eq!(tls.client_pair(), Some(("c.crt".as_ref(), "c.key".as_ref())));
    }
}
