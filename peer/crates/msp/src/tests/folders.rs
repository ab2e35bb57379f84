//! MSP folders, and the local MSP's own policies.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use protos::{SignedData, wire_message};
use rcgen::date_time_ymd;

use super::authority::{Authority, Member};
use crate::{Certificate, LocalMsp, LocalPolicy, Msp, folder_config};

const NODE_OUS: &str = "NodeOUs:
  Enable: true
  ClientOUIdentifier: {Certificate: cacerts/ca.pem, OrganizationalUnitIdentifier: client}
  PeerOUIdentifier: {Certificate: cacerts/ca.pem, OrganizationalUnitIdentifier: peer}
  AdminOUIdentifier: {Certificate: cacerts/gone.pem, OrganizationalUnitIdentifier: admin}
";

fn write(folder: &Path, name: &str, content: &[u8]) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, content).unwrap();
}

fn folder(root: &Authority, signer: &Member, key_name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "cacerts/ca.pem", &root.pem());
    write(folder.path(), "cacerts/README", b"not a certificate");
    write(folder.path(), "signcerts/cert.pem", signer.pem.as_bytes());
    write(
        folder.path(),
        &format!("keystore/{key_name}"),
        signer.key_pem.as_bytes(),
    );
    write(folder.path(), "config.yaml", NODE_OUS.as_bytes());
    folder
}

fn signed(member: &Member, msp_id: &str) -> SignedData {
    let signer = member.signer(msp_id);
    SignedData {
        data: Bytes::from_static(b"proposal"),
        identity: signer.serialized_identity(),
        signature: signer.sign(&[b"proposal"]).unwrap(),
    }
}

#[test]
fn a_folder_becomes_a_configuration() {
    let root = Authority::root("ca");
    let folder = folder(&root, &root.member(&["peer"]), "priv_sk");
    let config = folder_config(folder.path(), "A").unwrap();
    assert_eq!(config.root_certs, [root.pem()]);
    assert!(config.signing_identity.is_none());
    let node_ous = config.fabric_node_ous.unwrap();
    assert_eq!(node_ous.client_ou_identifier.unwrap().certificate, root.pem());
    let admin = node_ous.admin_ou_identifier.unwrap();
    assert_eq!(admin.organizational_unit_identifier, "admin");
    assert!(admin.certificate.is_empty());
    assert!(node_ous.orderer_ou_identifier.is_none());
    Msp::load_folder(folder.path(), "A").unwrap();

    fs::remove_dir_all(folder.path().join("cacerts")).unwrap();
    let text = wire_message(&folder_config(folder.path(), "A").unwrap_err());
    assert!(
        text.starts_with("could not load a valid ca certificate from directory "),
        "{text}"
    );
}

#[test]
fn the_key_is_found_by_its_id_or_by_looking() {
    let root = Authority::root("ca");
    let member = root.member(&["peer"]);
    let certificate = Certificate::from_pem(member.pem.as_bytes()).unwrap();
    let by_id = format!("{}_sk", hex::encode(certificate.key_id()));
    for name in ["priv_sk", "key.pem", by_id.as_str()] {
        let folder = folder(&root, &member, name);
        write(
            folder.path(),
            "keystore/a_other",
            root.member(&[]).key_pem.as_bytes(),
        );
        write(folder.path(), "keystore/b_garbage", b"garbage");
        let local = LocalMsp::load_folder(folder.path(), "A").unwrap();
        let signature = local.signer().sign(&[b"message"]).unwrap();
        let identity = local
            .identities()
            .deserialize(&local.serialized_identity())
            .unwrap();
        identity.verify(b"message", &signature).unwrap();
    }
    let folder = folder(&root, &root.member(&["peer"]), "other");
    write(folder.path(), "signcerts/cert.pem", member.pem.as_bytes());
    let text = wire_message(&LocalMsp::load_folder(folder.path(), "A").unwrap_err());
    assert!(
        text.starts_with("no private key for the signing certificate"),
        "{text}"
    );
    assert!(!text.contains("could not be read"), "{text}");
    // even root cannot read this one
    let unreadable = folder.path().join("keystore/loop_sk");
    std::os::unix::fs::symlink("loop_sk", &unreadable).unwrap();
    let text = wire_message(&LocalMsp::load_folder(folder.path(), "A").unwrap_err());
    let named = format!(", where these could not be read: {}: ", unreadable.display());
    assert!(text.contains(&named), "{text}");
}

#[test]
fn an_expired_signer_is_refused_at_start() {
    let root = Authority::root("ca");
    let expired = root.member_with(&["peer"], |params| params.not_after = date_time_ymd(2020, 2, 1));
    let folder = folder(&root, &expired, "key");
    let text = wire_message(&LocalMsp::load_folder(folder.path(), "A").unwrap_err());
    assert!(text.starts_with("signing identity expired "), "{text}");
}

#[test]
fn local_policies_know_members_and_admins() {
    let root = Authority::root("ca");
    let folder = folder(&root, &root.member(&["peer"]), "key");
    let local = LocalMsp::load_folder(folder.path(), "A").unwrap();
    let (admin, client) = (root.member(&["admin"]), root.member(&["client"]));
    local
        .check_policy(LocalPolicy::Admins, &signed(&admin, "A"))
        .unwrap();
    local
        .check_policy(LocalPolicy::Members, &signed(&client, "A"))
        .unwrap();
    let refusal = |policy, data: &SignedData| wire_message(&local.check_policy(policy, data).unwrap_err());
    assert_eq!(
        refusal(LocalPolicy::Admins, &signed(&client, "A")),
        "Failed verifying that proposal's creator satisfies local MSP principal during channelless check policy with policy [Admins]: [The identity is not an admin under this MSP [A]: The identity does not contain OU [ADMIN], MSP: [A]]"
    );
    assert_eq!(
        refusal(LocalPolicy::Members, &signed(&client, "B")),
        "Failed deserializing proposal creator during channelless check policy with policy [Members]: [expected MSP ID A, received B]"
    );
    let mut forged = signed(&admin, "A");
    forged.data = Bytes::from_static(b"other");
    assert_eq!(refusal(LocalPolicy::Admins, &forged), "The signature is invalid");
}
