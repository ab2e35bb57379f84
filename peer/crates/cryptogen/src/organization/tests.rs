use std::{collections::BTreeSet, fs, path::Path};

use super::{NodeSpec, OrgSpec, generate};
use crate::CryptogenError;

fn org1(node_ous: bool) -> OrgSpec {
    OrgSpec {
        domain: "org1.example.com".to_owned(),
        msp_id: "Org1MSP".to_owned(),
        peers: vec![NodeSpec::new("peer0")],
        orderers: Vec::new(),
        users: 1,
        node_ous,
    }
}

fn files(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// The files that cryptogen writes for the same organisation.
#[test]
fn the_layout_is_cryptogens() {
    let root = tempfile::tempdir().unwrap();
    let org = generate(&org1(true), root.path()).unwrap();
    let mut expected = BTreeSet::new();
    let verifying = [
        "cacerts/ca.org1.example.com-cert.pem",
        "config.yaml",
        "tlscacerts/tlsca.org1.example.com-cert.pem",
    ];
    expected.extend(verifying.map(|file| format!("msp/{file}")));
    for kind in ["ca", "tlsca"] {
        expected.extend([
            format!("{kind}/priv_sk"),
            format!("{kind}/{kind}.org1.example.com-cert.pem"),
        ]);
    }
    for (folder, name, side) in [
        ("peers", "peer0.org1.example.com", "server"),
        ("users", "Admin@org1.example.com", "client"),
        ("users", "User1@org1.example.com", "client"),
    ] {
        let at = format!("{folder}/{name}");
        expected.extend(verifying.map(|file| format!("{at}/msp/{file}")));
        expected.extend([
            format!("{at}/msp/keystore/priv_sk"),
            format!("{at}/msp/signcerts/{name}-cert.pem"),
        ]);
        expected.extend(
            ["ca.crt".to_owned(), format!("{side}.crt"), format!("{side}.key")]
                .map(|file| format!("{at}/tls/{file}")),
        );
    }
    assert_eq!(
        files(&root.path().join("peerOrganizations/org1.example.com")),
        expected
    );
    assert!(org.msp_dir.join("admincerts").is_dir());
    let config = fs::read_to_string(org.peers[0].msp_dir.join("config.yaml")).unwrap();
    assert!(
        config
            .starts_with("NodeOUs:\n  Enable: true\n  ClientOUIdentifier:\n    Certificate: cacerts/ca.org1")
    );
    let key = fs::read_to_string(org.admin.msp_dir.join("keystore/priv_sk")).unwrap();
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n") && key == org.admin.signing.key().pkcs8_pem());
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let org = generate(&org1(true), root.path()).unwrap();
    for key in [
        org.dir.join("ca/priv_sk"),
        org.peers[0].tls_dir.join("server.key"),
    ] {
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn without_node_ous_admins_are_listed() {
    let root = tempfile::tempdir().unwrap();
    let org = generate(&org1(false), root.path()).unwrap();
    for msp in [
        &org.msp_dir,
        &org.peers[0].msp_dir,
        &org.admin.msp_dir,
        &org.users[0].msp_dir,
    ] {
        let listed = fs::read_to_string(msp.join("admincerts/Admin@org1.example.com-cert.pem")).unwrap();
        assert_eq!(listed, org.admin.signing.certificate_pem());
        assert!(!msp.join("config.yaml").exists());
    }
}

#[test]
fn orderers_have_their_own_tree() {
    let root = tempfile::tempdir().unwrap();
    let spec = OrgSpec {
        peers: Vec::new(),
        orderers: vec![NodeSpec::new("orderer")],
        ..org1(true)
    };
    let org = generate(&spec, root.path()).unwrap();
    let expected = root
        .path()
        .join("ordererOrganizations/org1.example.com/orderers/orderer.org1.example.com/msp");
    assert_eq!(org.orderers[0].msp_dir, expected);
}

#[test]
fn names_stay_inside_their_folder() {
    let root = tempfile::tempdir().unwrap();
    for name in ["", "..", "../x", "a/b", "-x", "\u{e4}"] {
        let spec = OrgSpec {
            domain: name.to_owned(),
            ..org1(true)
        };
        assert!(
            matches!(generate(&spec, root.path()), Err(CryptogenError::Name(_))),
            "{name}"
        );
        let spec = OrgSpec {
            peers: vec![NodeSpec::new(name)],
            ..org1(true)
        };
        assert!(
            matches!(generate(&spec, root.path()), Err(CryptogenError::Name(_))),
            "{name}"
        );
    }
}
