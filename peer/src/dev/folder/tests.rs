use std::fs;

use super::{Deployed, Folder, FolderError, MARKER, Ports};

const PORTS: Ports = Ports {
    peer: 1,
    chaincode: 2,
    orderer: 3,
};

#[test]
fn a_second_run_finds_what_the_first_kept() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("new/network");
    let mut first = Folder::open(&path).unwrap();
    assert_eq!(first.ports(), None);
    first.keep_ports(PORTS).unwrap();
    let deployed = Deployed {
        version: "3".into(),
        digest: "ab".into(),
    };
    first.keep_deployed("mychannel", "kv", deployed.clone()).unwrap();
    drop(first);
    let second = Folder::open(&path).unwrap();
    assert_eq!(second.ports(), Some(PORTS));
    assert_eq!(second.deployed("mychannel", "kv").unwrap(), Some(deployed));
    assert_eq!(second.deployed("other", "kv").unwrap(), None);
}

#[test]
fn a_folder_of_somebody_else_is_neither_used_nor_deleted() {
    let temporary = tempfile::tempdir().unwrap();
    let thesis = temporary.path().join("thesis.txt");
    fs::write(&thesis, "years of work").unwrap();
    assert!(matches!(
        Folder::open(temporary.path()),
        Err(FolderError::Foreign(_))
    ));
    assert!(matches!(
        Folder::reset(temporary.path()),
        Err(FolderError::Foreign(_))
    ));
    assert_eq!(fs::read_to_string(&thesis).unwrap(), "years of work");
    // a file of that name alone does not make it ours
    fs::write(temporary.path().join(MARKER), "not ours").unwrap();
    assert!(matches!(
        Folder::reset(temporary.path()),
        Err(FolderError::Damaged { .. })
    ));
    assert!(thesis.exists());
}

#[test]
fn a_reset_leaves_an_empty_folder() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("network");
    Folder::reset(&path).unwrap();
    assert!(!path.exists());
    let mut folder = Folder::open(&path).unwrap();
    folder.keep_ports(PORTS).unwrap();
    fs::create_dir(folder.join("ledger")).unwrap();
    fs::write(folder.join("ledger/blocks"), "x").unwrap();
    drop(folder);
    Folder::reset(&path).unwrap();
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    assert_eq!(Folder::open(&path).unwrap().ports(), None);
}

#[test]
fn a_running_network_keeps_its_folder() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = Folder::open(temporary.path()).unwrap();
    assert!(matches!(
        Folder::open(temporary.path()),
        Err(FolderError::Busy(_))
    ));
    assert!(matches!(
        Folder::reset(temporary.path()),
        Err(FolderError::Busy(_))
    ));
    assert!(folder.join(MARKER).exists());
}

#[test]
fn another_form_is_refused_with_advice() {
    let temporary = tempfile::tempdir().unwrap();
    fs::write(temporary.path().join(MARKER), r#"{"version": 99}"#).unwrap();
    let error = Folder::open(temporary.path()).unwrap_err();
    assert!(error.to_string().contains("--reset"), "{error}");
    Folder::reset(temporary.path()).unwrap();
    Folder::open(temporary.path()).unwrap();
}
