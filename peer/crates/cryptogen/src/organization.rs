//! A whole organisation, as `cryptogen generate` writes it.

use std::path::{Path, PathBuf};

use crate::{
    CertificateAuthority, CertificateSpec, CryptogenError, Curve, IssuedCertificate, Subject, Validity,
    layout::{Authorities, NamedCertificate},
};

/// Names under which every node can be reached from its own machine.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A peer or orderer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeSpec {
    /// The host, such as `peer0`; the domain follows it.
    pub hostname: String,
    /// Further names of its TLS certificate, beside the host, the host with domain and those of this machine.
    pub sans: Vec<String>,
}

impl NodeSpec {
    /// A node with no further names.
    pub fn new(hostname: impl Into<String>) -> Self {
        Self {
            hostname: hostname.into(),
            sans: Vec::new(),
        }
    }
}

/// An organisation to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgSpec {
    /// Its domain, such as `org1.example.com`.
    pub domain: String,
    /// Its MSP; cryptogen's files do not hold it, [`GeneratedOrg`] hands it on.
    pub msp_id: String,
    /// Its peers.
    pub peers: Vec<NodeSpec>,
    /// Its orderers.
    pub orderers: Vec<NodeSpec>,
    /// Users beside the admin: `User1` to this many.
    pub users: usize,
    /// Whether OUs say who is admin, peer, orderer or client; otherwise admins are listed in `admincerts`.
    pub node_ous: bool,
}

/// An identity that was written.
#[derive(Debug)]
pub struct GeneratedIdentity {
    /// `peer0.org1.example.com` or `Admin@org1.example.com`.
    pub name: String,
    /// Its `msp` folder.
    pub msp_dir: PathBuf,
    /// Its `tls` folder: `ca.crt`, and `server.crt` with `server.key` for nodes, `client.*` for users.
    pub tls_dir: PathBuf,
    /// Its signing certificate.
    pub signing: IssuedCertificate,
    /// Its TLS certificate.
    pub tls: IssuedCertificate,
}

/// An organisation that was written.
#[derive(Debug)]
pub struct GeneratedOrg {
    /// Its domain.
    pub domain: String,
    /// Its MSP.
    pub msp_id: String,
    /// Its folder.
    pub dir: PathBuf,
    /// What others need of it, for configtxgen.
    pub msp_dir: PathBuf,
    /// The CA of its identities.
    pub ca: CertificateAuthority,
    /// The CA of its TLS certificates.
    pub tls_ca: CertificateAuthority,
    /// Its peers, in the order of the specification.
    pub peers: Vec<GeneratedIdentity>,
    /// Its orderers.
    pub orderers: Vec<GeneratedIdentity>,
    /// Its admin.
    pub admin: GeneratedIdentity,
    /// `User1` and so on.
    pub users: Vec<GeneratedIdentity>,
}

/// Makes an organisation below `root` (cryptogen's `crypto-config`): in `peerOrganizations` if it has peers or
/// no orderers, else in `ordererOrganizations`. Blocks.
pub fn generate(spec: &OrgSpec, root: &Path) -> Result<GeneratedOrg, CryptogenError> {
    check_name(&spec.domain)?;
    let only_orderers = spec.peers.is_empty() && !spec.orderers.is_empty();
    let kind = if only_orderers {
        "ordererOrganizations"
    } else {
        "peerOrganizations"
    };
    let dir = root.join(kind).join(&spec.domain);
    let ca = authority("ca", &spec.domain)?;
    let tls_ca = authority("tlsca", &spec.domain)?;
    let authorities = Authorities {
        domain: &spec.domain,
        ca: &ca,
        tls_ca: &tls_ca,
        node_ous: spec.node_ous,
    };
    authorities.write_authorities(&dir)?;

    let writer = Writer {
        spec,
        dir: &dir,
        authorities: &authorities,
    };
    let admin = writer.user("Admin", "admin", None)?;
    let listed = NamedCertificate {
        name: &admin.name,
        certificate: &admin.signing,
    };
    let msp_dir = dir.join("msp");
    authorities.write_verifying_msp(&msp_dir, Some(&listed))?;
    let node = |folder, unit| move |node| (folder, unit, node);
    let make = |(folder, unit, node): (&str, &str, &NodeSpec)| writer.node(folder, unit, node, &listed);
    let peers = spec
        .peers
        .iter()
        .map(node("peers", "peer"))
        .map(make)
        .collect::<Result<_, _>>()?;
    let orderers = spec
        .orderers
        .iter()
        .map(node("orderers", "orderer"))
        .map(make)
        .collect::<Result<_, _>>()?;
    let user = |number| writer.user(&format!("User{number}"), "client", Some(&listed));
    let users = (1..=spec.users).map(user).collect::<Result<_, _>>()?;
    let (domain, msp_id) = (spec.domain.clone(), spec.msp_id.clone());
    Ok(GeneratedOrg {
        domain,
        msp_id,
        dir,
        msp_dir,
        ca,
        tls_ca,
        peers,
        orderers,
        admin,
        users,
    })
}

