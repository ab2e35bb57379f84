//! The identities of a development network, in cryptogen's layout, and the wallet made of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cryptogen::{NodeSpec, OrgSpec};
use msp::LocalMsp;
use serde_json::json;

use super::folder::{Readers, write_file};

/// The organisation's MSP.
pub const ORG_MSP: &str = "Org1MSP";
/// The organisation's name in configurations and profiles.
pub const ORG_NAME: &str = "Org1";
/// The peer's host name.
pub const PEER: &str = "peer0.org1.example.com";
/// The orderer's MSP.
pub const ORDERER_MSP: &str = "OrdererMSP";
/// The orderer's host name.
pub const ORDERER: &str = "orderer.example.com";
/// Who may change the network.
pub const ADMIN: &str = "Admin";
/// Who uses it.
pub const USER: &str = "User1";

const ORG_DOMAIN: &str = "org1.example.com";
const ORDERER_DOMAIN: &str = "example.com";

/// Where the identities are.
#[derive(Clone, Debug)]
pub struct Identities {
    root: PathBuf,
}

/// The TLS files of a node.
#[derive(Clone, Debug)]
pub struct NodeTls {
    /// Its certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The root that its certificate leads to.
    pub root: PathBuf,
}

impl Identities {
    /// Finds the identities in `root` (cryptogen's `crypto-config`), or makes them. Blocks.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn ensure(root: PathBuf) -> Result<Self> {
        if !root.exists() {
            let draft = root.with_extension("new");
            if draft.exists() {
                fs::remove_dir_all(&draft).with_context(|| format!("could not clear {}", draft.display()))?;
            }
            make(&draft).context("could not make the identities")?;
            fs::rename(&draft, &root).with_context(|| format!("could not make {}", root.display()))?;
        }
        Ok(Self { root })
    }

    fn org(&self) -> PathBuf {
        self.root.join("peerOrganizations").join(ORG_DOMAIN)
    }

    fn orderer_org(&self) -> PathBuf {
        self.root.join("ordererOrganizations").join(ORDERER_DOMAIN)
    }

    /// What everybody may know of the organisation.
    #[must_use]
    pub fn org_msp(&self) -> PathBuf {
        self.org().join("msp")
    }

    /// What everybody may know of the orderer's organisation.
    #[must_use]
    pub fn orderer_org_msp(&self) -> PathBuf {
        self.orderer_org().join("msp")
    }

    /// The peer's MSP folder.
    #[must_use]
    pub fn peer_msp(&self) -> PathBuf {
        self.org().join("peers").join(PEER).join("msp")
    }

    /// The orderer's MSP folder.
    #[must_use]
    pub fn orderer_msp(&self) -> PathBuf {
        self.orderer_org().join("orderers").join(ORDERER).join("msp")
    }

    /// The peer's TLS files.
    #[must_use]
    pub fn peer_tls(&self) -> NodeTls {
        NodeTls::server(&self.org().join("peers").join(PEER).join("tls"))
    }

    /// The orderer's TLS files.
    #[must_use]
    pub fn orderer_tls(&self) -> NodeTls {
        NodeTls::server(&self.orderer_org().join("orderers").join(ORDERER).join("tls"))
    }

    /// The MSP folder of [`ADMIN`] or [`USER`].
    #[must_use]
    pub fn user_msp(&self, name: &str) -> PathBuf {
        self.user(name).join("msp")
    }

    /// The TLS files that [`ADMIN`] or [`USER`] shows to servers.
    #[must_use]
    pub fn user_tls(&self, name: &str) -> NodeTls {
        NodeTls::of(&self.user(name).join("tls"), "client")
    }

    fn user(&self, name: &str) -> PathBuf {
        self.org().join("users").join(format!("{name}@{ORG_DOMAIN}"))
    }

    /// Loads the identity of [`ADMIN`] or [`USER`]. Blocks.
    ///
    /// # Errors
    /// When the folder is damaged or the certificate has expired.
    pub fn load_user(&self, name: &str) -> Result<LocalMsp> {
        let folder = self.user_msp(name);
        LocalMsp::load_folder(&folder, ORG_MSP)
            .with_context(|| format!("could not load {}", folder.display()))
    }

    /// Writes the wallet of a file system as fabric-network has it: `<name>.id`. Blocks.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_wallet(&self, wallet: &Path) -> Result<()> {
        fs::create_dir_all(wallet).with_context(|| format!("could not make {}", wallet.display()))?;
        for name in [ADMIN, USER] {
            let folder = self.user_msp(name);
            let certificate = format!("signcerts/{name}@{ORG_DOMAIN}-cert.pem");
            let identity = json!({
                "credentials": {
                    "certificate": read_text(&folder.join(certificate))?,
                    "privateKey": read_text(&folder.join("keystore/priv_sk"))?,
                },
                "mspId": ORG_MSP,
                "type": "X.509",
                "version": 1,
            });
            let bytes = serde_json::to_vec(&identity)?;
            write_file(&wallet.join(format!("{name}.id")), &bytes, Readers::Owner)?;
        }
        Ok(())
    }
}

