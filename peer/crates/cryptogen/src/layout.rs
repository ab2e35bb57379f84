//! Folders and files of an MSP and of TLS material, named as cryptogen names them.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use crate::{CertificateAuthority, CryptogenError, IssuedCertificate};

/// The CAs of an organisation with the names of their files.
pub(crate) struct Authorities<'a> {
    pub(crate) domain: &'a str,
    pub(crate) ca: &'a CertificateAuthority,
    pub(crate) tls_ca: &'a CertificateAuthority,
    pub(crate) node_ous: bool,
}

impl Authorities<'_> {
    fn ca_file(&self) -> String {
        format!("ca.{}-cert.pem", self.domain)
    }

    fn tls_ca_file(&self) -> String {
        format!("tlsca.{}-cert.pem", self.domain)
    }

    /// `ca` and `tlsca` with their keys.
    pub(crate) fn write_authorities(&self, org: &Path) -> Result<(), CryptogenError> {
        let each = [
            ("ca", self.ca_file(), self.ca),
            ("tlsca", self.tls_ca_file(), self.tls_ca),
        ];
        for (folder, file, authority) in each {
            let folder = make_folder(org.join(folder))?;
            write(&folder.join(file), authority.certificate_pem().as_bytes())?;
            write_secret(&folder.join("priv_sk"), authority.key().pkcs8_pem().as_bytes())?;
        }
        Ok(())
    }

    /// What everybody may know of the organisation. With node OUs, `admincerts` stays empty.
    pub(crate) fn write_verifying_msp(
        &self,
        folder: &Path,
        admin: Option<&NamedCertificate<'_>>,
    ) -> Result<(), CryptogenError> {
        let folder = make_folder(folder.to_owned())?;
        let roots = make_folder(folder.join("cacerts"))?;
        write(&roots.join(self.ca_file()), self.ca.certificate_pem().as_bytes())?;
        let tls_roots = make_folder(folder.join("tlscacerts"))?;
        write(
            &tls_roots.join(self.tls_ca_file()),
            self.tls_ca.certificate_pem().as_bytes(),
        )?;
        let admins = make_folder(folder.join("admincerts"))?;
        if self.node_ous {
            return write(&folder.join("config.yaml"), self.config_yaml().as_bytes());
        }
        match admin {
            Some(admin) => admin.write(&admins),
            None => Ok(()),
        }
    }

    /// The same with an identity of its own.
    pub(crate) fn write_signing_msp(
        &self,
        folder: &Path,
        identity: &NamedCertificate<'_>,
        admin: Option<&NamedCertificate<'_>>,
    ) -> Result<(), CryptogenError> {
        self.write_verifying_msp(folder, admin)?;
        identity.write(&make_folder(folder.join("signcerts"))?)?;
        let keys = make_folder(folder.join("keystore"))?;
        write_secret(
            &keys.join("priv_sk"),
            identity.certificate.key().pkcs8_pem().as_bytes(),
        )
    }

    /// `ca.crt` and the pair; `side` is `server` or `client`.
    pub(crate) fn write_tls(
        &self,
        folder: &Path,
        side: &str,
        certificate: &IssuedCertificate,
    ) -> Result<(), CryptogenError> {
        let folder = make_folder(folder.to_owned())?;
        write(&folder.join("ca.crt"), self.tls_ca.certificate_pem().as_bytes())?;
        write(
            &folder.join(format!("{side}.crt")),
            certificate.certificate_pem().as_bytes(),
        )?;
        write_secret(
            &folder.join(format!("{side}.key")),
            certificate.key().pkcs8_pem().as_bytes(),
        )
    }

    fn config_yaml(&self) -> String {
        let mut text = "NodeOUs:\n  Enable: true\n".to_owned();
        for (role, unit) in [
            ("Client", "client"),
            ("Peer", "peer"),
            ("Admin", "admin"),
            ("Orderer", "orderer"),
        ] {
            let file = self.ca_file();
            text.push_str(&format!(
                "  {role}OUIdentifier:\n    Certificate: cacerts/{file}\n    OrganizationalUnitIdentifier: {unit}\n"
            ));
        }
        text
    }
}

/// A certificate and the name of its holder, which names its file.
pub(crate) struct NamedCertificate<'a> {
    pub(crate) name: &'a str,
    pub(crate) certificate: &'a IssuedCertificate,
}

impl NamedCertificate<'_> {
    fn write(&self, folder: &Path) -> Result<(), CryptogenError> {
        let file = folder.join(format!("{}-cert.pem", self.name));
        write(&file, self.certificate.certificate_pem().as_bytes())
    }
}

fn make_folder(path: PathBuf) -> Result<PathBuf, CryptogenError> {
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(CryptogenError::Write { path, source }),
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), CryptogenError> {
    fs::write(path, content).map_err(|source| CryptogenError::Write {
        path: path.to_owned(),
        source,
    })
}

/// For the owner's eyes only, from the moment the file exists.
fn write_secret(path: &Path, content: &[u8]) -> Result<(), CryptogenError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(content));
    written.map_err(|source| CryptogenError::Write {
        path: path.to_owned(),
        source,
    })
}