struct Writer<'a> {
    spec: &'a OrgSpec,
    dir: &'a Path,
    authorities: &'a Authorities<'a>,
}

impl Writer<'_> {
    fn node(
        &self,
        folder: &str,
        unit: &str,
        node: &NodeSpec,
        admin: &NamedCertificate<'_>,
    ) -> Result<GeneratedIdentity, CryptogenError> {
        check_name(&node.hostname)?;
        let name = format!("{}.{}", node.hostname, self.spec.domain);
        let mut names = vec![name.clone(), node.hostname.clone()];
        for further in LOCAL_NAMES
            .into_iter()
            .map(str::to_owned)
            .chain(node.sans.iter().cloned())
        {
            if !names.contains(&further) {
                names.push(further);
            }
        }
        let dir = self.dir.join(folder).join(&name);
        self.identity(name, unit, dir, Side::Server(names), Some(admin))
    }

    fn user(
        &self,
        name: &str,
        unit: &str,
        admin: Option<&NamedCertificate<'_>>,
    ) -> Result<GeneratedIdentity, CryptogenError> {
        let name = format!("{name}@{}", self.spec.domain);
        let dir = self.dir.join("users").join(&name);
        self.identity(name, unit, dir, Side::Client, admin)
    }

    /// Without node OUs every MSP lists the admin; the admin's own lists itself.
    fn identity(
        &self,
        name: String,
        unit: &str,
        dir: PathBuf,
        side: Side,
        admin: Option<&NamedCertificate<'_>>,
    ) -> Result<GeneratedIdentity, CryptogenError> {
        let subject = Subject::named(&name);
        let signer = if self.spec.node_ous {
            subject.clone().in_unit(unit)
        } else {
            subject.clone()
        };
        let signing = self.authorities.ca.issue(&CertificateSpec::signing(signer))?;
        let (side, names) = match side {
            Side::Server(names) => ("server", names),
            Side::Client => ("client", Vec::new()),
        };
        let tls = self
            .authorities
            .tls_ca
            .issue(&CertificateSpec::tls(subject, names))?;
        let own = NamedCertificate {
            name: &name,
            certificate: &signing,
        };
        let msp_dir = dir.join("msp");
        self.authorities
            .write_signing_msp(&msp_dir, &own, Some(admin.unwrap_or(&own)))?;
        let tls_dir = dir.join("tls");
        self.authorities.write_tls(&tls_dir, side, &tls)?;
        Ok(GeneratedIdentity {
            name,
            msp_dir,
            tls_dir,
            signing,
            tls,
        })
    }
}

enum Side {
    Server(Vec<String>),
    Client,
}

fn authority(kind: &str, domain: &str) -> Result<CertificateAuthority, CryptogenError> {
    let subject = Subject::named(format!("{kind}.{domain}")).of_organization(domain);
    CertificateAuthority::new(&subject, Validity::from_now(), Curve::P256)
}

/// Names become folders: letters, digits, dots, dashes and underscores, starting with a letter or digit.
fn check_name(name: &str) -> Result<(), CryptogenError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let starts_well = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if starts_well && name.chars().all(allowed) {
        Ok(())
    } else {
        Err(CryptogenError::Name(name.to_owned()))
    }
}

#[cfg(test)]
mod tests;