impl NodeTls {
    fn server(folder: &Path) -> Self {
        Self::of(folder, "server")
    }

    fn of(folder: &Path, side: &str) -> Self {
        Self {
            certificate: folder.join(format!("{side}.crt")),
            key: folder.join(format!("{side}.key")),
            root: folder.join("ca.crt"),
        }
    }

    /// The root in PEM. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn root_pem(&self) -> Result<String> {
        read_text(&self.root)
    }
}

/// Reads a text file, naming it on failure.
pub(super) fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))
}

fn make(root: &Path) -> Result<(), cryptogen::CryptogenError> {
    let org = OrgSpec {
        domain: ORG_DOMAIN.to_owned(),
        msp_id: ORG_MSP.to_owned(),
        peers: vec![NodeSpec::new("peer0")],
        orderers: Vec::new(),
        users: 1,
        node_ous: true,
    };
    let orderer = OrgSpec {
        domain: ORDERER_DOMAIN.to_owned(),
        msp_id: ORDERER_MSP.to_owned(),
        peers: Vec::new(),
        orderers: vec![NodeSpec::new("orderer")],
        users: 0,
        node_ous: true,
    };
    cryptogen::generate(&org, root)?;
    cryptogen::generate(&orderer, root)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::{ADMIN, Identities, ORDERER_MSP, ORG_MSP, USER};

    #[test]
    fn the_layout_is_cryptogens_and_every_identity_loads() {
        let folder = tempfile::tempdir().unwrap();
        let identities = Identities::ensure(folder.path().join("crypto-config")).unwrap();
        for user in [ADMIN, USER] {
            identities.load_user(user).unwrap();
            assert!(identities.user_tls(user).certificate.exists());
        }
        msp::LocalMsp::load_folder(&identities.peer_msp(), ORG_MSP).unwrap();
        msp::LocalMsp::load_folder(&identities.orderer_msp(), ORDERER_MSP).unwrap();
        msp::folder_config(&identities.org_msp(), ORG_MSP).unwrap();
        msp::folder_config(&identities.orderer_org_msp(), ORDERER_MSP).unwrap();
        for tls in [identities.peer_tls(), identities.orderer_tls()] {
            assert!(tls.certificate.exists() && tls.key.exists() && tls.root.exists());
        }
    }

    #[test]
    fn identities_are_made_once_and_an_interrupted_making_is_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("crypto-config");
        fs::create_dir_all(root.with_extension("new").join("peerOrganizations")).unwrap();
        let first = Identities::ensure(root.clone())
            .unwrap()
            .load_user(ADMIN)
            .unwrap()
            .serialized_identity();
        let second = Identities::ensure(root)
            .unwrap()
            .load_user(ADMIN)
            .unwrap()
            .serialized_identity();
        assert_eq!(first, second);
    }

    #[test]
    fn the_wallet_has_the_form_of_fabric_network() {
        let folder = tempfile::tempdir().unwrap();
        let identities = Identities::ensure(folder.path().join("crypto-config")).unwrap();
        let wallet = folder.path().join("wallet");
        identities.write_wallet(&wallet).unwrap();
        let user: Value = serde_json::from_slice(&fs::read(wallet.join("User1.id")).unwrap()).unwrap();
        assert_eq!(user["type"], "X.509");
        assert_eq!(user["version"], 1);
        assert_eq!(user["mspId"], ORG_MSP);
        assert!(
            user["credentials"]["certificate"]
                .as_str()
                .unwrap()
                .starts_with("-----BEGIN CERTIFICATE-----")
        );
        assert!(
            user["credentials"]["privateKey"]
                .as_str()
                .unwrap()
                .starts_with("-----BEGIN PRIVATE KEY-----")
        );
        let mut files: Vec<_> = fs::read_dir(&wallet)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        files.sort();
        assert_eq!(files, ["Admin.id", "User1.id"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(wallet.join("User1.id"))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0);
        }
    }
}
